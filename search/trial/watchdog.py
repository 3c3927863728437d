"""End a worker that hangs, and a trial that takes too long.

While a trial makes progress, its heartbeat counts up in ``beat.json``, so a driver on any machine sees a worker that
stands still. The heartbeat also adds up the time that the trial has spent over all its starts. A worker that hangs ends
itself: faulthandler's C thread, which needs no interpreter, writes the stack traces to ``hung.txt`` and ends the
process. The trial's checkpoint stays valid.
"""

import contextlib
import faulthandler
import time
from collections.abc import Callable, Iterator
from typing import IO

from reports.document.wording import duration
from search.space.limits import Limits
from search.trial.folder import Heartbeat, TrialFolder

MAX_INTERVAL_S = 5.0  # between two heartbeats
INTERVAL_SHARE = 0.1  # of the stall timeout, if that is shorter


class Watchdog:
    """Watches one trial. Call ``beat`` whenever the trial has made progress."""

    def __init__(self, files: TrialFolder, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._limits = limits
        self._clock = clock
        self._last = clock()
        self._heartbeat = files.read_heartbeat()
        self._interval_s = heartbeat_interval_s(limits)
        self._trace: IO[str] | None = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block, end this process if no progress is made for longer than the stall timeout."""
        with contextlib.suppress(OSError):  # a full disk must not fail the trial here
            self._trace = open(self._files.hang_trace, "w", encoding="utf-8")  # noqa: SIM115 (held for the thread)
        self._arm()
        try:
            self._write()
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            if self._trace is not None:
                self._trace.close()
                self._files.hang_trace.unlink(missing_ok=True)

    def beat(self) -> str | None:
        """Note progress. Return why the trial must stop if its time is used up, else None."""
        now = self._clock()
        if now - self._last < self._interval_s:
            return None
        before = self._heartbeat
        self._heartbeat = Heartbeat(count=before.count + 1, spent_s=before.spent_s + now - self._last)
        self._last = now
        self._arm()
        self._write()
        limit_s, spent_s = self._limits.time_s, self._heartbeat.spent_s
        if limit_s is None or spent_s <= limit_s:
            return None
        return f"its time is up: {duration(spent_s)} spent, {duration(limit_s)} allowed (limits.time)"

    def _arm(self) -> None:
        if self._trace is not None and self._limits.stall_timeout_s is not None:
            faulthandler.dump_traceback_later(self._limits.stall_timeout_s, exit=True, file=self._trace)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            self._files.write_heartbeat(self._heartbeat)


def heartbeat_interval_s(limits: Limits) -> float:
    """Return the seconds between two heartbeats; a driver looks for them as often."""
    if limits.stall_timeout_s is None:
        return MAX_INTERVAL_S
    return min(MAX_INTERVAL_S, INTERVAL_SHARE * limits.stall_timeout_s)


def where_it_hung(files: TrialFolder) -> str | None:
    """Return the line at which a trial's worker hung; None if none did.

    The training runs in the first thread, which is the last one in the file.
    """
    try:
        text = files.hang_trace.read_text(encoding="utf-8")
    except OSError:
        return None
    innermost = text.rpartition("(most recent call first):\n")[2].partition("\n")[0]
    return innermost.strip().removeprefix("File ") or None
