"""Find workers that stand still and cannot end themselves, because they were stopped by a signal or cut off."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from search.trial.folder import Heartbeat, TrialFolder
from search.trial.job import Job
from search.trial.watchdog import heartbeat_interval_s

GRACE = 1.5  # times the stall timeout: by then, a worker that can end itself has done so


@dataclass(frozen=True)
class _Seen:
    """The latest count of a trial, when it was first seen, and when the driver last looked."""

    count: int
    since: float
    looked: float


class Heartbeats:
    """The heartbeats of all running trials as a driver sees them.

    Time is measured by the driver's ``clock``, not by the clocks of workers or the times of files.
    """

    def __init__(
        self, clock: Callable[[], float], read: Callable[[TrialFolder], Heartbeat] = TrialFolder.read_heartbeat
    ) -> None:
        self._clock = clock
        self._read = read
        self._seen: dict[int, _Seen] = {}  # by trial

    def restart(self, job: Job) -> None:
        """Forget the signs of life of the trial's last worker: the next one has the whole stall timeout."""
        self._seen.pop(job.number, None)

    def stands_still(self, job: Job) -> bool:
        """Return whether the worker of a running trial must be ended. After that, the next worker starts afresh."""
        timeout_s, now, seen = job.limits.stall_timeout_s, self._clock(), self._seen.get(job.number)
        if timeout_s is None or (seen is not None and now - seen.looked < heartbeat_interval_s(job.limits)):
            return False
        count = self._read(job.files).count
        if seen is None or count != seen.count:
            self._seen[job.number] = _Seen(count, since=now, looked=now)
            return False
        if now - seen.since < GRACE * timeout_s:
            self._seen[job.number] = replace(seen, looked=now)
            return False
        del self._seen[job.number]
        with contextlib.suppress(OSError):  # the folder may not exist yet, or the disk may be full
            job.files.log(f"event=worker_ended reason='no sign of life for {now - seen.since:.0f} s'")
        return True
