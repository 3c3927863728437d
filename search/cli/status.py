"""What `snnsearch status` tells: studies and benchmarks in a runs folder, from what is stored alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from reports.analysis.front import StatusSummary, status_summary
from reports.errors import LedgerError
from reports.records.study import StudyRecord, TrialRecord
from reports.storage.benchmarks import BenchmarkStatus, benchmark_status, is_benchmark, list_benchmarks, read_benchmark
from reports.storage.studies import list_studies, load_study_folder, read_study, study_names
from search.cli import tables as views
from search.cli.benchmark import status_table
from search.errors import InputError


@dataclass(frozen=True)
class Found:
    """``unread``: what is there and cannot be read, and why."""

    studies: tuple[StatusSummary, ...] = ()
    benchmarks: tuple[BenchmarkStatus, ...] = ()
    unread: tuple[str, ...] = ()

    def to_json(self) -> list[dict[str, Any]]:
        return [*(each.to_dict() for each in self.studies), *(each.to_dict() for each in self.benchmarks)]

    def view(self, *, alone: bool) -> RenderableType:
        """A line each; ``alone``: the one study in full."""
        if alone and self.studies:
            return views.status_view(self.studies[0])
        tables = [views.status_table(list(self.studies))] if self.studies else []
        return Group(*tables, *([status_table(self.benchmarks)] if self.benchmarks else []))


def one(name: str, runs: Path, storage: str | None) -> Found:
    """The study or benchmark ``name``. Raises LedgerError."""
    if is_benchmark(runs / name):
        return Found(benchmarks=(benchmark_status(read_benchmark(runs / name)),))
    return Found(studies=(status_summary(study(name, runs, storage)),))


def every(runs: Path, storage: str | None) -> Found:
    """All in the folder ``runs``, or of its benchmarks and of the studies in ``storage``; one that cannot be read hides
    no other."""
    found, unread = Found(), []
    studies = study_names(storage) if storage else [path.name for path in list_studies(runs)]
    for name in (*studies, *(path.name for path in list_benchmarks(runs))):
        try:
            each = one(name, runs, storage)
        except LedgerError as error:
            unread.append(f"{name}: {error}")
        else:
            found = Found(found.studies + each.studies, found.benchmarks + each.benchmarks)
    return Found(found.studies, found.benchmarks, tuple(unread))


def trial(name: str, number: int, trials: tuple[TrialRecord, ...]) -> TrialRecord:
    """Of the study or benchmark ``name``. Raises InputError."""
    if not 0 <= number < len(trials):
        raise InputError(f"{name!r} has no trial {number}; it has {len(trials)}, numbered from 0")
    return trials[number]


def study(name: str, runs: Path, storage: str | None) -> StudyRecord:
    """The study ``name`` as stored. Raises LedgerError."""
    return read_study(storage, name) if storage else load_study_folder(runs / name)
