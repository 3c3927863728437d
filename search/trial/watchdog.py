"""In a worker: a sign of life while a trial gets on, and an end to one that does not.

``beat.json`` in the trial's folder counts the signs, so that a driver anywhere sees a worker that stands still, and
adds up what the trial has spent over all its starts. A worker that hangs ends itself: a thread of C (faulthandler's),
which needs no interpreter, writes to ``hung.txt`` where it was and ends the process. Its checkpoint is what it was.
"""

import contextlib
import faulthandler
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from reports.document.wording import duration
from search.space.limits import Limits
from search.trial.job import BEAT, Job, log
from snnkit.base.config import Config

HUNG = "hung.txt"
EVERY_S = 5.0  # at most so often a sign is written
SHARE = 0.1  # of the stall timeout: signs are written more often if it is short
GRACE = 1.5  # times the stall timeout, after which a worker that can has ended itself


class Beat(Config):
    """``count`` rises while the trial gets on."""

    count: int = 0
    spent_s: float = 0.0


class Watchdog:
    """Of one trial. ``beat`` is to be called whenever it has got on."""

    def __init__(self, folder: Path, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = folder / BEAT
        self._limits = limits
        self._clock = clock
        self._last = clock()
        self._beat = read_beat(folder)
        self._every_s = every_s(limits)
        self._file: IO[str] | None = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Within the block a silence longer than the limit ends this process."""
        with contextlib.suppress(OSError):  # a trial is not to fail for want of this file
            self._file = open(self._path.with_name(HUNG), "w", encoding="utf-8")  # noqa: SIM115 (held for the thread)
        self._arm()
        try:
            self._write()
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            if self._file is not None:
                self._file.close()
                self._path.with_name(HUNG).unlink(missing_ok=True)

    def beat(self) -> str | None:
        """Why the trial has to stop, where it has spent its time."""
        now = self._clock()
        if now - self._last < self._every_s:
            return None
        self._beat = Beat(count=self._beat.count + 1, spent_s=self._beat.spent_s + now - self._last)
        self._last = now
        self._arm()
        self._write()
        limit_s, spent_s = self._limits.time_s, self._beat.spent_s
        if limit_s is None or spent_s <= limit_s:
            return None
        return f"its time is up: {duration(spent_s)} spent, {duration(limit_s)} allowed (limits.time)"

    def _arm(self) -> None:
        if self._file is not None and self._limits.stall_timeout_s is not None:
            faulthandler.dump_traceback_later(self._limits.stall_timeout_s, exit=True, file=self._file)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            self._path.write_text(self._beat.model_dump_json())


@dataclass(frozen=True)
class _Seen:
    count: int
    since: float
    looked: float


class Heartbeats:
    """What a driver sees of its workers: one that stands still so long cannot end itself either, stopped by a signal or
    cut off. It goes by its own clock, not by those of workers or files."""

    def __init__(self, clock: Callable[[], float], read: Callable[[Path], Beat] | None = None) -> None:
        self._clock = clock
        self._read = read or read_beat  # of a trial's folder
        self._seen: dict[int, _Seen] = {}  # by trial

    def begun(self, job: Job) -> None:
        """Another worker has begun with the trial: it has all its time, whatever the one before it has used."""
        self._seen.pop(job.number, None)

    def stands_still(self, job: Job) -> bool:
        """Whether the worker of a running trial is to be ended. Asked again, the next worker has all its time."""
        timeout_s, now, seen = job.limits.stall_timeout_s, self._clock(), self._seen.get(job.number)
        if timeout_s is None or (seen is not None and now - seen.looked < every_s(job.limits)):
            return False
        count = self._read(job.folder).count
        if seen is None or count != seen.count:
            self._seen[job.number] = _Seen(count, since=now, looked=now)
            return False
        if now - seen.since < GRACE * timeout_s:
            self._seen[job.number] = replace(seen, looked=now)
            return False
        del self._seen[job.number]
        with contextlib.suppress(OSError):  # no folder yet, or a full disk
            log(job.folder, f"event=worker_ended reason='no sign of life for {now - seen.since:.0f} s'")
        return True


def every_s(limits: Limits) -> float:
    """How often a sign is written, and looked for."""
    return EVERY_S if limits.stall_timeout_s is None else min(EVERY_S, SHARE * limits.stall_timeout_s)


def read_beat(folder: Path) -> Beat:
    """The last sign of a trial; none where there is no readable one."""
    try:
        return Beat.model_validate_json((folder / BEAT).read_bytes())
    except (OSError, ValidationError):
        return Beat()


def where_it_hung(folder: Path) -> str | None:
    """The line that a trial's worker hung at; None where none did. The thread that trains is its first, told last."""
    try:
        text = (folder / HUNG).read_text(encoding="utf-8")
    except OSError:
        return None
    innermost = text.rpartition("(most recent call first):\n")[2].partition("\n")[0]
    return innermost.strip().removeprefix("File ") or None
