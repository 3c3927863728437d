"""`snnsearch status`: the progress of studies and benchmarks, read from their storage alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reports.document.commands import command
from search.cli import console
from search.cli.options import Json, OptionalRunName, Runs, Storage

if TYPE_CHECKING:
    from rich.console import RenderableType

    from reports.analysis.front import StatusSummary
    from reports.storage.benchmarks import BenchmarkStatus


def status(
    name: OptionalRunName = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", help="Show only studies with this tag. May be repeated.", metavar="TAG"),
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    as_json: Json = False,
) -> None:
    """Show the progress of all studies and benchmarks, or of one.

    Reads only what is stored, so it does not disturb a study that runs.

    Example: snnsearch status smoke
    """
    found = find(name, runs, storage) if name else find_all(runs, storage)
    if tags and not name:
        found = found.tagged(tags)
    for line in found.unreadable:
        console.err.print(line, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        console.print_json(found.to_json()[0] if name else found.to_json())
    elif tags and not found.to_json():
        console.out.print(f"no study in {runs} has the tag{'s' * (len(tags) > 1)} {', '.join(tags)}", soft_wrap=True)
    elif not found.to_json() and not found.unreadable:
        console.out.print(f"no studies in {runs}; start one: {command('launch', 'smoke')}", soft_wrap=True)
    else:
        console.out.print(found.view(in_full=name is not None))


@dataclass(frozen=True)
class Found:
    """Studies and benchmarks; ``unreadable`` holds a line for each that cannot be read."""

    studies: "tuple[StatusSummary, ...]" = ()
    benchmarks: "tuple[BenchmarkStatus, ...]" = ()
    unreadable: tuple[str, ...] = ()

    def tagged(self, tags: Sequence[str]) -> "Found":
        """Return the studies that have all of ``tags``, without benchmarks."""
        return Found(tuple(each for each in self.studies if set(tags) <= set(each.tags)), (), self.unreadable)

    def to_json(self) -> list[dict[str, Any]]:
        return [*(each.to_dict() for each in self.studies), *(each.to_dict() for each in self.benchmarks)]

    def view(self, *, in_full: bool) -> "RenderableType":
        """Return a table with a line for each; ``in_full``, all details of the one study."""
        from rich.console import Group

        from search.cli import benchmark, tables

        if in_full and self.studies:
            return tables.status_view(self.studies[0])
        parts = [tables.status_table(list(self.studies))] if self.studies else []
        return Group(*parts, *([benchmark.status_table(self.benchmarks)] if self.benchmarks else []))


def find(name: str, runs: Path, storage: str | None) -> Found:
    """Return the study or benchmark ``name``. Raises LedgerError."""
    from reports.analysis.front import status_summary
    from reports.storage.benchmarks import benchmark_status, is_benchmark, read_benchmark
    from reports.storage.studies import find_study

    if is_benchmark(runs / name):
        return Found(benchmarks=(benchmark_status(read_benchmark(runs / name)),))
    return Found(studies=(status_summary(find_study(name, runs, storage)),))


def find_all(runs: Path, storage: str | None) -> Found:
    """Return all benchmarks in ``runs``, and all studies in ``storage`` or else in ``runs``."""
    from reports.errors import LedgerError
    from reports.storage.benchmarks import list_benchmarks
    from reports.storage.studies import list_studies, study_names

    found, unreadable = Found(), []
    studies = study_names(storage) if storage else [path.name for path in list_studies(runs)]
    for name in (*studies, *(path.name for path in list_benchmarks(runs))):
        try:
            each = find(name, runs, storage)
        except LedgerError as error:  # it must not hide the others
            unreadable.append(f"{name}: {error}")
        else:
            found = Found(found.studies + each.studies, found.benchmarks + each.benchmarks)
    return Found(found.studies, found.benchmarks, tuple(unreadable))
