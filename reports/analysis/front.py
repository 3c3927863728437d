"""The front of a study, and its state in a few figures for `status` and for reports."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from reports.analysis.pareto import Point, as_losses, dominates, ranks
from reports.records.study import Status, StudyRecord, SupernetRecord, TrialRecord

STATUSES: tuple[Status, ...] = get_args(Status)


def finished(study: StudyRecord) -> tuple[TrialRecord, ...]:
    """Return the trials that were trained to the end and have a value for every objective, by number.

    A trial whose figures contradict each other is left out: a wrong figure could dominate all others.
    """
    names = [objective.name for objective in study.header.objectives]
    complete = (trial for trial in study.trials if trial.status == "complete" and not trial.doubts)
    return tuple(trial for trial in complete if trial.metrics and all(name in trial.values for name in names))


def initializations_differ(study: StudyRecord) -> bool:
    """Return whether some finished candidate was meant to start from other weights than random ones."""
    return any(trial.start is not None for trial in finished(study))


def losses(study: StudyRecord, trial: TrialRecord) -> Point:
    """Return the objectives of a finished trial as values to be minimised."""
    objectives = study.header.objectives
    return as_losses([trial.values[o.name] for o in objectives], [o.direction for o in objectives])


def trial_ranks(study: StudyRecord) -> dict[int, int]:
    """Map the number of each finished trial to its non-dominated rank; 0 is the front."""
    trials = finished(study)
    return dict(zip((t.number for t in trials), ranks([losses(study, t) for t in trials]), strict=True))


def front_trials(study: StudyRecord) -> tuple[TrialRecord, ...]:
    """Return the finished trials that no other dominates, best in the first objective first."""
    found = trial_ranks(study)
    front = [t for t in finished(study) if found[t.number] == 0]
    return tuple(sorted(front, key=lambda t: losses(study, t)))


def dominators(study: StudyRecord, trial: TrialRecord, among: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return the finished trials in ``among`` that dominate ``trial`` in the study's objectives."""
    own = losses(study, trial)
    return tuple(t for t in among if dominates(losses(study, t), own))


@dataclass(frozen=True)
class Best:
    """The best value of one objective, and its trial."""

    objective: str
    direction: str
    value: float
    trial: int
    name: str | None


@dataclass(frozen=True)
class StatusSummary:
    """A study in a few figures."""

    study: str
    total: int
    counts: dict[str, int]  # by status; statuses without a trial are left out
    front: tuple[int, ...]  # trial numbers, best in the first objective first
    best: tuple[Best, ...]  # one for each objective; empty before the first trial is complete
    price: str
    training_s: float  # of all trials and of ranking by shared weights, as the next two
    training_images: int
    training_macs: float  # dense multiply-accumulates
    started_at: float | None  # UTC seconds
    last_finished_at: float | None
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # the oldest first

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as values that JSON can hold."""
        return asdict(self)


def status_summary(study: StudyRecord) -> StatusSummary:
    """Summarise a study: counts by status, front, best value of each objective, training time."""
    spent = study.header.supernet or SupernetRecord(ranked=0)
    counts = {status: sum(t.status == status for t in study.trials) for status in STATUSES}
    return StatusSummary(
        study=study.header.name,
        total=len(study.trials),
        counts={status: count for status, count in counts.items() if count},
        front=tuple(t.number for t in front_trials(study)),
        best=_best(study),
        price=study.header.price,
        training_s=spent.wall_s + sum(t.wall_s for t in study.trials),
        training_images=spent.images + sum(t.training_images for t in study.trials),
        training_macs=spent.macs + sum(t.training_macs for t in study.trials),
        started_at=min((t.started_at for t in study.trials if t.started_at is not None), default=None),
        last_finished_at=max((t.finished_at for t in study.trials if t.finished_at is not None), default=None),
        tags=study.labels.tags,
        notes=tuple(note.text for note in study.labels.notes),
    )


def _best(study: StudyRecord) -> tuple[Best, ...]:
    trials = finished(study)
    if not trials:
        return ()
    found = []
    for index, objective in enumerate(study.header.objectives):
        _, _, best = min((losses(study, t)[index], t.number, t) for t in trials)
        found.append(Best(objective.name, objective.direction, best.values[objective.name], best.number, best.name))
    return tuple(found)
