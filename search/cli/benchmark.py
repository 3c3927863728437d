"""Show a benchmark on a terminal: while it runs, when it ends, and in `status`."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from reports.benchmark.groups import accuracy, energy, groups
from reports.document.commands import command
from reports.document.wording import count, duration, number, ratio
from reports.records.benchmark import KINDS, BenchmarkHeader, BenchmarkRecord
from reports.records.study import TrialRecord
from reports.storage.benchmarks import BenchmarkStatus
from search.cli.tables import unfinished, unwrapped


class BenchmarkView:
    """A benchmark: the trainings done on each data set."""

    def __init__(self, header: BenchmarkHeader) -> None:
        self._header = header
        self._done = Counter[str]()  # by data set
        self.title = ("benchmark", header.name)

    def add(self, records: Sequence[TrialRecord]) -> None:
        self._done.update(self._header.cells[record.number].data for record in records)

    def line(self, record: TrialRecord) -> Text:
        """Return data set, network, kind and seed of a training, and its figures or the reason why it has none."""
        cell, price = self._header.cells[record.number], self._header.price
        text = Text(f"  {self._done.total():>3} of {len(self._header.cells)}  ")
        text.append(f"{cell.data:<13} {cell.network:<14} {KINDS[cell.kind]:<8} seed {cell.seed:<3} ", style="bold")
        if record.status != "complete" or record.metrics is None or record.doubts:
            return text.append_text(unfinished(record))
        text.append(
            f"test accuracy {ratio(record.metrics.test_accuracy)}  {number(record.metrics.energy_mj[price])} mJ"
        )
        return text.append(f"  in {duration(record.wall_s)}", style="dim")

    def rows(self) -> list[tuple[str, str]]:
        wanted = Counter(cell.data for cell in self._header.cells)
        return [(data, f"{self._done[data]} of {n} trained") for data, n in wanted.items()]


def ending(record: BenchmarkRecord, folder: Path, again: str) -> RenderableType:
    """Return the end of a run: the figures so far, the files and the next command, ``again``. Print it uncropped."""
    header = record.header
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("data", "network", "kind", "n", "test accuracy", "published", f"mJ, {header.price}"):
        text = column in ("data", "network", "kind")
        table.add_column(column, justify="left" if text else "right", no_wrap=text)
    for group in [group for group in groups(record) if group.n]:
        accurate, mj = group.mean(accuracy), group.mean(energy(header.price))
        table.add_row(
            group.data, group.network, KINDS[group.kind], f"{group.n} of {group.n_seeds}",
            "" if accurate is None else ratio(accurate), f"{group.published.accuracy:g}" if group.published else "",
            "" if mj is None else number(mj),
        )  # fmt: skip
    failed = [trial for trial in record.trials if trial.status in ("failed", "stopped")]
    left = sum(trial.status in ("running", "waiting", "failed") for trial in record.trials)
    parts: list[RenderableType] = [Text(), table, Text()]
    for trial in failed[:3]:
        parts.append(Text(f"{header.cells[trial.number].label} ").append_text(unfinished(trial)))
    parts.append(
        unwrapped(f"report    {folder / 'benchmark.html'}   open it: {command('report', header.name, '--open')}")
    )
    if left:
        parts.append(unwrapped(f"continue  {again}   {count(left, 'training')} left"))
    return Group(*parts)


def status_table(found: Sequence[BenchmarkStatus]) -> RenderableType:
    """Return a table of benchmarks, one a line."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("benchmark", "trainings", "", "trained for"):
        table.add_column(column)
    for each in found:
        counts = " · ".join(f"{n} {status}" for status, n in each.counts.items())
        table.add_row(each.benchmark, str(each.total), counts, duration(each.training_s))
    return table
