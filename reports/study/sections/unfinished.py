"""The trials without a result, grouped by status, each with its reason."""

from typing import Final, Literal

from reports.document.model import Code, Folded, PageOnly, Section
from reports.document.table import Table
from reports.document.wording import objective_value
from reports.records.objectives import OBJECTIVES, objective_label
from reports.records.study import Status, StudyHeader, StudyRecord, TrialRecord

DOUBTFUL: Final = "doubtful"  # a complete trial in this section
MEANINGS: dict[Status | Literal["doubtful"], str] = {
    DOUBTFUL: "trained and kept, but the figures contradict each other; never on the front, and no sampler learns them",
    "infeasible": "trained, but the measured value breaks a hard constraint; never on the front",
    "failed": "an exception, or a lost worker",
    "stopped": "training ended early: at chance, no spikes, not finite, or dominated at a rung",
    "paused": "trained below the full fidelity only; a longer search may promote them",
    "refused": "breaks a hard constraint or does not build; never trained",
    "duplicate": "trains the same network as an earlier trial; never trained",
    "running": "training now",
    "waiting": "not started yet",
}
OPEN = (DOUBTFUL, "infeasible", "failed", "stopped")  # statuses that the page unfolds
MAX_OPEN_ROWS = 12


def unfinished_section(study: StudyRecord) -> Section | None:
    """Return the trials without a result by status; None if every trial has one."""
    members = {why: [trial for trial in study.trials if _why(trial) == why] for why in MEANINGS}
    groups = tuple(_group(why, trials, study.header) for why, trials in members.items() if trials)
    return Section("Trials left out", groups) if groups else None


def _why(trial: TrialRecord) -> str:
    return DOUBTFUL if trial.doubts else trial.status


def _group(status: Status | Literal["doubtful"], trials: list[TrialRecord], header: StudyHeader) -> Folded:
    table = _paused_table(trials, header) if status == "paused" else _reason_table(status, trials)
    tracebacks = tuple(
        Code(t.traceback, summary=f"Traceback of trial {t.number}") for t in trials if t.traceback is not None
    )
    return Folded(
        title=status,
        detail=f"{len(trials):,}, {MEANINGS[status]}",
        blocks=(table, PageOnly(tracebacks)) if tracebacks else (table,),
        kind=status,
        open=status in OPEN and len(trials) <= MAX_OPEN_ROWS,
    )


def _reason_table(status: Status | Literal["doubtful"], trials: list[TrialRecord]) -> Table:
    rows = tuple((str(t.number), t.name or "", t.doubt or t.reason or "") for t in trials)
    numeric = (False, False, False)
    return Table(("trial", "name", "reason"), numeric, rows, label=f"{status} trials", wide=frozenset({2}))


def _paused_table(trials: list[TrialRecord], header: StudyHeader) -> Table:
    """Return what the trials reached at their latest fidelity, the highest fidelity first."""
    names = [objective.name for objective in header.objectives]
    latest = [(trial, trial.fidelities[-1]) for trial in trials]
    rows = tuple(
        (
            str(trial.number),
            trial.name or "",
            f"{found.fidelity} of {found.of}",
            *(objective_value(n, OBJECTIVES[n].value(found.measured, header.price)) for n in names),
        )
        for trial, found in sorted(latest, key=lambda each: (-each[1].fidelity, each[0].number))
    )
    columns = ("trial", "name", "fidelity", *map(objective_label, names))
    numeric = (False, False, False, *(True for _ in names))
    return Table(columns, numeric, rows, label="paused trials")
