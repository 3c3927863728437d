"""What a person sees while trials run: a live panel on a terminal, a line per finished trial elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reports.analysis.front import status_summary
from reports.document.wording import duration
from reports.records.study import StudyHeader, StudyRecord, TrialRecord
from search.cli.tables import figure
from search.runner.progress import Running, RunProgress

Watch = Callable[[RunProgress, TrialRecord | None], None]


class Show(Protocol):
    """What is told of finished trials. It remembers of them what it needs for that."""

    @property
    def title(self) -> tuple[str, str]:
        """What is run, and its name: ``("study", "squeezenet-prune")``."""

    def ended(self, records: Sequence[TrialRecord]) -> None:
        """Trials are over: those of earlier runs, then each of this one. None is told twice."""

    def line(self, record: TrialRecord) -> Text:
        """The trial that has just ended."""

    def rows(self) -> list[tuple[str, str]]:
        """What the panel says of all finished trials, beside their number."""


@contextmanager
def watching(console: Console, show: Show) -> Iterator[Watch]:
    """A function to be called at every event; it draws until the block ends."""
    if not console.is_terminal:
        yield lambda progress, record: _line(console, show, record)
        return
    panel = _Panel(show)
    with Live(panel, console=console, refresh_per_second=2, transient=True):

        def watch(progress: RunProgress, record: TrialRecord | None) -> None:
            _line(console, show, record)
            panel.update(progress)

        yield watch


def _line(console: Console, show: Show, record: TrialRecord | None) -> None:
    if record is not None:
        show.ended([record])
        console.print(show.line(record), highlight=False, soft_wrap=True)


class StudyShow:
    """A study: the best of each objective, and who is on the front."""

    def __init__(self, header: StudyHeader) -> None:
        self.title = ("study", header.name)
        self._leading = StudyRecord(header=header, trials=())  # the trials that are on the front, or best in something
        self._summary = status_summary(self._leading)

    def ended(self, records: Sequence[TrialRecord]) -> None:
        joined = self._leading.model_copy(update={"trials": (*self._leading.trials, *records)})
        self._summary = status_summary(joined)
        leading = {*self._summary.front, *(best.trial for best in self._summary.best)}
        trials = tuple(_slight(trial) for trial in joined.trials if trial.number in leading)
        self._leading = joined.model_copy(update={"trials": trials})

    def line(self, record: TrialRecord) -> Text:
        """Number, name, objectives or reason, and whether it is on the front."""
        text = Text(f"  trial {record.number:<3} ")
        text.append(f"{record.name or '':<13.13} ", style="bold")
        if record.status != "complete":
            return text.append_text(unfinished(record))
        text.append("  ".join(f"{name} {figure(name, value)}" for name, value in record.values.items()))
        text.append(f"  in {duration(record.wall_s)}", style="dim")
        if record.number in self._summary.front:
            text.append("  on the front", style="green")
        return text

    def rows(self) -> list[tuple[str, str]]:
        best = [f"{b.objective} {figure(b.objective, b.value)} (trial {b.trial})" for b in self._summary.best]
        return [("best", " · ".join(best) or "none yet"), ("front", f"{len(self._summary.front)} candidates")]


def _slight(record: TrialRecord) -> TrialRecord:
    """Without what takes most of a record's memory."""
    return record.model_copy(update={"layers": (), "history": (), "modules": ()})


def unfinished(record: TrialRecord) -> Text:
    """Why a trial is on no front."""
    return Text(f"{record.status}: {record.reason}", style="red" if record.status == "failed" else "yellow")


class _Panel:
    """Drawn anew by `Live` twice a second from the latest progress."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._progress: RunProgress | None = None

    def update(self, progress: RunProgress) -> None:
        self._progress = progress

    def __rich__(self) -> RenderableType:
        if self._progress is None:
            return Text(f"{self._show.title[1]}: starting workers …", style="dim")
        return panel(self._show.title, self._progress, self._show.rows(), time.monotonic())


def panel(title: tuple[str, str], progress: RunProgress, rows: list[tuple[str, str]], now: float) -> RenderableType:
    """Trials done and running, what is told of them, time left."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", min_width=8)
    grid.add_column(overflow="fold")
    grid.add_row(title[0], Text(title[1], style="bold"))
    grid.add_row("trials", _counts(progress))
    for label, text in rows:
        grid.add_row(label, text)
    for trial in progress.running.values():
        grid.add_row("running", _running(trial, now))
    if progress.stopping:
        grid.add_row("stopping", "at the next event; Ctrl-C again stops at once. Checkpoints are kept either way")
    return Group(Text(), grid, _time(progress, now))


def _counts(progress: RunProgress) -> str:
    parts = [f"{progress.count('complete')} done", f"{len(progress.running)} running"]
    for status in ("infeasible", "stopped", "refused", "duplicate", "failed"):
        if count := progress.count(status):
            parts.append(f"{count} {status}")
    return " · ".join(parts) + (f" · {progress.trials} wanted" if progress.trials else "")


def _running(trial: Running, now: float) -> str:
    label = f"trial {trial.number}" + (f" {trial.name}" if trial.name else "")
    where = f"epoch {trial.last.epoch if trial.last else 1} of {trial.epochs}"
    if trial.last and trial.last.twin:
        where = f"epoch {trial.last.epoch} of its CNN twin"
    accuracy = f", accuracy {trial.last.val_accuracy:.3f}" if trial.last else ""
    return f"{label}: {where}{accuracy}, {duration(now - trial.since)}"


def _time(progress: RunProgress, now: float) -> RenderableType:
    elapsed = now - progress.started_at
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", min_width=8)
    grid.add_column()
    grid.add_column()
    if progress.deadline is not None:
        total = progress.deadline - progress.started_at
        left = max(0.0, total - elapsed)
        text = f"{duration(left)} left of {duration(total)}" if left else "time is up, trials are finishing"
        grid.add_row("time", ProgressBar(total=total, completed=min(elapsed, total), width=30), text)
    elif progress.trials is not None:
        bar = ProgressBar(total=progress.trials, completed=min(progress.trained, progress.trials), width=30)
        grid.add_row("time", bar, f"{duration(elapsed)}{_left(progress, elapsed)}")
    else:
        grid.add_row("time", duration(elapsed), "")
    return grid


def _left(progress: RunProgress, elapsed: float) -> str:
    """Time left by count, going by the pace of this run."""
    if not progress.wall_s or progress.trials is None:
        return ""
    todo = max(0, progress.trials - progress.trained)
    workers = max(1, len(progress.running))
    return f", about {duration(todo * sum(progress.wall_s) / len(progress.wall_s) / workers)} left"
