"""report.md: the same statements and tables as the page, for a repository or a mail."""

from collections.abc import Sequence

from reports.analysis.front import finished, front_trials
from reports.analysis.hypervolume import hypervolume_over_time
from reports.document.markdown import bullets, fence, rules, table, text
from reports.document.prices import describe
from reports.document.table import Table
from reports.document.wording import candidate, duration, ratio
from reports.records.study import StudyRecord, TrialRecord
from reports.study.reproduce import circumstances, show, train_again
from reports.study.sentences import ACCURACY_NOTE, findings, summary
from reports.study.tables import candidates_table, published_table

REASONS = ("infeasible", "failed", "stopped", "refused", "duplicate")


def markdown(study: StudyRecord) -> str:
    """The whole report as GitHub Markdown."""
    trials, front = finished(study), front_trials(study)
    blocks = [f"# {text(study.header.name)}", text(summary(study))]
    if trials:
        blocks += [ACCURACY_NOTE, "## Findings", bullets(findings(study))]
        blocks += [
            f"## Front: {len(front)} of {len(trials)} finished candidates",
            table(candidates_table(study, front)),
        ]
        by_rank = candidates_table(study, trials)
        blocks += ["## All finished candidates", table(by_rank), _hypervolume(study)]
    else:
        blocks.append("No trial is complete yet, so there is no front.")
    if study.header.references:
        blocks += ["## Published points", table(published_table(study))]
    blocks += ["## Trials left out", _without_result(study)] if _unfinished(study) else []
    if trials:
        blocks += ["## Energy", rules({price: describe(price) for price in _prices(trials)})]
    blocks += ["## How to reproduce", *_reproduce(study, front)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _prices(trials: Sequence[TrialRecord]) -> list[str]:
    return sorted({price for t in trials if t.metrics for price in t.metrics.energy_mj})


def _hypervolume(study: StudyRecord) -> str:
    progress = hypervolume_over_time(study)
    if isinstance(progress, str):
        return f"Hypervolume: {text(progress)}."
    last = progress.steps[-1]
    return (
        f"Hypervolume {ratio(last.value)} after {last.finished} finished candidates and {duration(last.training_s)} of "
        f"training: the share of a fixed box that they dominate ({text(progress.box)})."
    )


def _unfinished(study: StudyRecord) -> list[TrialRecord]:
    return [t for t in study.trials if t.status in REASONS]


def _without_result(study: StudyRecord) -> str:
    rows = tuple((str(t.number), t.name or "", t.status, t.reason or "") for t in _unfinished(study))
    return table(Table(("trial", "candidate", "status", "reason"), (True, False, False, False), rows))


def _reproduce(study: StudyRecord, front: Sequence[TrialRecord]) -> list[str]:
    header = study.header
    blocks = [f"Run with {text(circumstances(header))}. The space, as resolved, is `space.yaml` in the study's folder:"]
    blocks.append(fence(header.space_yaml, "yaml"))
    if front:
        commands = [f"# {' '.join(candidate(t).split())}\n{show(study, t)}\n{train_again(study, t)}" for t in front]
        blocks += ["Each candidate of the front, printed and trained again:", fence("\n".join(commands), "sh")]
    return blocks
