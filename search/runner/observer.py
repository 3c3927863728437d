"""The interface between a run and whoever follows it: a terminal, a notebook, a server.

The run calls an `Observer`, which draws, logs or forwards as it likes; the run itself prints nothing.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from reports.records.benchmark import BenchmarkHeader
from reports.records.study import StudyHeader, TrialRecord
from search.runner.progress import RunProgress

RunHeader = StudyHeader | BenchmarkHeader


class Observer(Protocol):
    """Follows one run. Every method is called from the thread that runs `launch`, `resume` or `run_benchmark`.

    Two exceptions: a signal handler calls `progressed` in the main thread, and a lost connection to the database may be
    reported through `message` from a background thread.
    """

    def message(self, text: str) -> None:
        """Show ``text``, one or several lines about the run as a whole."""

    def opened(self, header: RunHeader, finished: Sequence[TrialRecord]) -> None:
        """The run was created or loaded. ``finished`` are the trials of earlier runs; do not keep them, they are
        large."""

    def running(self) -> AbstractContextManager[None]:
        """Return a context that is open while trials run. A terminal shows its live panel in it."""

    def progressed(self, progress: RunProgress) -> None:
        """A trial started, finished an epoch or ended, or the run was asked to stop."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial of this run ended; `progressed` follows. Called once for each trial."""


class SilentObserver:
    """Ignores every event. Subclass it to follow only some of them."""

    def message(self, text: str) -> None:
        return

    def opened(self, header: RunHeader, finished: Sequence[TrialRecord]) -> None:
        return

    def running(self) -> AbstractContextManager[None]:
        return nullcontext()

    def progressed(self, progress: RunProgress) -> None:
        return

    def trial_ended(self, record: TrialRecord) -> None:
        return


SILENT = SilentObserver()
