"""Show a run on a terminal: a line for each finished trial and a live panel."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reports.analysis.front import status_summary
from reports.document.wording import duration
from reports.records.study import FidelityRecord, StudyHeader, StudyRecord, TrialRecord
from search.cli.benchmark import BenchmarkView
from search.cli.console import Terminal
from search.cli.tables import named_figure, reached_values, unfinished
from search.runner.observer import RunHeader
from search.runner.progress import RunningTrial, RunProgress


class RunView(Protocol):
    """The text about one study or benchmark. It remembers what it needs of the finished trials."""

    @property
    def title(self) -> tuple[str, str]:
        """The kind of run and its name: ``("study", "squeezenet-prune")``."""

    def add(self, records: Sequence[TrialRecord]) -> None:
        """Count finished trials: those of earlier runs first, then each of this run. Each record comes once."""

    def line(self, record: TrialRecord) -> Text:
        """Return the line of a trial that has just ended."""

    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of the panel that summarise the finished trials."""


class TerminalObserver:
    """Shows a run on a console: messages, a line for each finished trial and, on a terminal, a live panel.

    The run outlives the console: it continues if the terminal is closed or the program that reads the output ends.
    """

    def __init__(self, console: Terminal) -> None:
        self._console = console
        self._console.outlived = True
        self._view: RunView | None = None
        self._panel: _Panel | None = None
        self._refused: list[TrialRecord] = []  # refused one after the other by one cause, and not shown yet

    def message(self, text: str) -> None:
        self._show_refused()
        self._console.print(text, highlight=False, soft_wrap=True)

    def opened(self, header: RunHeader, finished: Sequence[TrialRecord]) -> None:
        self._view = StudyView(header) if isinstance(header, StudyHeader) else BenchmarkView(header)
        self._view.add(finished)

    @contextmanager
    def running(self) -> Iterator[None]:
        assert self._view is not None, "opened() comes first"
        try:
            if not self._shows_panel():
                yield
                return
            self._panel = _Panel(self._view)
            with Live(self._panel, console=self._console, refresh_per_second=2, transient=True):
                yield
        finally:
            self._panel = None
            self._show_refused()

    def _shows_panel(self) -> bool:
        """Return whether lines can be redrawn. Logs of CI systems keep all of them, and FORCE_COLOR is no terminal."""
        console = self._console
        return console.is_terminal and console.file.isatty() and not console.is_dumb_terminal and "CI" not in os.environ

    def progressed(self, progress: RunProgress) -> None:
        if self._refused and any(number > self._refused[-1].number for number in progress.running):
            self._show_refused()  # a later trial trains
        if self._panel is not None:
            self._panel.update(progress)

    def trial_ended(self, record: TrialRecord) -> None:
        assert self._view is not None, "opened() comes first"
        self._view.add([record])
        if self._refused and record.failure_kind != self._refused[-1].failure_kind:
            self._show_refused()
        if record.status == "refused" and record.failure_kind is not None:
            self._refused.append(record)
        else:
            self._console.print(self._view.line(record), highlight=False, soft_wrap=True)

    def _show_refused(self) -> None:
        """Print one line for all trials that were refused by one cause, one after the other."""
        refused, self._refused = self._refused, []
        if not refused:
            return
        assert self._view is not None, "opened() comes first"
        line = self._view.line(refused[0]) if len(refused) == 1 else _refused_line(refused)
        self._console.print(line, highlight=False, soft_wrap=True)


class StudyView:
    """A study: the best value of each objective and the size of the front."""

    def __init__(self, header: StudyHeader) -> None:
        self.title = ("study", header.name)
        self._leading = StudyRecord(header=header, trials=())  # trials on the front or best in an objective
        self._summary = status_summary(self._leading)

    def add(self, records: Sequence[TrialRecord]) -> None:
        joined = self._leading.model_copy(update={"trials": (*self._leading.trials, *records)})
        self._summary = status_summary(joined)
        leading = {*self._summary.front, *(best.trial for best in self._summary.best)}
        trials = tuple(_without_details(trial) for trial in joined.trials if trial.number in leading)
        self._leading = joined.model_copy(update={"trials": trials})

    def line(self, record: TrialRecord) -> Text:
        """Return number, name, objectives or reason, and whether the trial is on the front."""
        text = Text(f"  trial {record.number:<3} ")
        text.append(f"{record.name or '':<13.13} ", style="bold")
        if record.status == "paused":
            return text.append(_reached(record.fidelities[-1], self._leading.header), style="dim")
        if record.status != "complete" or record.doubts:
            return text.append_text(unfinished(record))
        text.append("  ".join(named_figure(name, value) for name, value in record.values.items()))
        text.append(f"  in {duration(record.wall_s)}", style="dim")
        if record.number in self._summary.front:
            text.append("  on the front", style="green")
        return text

    def rows(self) -> list[tuple[str, str]]:
        best = [f"{named_figure(b.objective, b.value)} (trial {b.trial})" for b in self._summary.best]
        return [("best", " · ".join(best) or "none yet"), ("front", f"{len(self._summary.front)} candidates")]


def _reached(found: FidelityRecord, header: StudyHeader) -> str:
    """Return ``fidelity 1 of 3: accuracy 0.512  energy_mj 0.00123 mJ  in 20 s``."""
    figures = reached_values(found, header)
    return f"fidelity {found.fidelity} of {found.of}: {figures}  in {duration(found.wall_s)}"


def _refused_line(records: Sequence[TrialRecord]) -> Text:
    """Return ``trials 0 to 8  9 refused: params is above the limit of 500``."""
    text = Text(f"  trials {records[0].number} to {records[-1].number}  ")
    return text.append(f"{len(records)} refused: {records[0].failure_kind}", style="yellow")


def _without_details(record: TrialRecord) -> TrialRecord:
    """Drop the fields that take most of a record's memory."""
    return record.model_copy(update={"layers": (), "history": (), "modules": ()})


class _Panel:
    """The latest progress, which `Live` draws twice a second."""

    def __init__(self, view: RunView) -> None:
        self._view = view
        self._progress: RunProgress | None = None

    def update(self, progress: RunProgress) -> None:
        self._progress = progress

    def __rich__(self) -> RenderableType:
        if self._progress is None:
            return Text(f"{self._view.title[1]}: starting workers …", style="dim")
        return panel(self._view.title, self._progress, self._view.rows(), time.monotonic())


def panel(title: tuple[str, str], progress: RunProgress, rows: list[tuple[str, str]], now: float) -> RenderableType:
    """Draw the trials done and running, the ``rows`` of a view and the time left. ``now`` is in clock seconds."""
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
        grid.add_row(
            "stopping", "at the next event. Press Ctrl-C again to stop at once. Checkpoints are kept either way"
        )
    return Group(Text(), grid, _time(progress, now))


def _counts(progress: RunProgress) -> str:
    parts = [f"{progress.count('complete')} done", f"{len(progress.running)} running"]
    if progress.paused:
        parts.append(f"{len(progress.paused)} paused")
    for status in ("infeasible", "stopped", "refused", "duplicate", "failed"):
        if count := progress.count(status):
            parts.append(f"{count} {status}")
    return " · ".join(parts) + (f" · {progress.trials} wanted" if progress.trials else "")


def _running(trial: RunningTrial, now: float) -> str:
    label = f"trial {trial.number}" + (f" {trial.name}" if trial.name else "")
    label += f" at fidelity {trial.fidelity}" if trial.fidelity else ""
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
    """Estimate the time left from the mean duration of a trial and the number that run at once."""
    if not progress.wall_s or progress.trials is None:
        return ""
    remaining = max(0, progress.trials - progress.trained)
    workers = max(1, len(progress.running))
    return f", about {duration(remaining * sum(progress.wall_s) / len(progress.wall_s) / workers)} left"
