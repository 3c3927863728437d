"""report.md: the same statements and tables as the page, for a repository or a mail."""

from collections.abc import Sequence

from .front import finished, front_trials
from .hypervolume import hypervolume_over_time
from .prices import describe
from .record import StudyRecord, TrialRecord
from .reproduce import circumstances, show, train_again
from .sentences import ACCURACY_NOTE, findings, summary
from .tables import Table, candidates_table, published_table
from .wording import candidate, duration, ratio

REASONS = ("failed", "stopped", "refused", "duplicate")


def markdown(study: StudyRecord) -> str:
    """The whole report as GitHub Markdown."""
    trials, front = finished(study), front_trials(study)
    blocks = [f"# {_text(study.header.name)}", _text(summary(study))]
    if trials:
        blocks += [ACCURACY_NOTE, "## Findings", _bullets(findings(study))]
        blocks += [
            f"## Front: {len(front)} of {len(trials)} finished candidates",
            _table(candidates_table(study, front)),
        ]
        by_rank = candidates_table(study, trials)
        blocks += ["## All finished candidates", _table(by_rank), _hypervolume(study)]
    else:
        blocks.append("No trial is complete yet, so there is no front.")
    if study.header.references:
        blocks += ["## Published points", _table(published_table(study))]
    blocks += ["## Trials without a result", _without_result(study)] if _unfinished(study) else []
    if trials:
        blocks += ["## Energy", _bullets([f"`{price}`: {describe(price)}" for price in _prices(trials)])]
    blocks += ["## How to reproduce", *_reproduce(study, front)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _prices(trials: Sequence[TrialRecord]) -> list[str]:
    return sorted({price for t in trials if t.metrics for price in t.metrics.energy_mj})


def _hypervolume(study: StudyRecord) -> str:
    progress = hypervolume_over_time(study)
    if isinstance(progress, str):
        return f"Hypervolume: {progress}."
    last = progress.steps[-1]
    return (
        f"Hypervolume {ratio(last.value)} after {last.finished} finished candidates and {duration(last.training_s)} of "
        f"training: the share of a fixed box that they dominate ({progress.box})."
    )


def _unfinished(study: StudyRecord) -> list[TrialRecord]:
    return [t for t in study.trials if t.status in REASONS]


def _without_result(study: StudyRecord) -> str:
    rows = tuple((str(t.number), t.name or "", t.status, t.reason or "") for t in _unfinished(study))
    return _table(Table(("trial", "candidate", "status", "reason"), (True, False, False, False), rows))


def _reproduce(study: StudyRecord, front: Sequence[TrialRecord]) -> list[str]:
    header = study.header
    blocks = [f"Run with {circumstances(header)}. The space, as resolved, is `space.yaml` in the study's folder:"]
    blocks.append(_fence(header.space_yaml, "yaml"))
    if front:
        commands = [f"# {' '.join(candidate(t).split())}\n{show(study, t)}\n{train_again(study, t)}" for t in front]
        blocks += ["Each candidate of the front, printed and trained again:", _fence("\n".join(commands), "sh")]
    return blocks


def _table(table: Table) -> str:
    rule = ["--:" if numeric else ":--" for numeric in table.numeric]
    rows = [[_text(cell) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(table.columns), rule, *rows])


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {_text(line) if not line.startswith('`') else line}" for line in lines)


def _text(text: str) -> str:
    """Text that shows as it is: no HTML, no table cell ended, no emphasis begun."""
    escaped = text.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "|*_`[]":
        escaped = escaped.replace(mark, f"\\{mark}")
    return " ".join(escaped.split())


def _fence(code: str, language: str) -> str:
    """A fenced block, with a fence longer than any run of backticks inside."""
    fence = "`" * max(3, 1 + max((len(run) for run in _backticks(code)), default=0))
    return f"{fence}{language}\n{code.rstrip()}\n{fence}"


def _backticks(code: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in code).split() if run]
