"""The state of a run that an observer shows: an immutable value that the driver replaces at every event."""

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from reports.records.study import EpochRecord, TrialRecord

TRAINED_TO_END = ("complete", "infeasible")
TRAINED = (*TRAINED_TO_END, "stopped", "failed")


@dataclass(frozen=True)
class RunningTrial:
    number: int
    name: str | None
    since: float  # clock seconds
    epochs: int
    last: EpochRecord | None = None
    training_macs: float = 0.0


@dataclass(frozen=True)
class RunProgress:
    """Totals of all finished trials, those of earlier runs included, and the trials that run now.

    It keeps a few numbers of each finished trial instead of its record, because a study may have thousands.
    """

    counts: Mapping[str, int] = field(default_factory=dict)  # finished trials by status
    wall_s: tuple[float, ...] = ()  # of each trial trained to the end, ascending
    macs: tuple[float, ...] = ()  # multiply-accumulates of training, of the same trials, ascending
    finished_macs: float = 0.0  # of all finished trials
    failure_cause: str | None = None  # of the latest trained trial, if it failed
    equal_failures: int = 0  # number of latest trained trials that all failed by that cause
    running: dict[int, RunningTrial] = field(default_factory=dict)
    started_at: float = 0.0  # clock seconds
    deadline: float | None = None  # clock seconds
    trials: int | None = None  # the budget, earlier runs included
    stopping: bool = False  # the run was asked to stop

    @classmethod
    def of(cls, finished: Iterable[TrialRecord]) -> "RunProgress":
        """Return the totals of earlier runs, before a new one starts."""
        return reduce(cls.ended, finished, cls())

    def started(self, trial: RunningTrial) -> "RunProgress":
        """Return the progress with ``trial`` running."""
        return replace(self, running={**self.running, trial.number: trial})

    def epoch(self, number: int, epoch: EpochRecord) -> "RunProgress":
        """Return the progress after ``epoch``. An epoch that was counted before, from a replaced worker, is ignored."""
        before = self.running[number]
        if before.last is not None and _order(epoch) <= _order(before.last):
            return self
        return self.started(replace(before, last=epoch, training_macs=before.training_macs + epoch.macs))

    def ended(self, record: TrialRecord) -> "RunProgress":
        """Return the progress with the trial of ``record`` finished."""
        to_end = record.status in TRAINED_TO_END
        return replace(
            self._count_failure(record) if record.status in TRAINED else self,
            counts={**self.counts, record.status: self.count(record.status) + 1},
            wall_s=_insert(self.wall_s, record.wall_s) if to_end else self.wall_s,
            macs=_insert(self.macs, record.training_macs) if to_end else self.macs,
            finished_macs=self.finished_macs + record.training_macs,
            running={number: trial for number, trial in self.running.items() if number != record.number},
        )

    def _count_failure(self, record: TrialRecord) -> "RunProgress":
        if record.status != "failed":
            return replace(self, failure_cause=None, equal_failures=0)
        cause = record.failure_kind or record.reason  # records before version 8 have no kind
        equal = self.equal_failures + 1 if cause == self.failure_cause else 1
        return replace(self, failure_cause=cause, equal_failures=equal)

    def count(self, *statuses: str) -> int:
        """Return the number of finished trials with one of ``statuses``."""
        return sum(self.counts.get(status, 0) for status in statuses)

    @property
    def training_macs(self) -> float:
        """Dense multiply-accumulates of training so far, in all trials."""
        return self.finished_macs + sum(trial.training_macs for trial in self.running.values())

    @property
    def trained(self) -> int:
        """Number of trials that count against the budget: all that were trained, whatever their outcome."""
        return self.count(*TRAINED)


def median(ascending: Sequence[float]) -> float:
    """Return the median of sorted values; 0 if there are none."""
    middle = len(ascending) // 2
    if not ascending:
        return 0.0
    return ascending[middle] if len(ascending) % 2 else (ascending[middle - 1] + ascending[middle]) / 2


def _order(epoch: EpochRecord) -> tuple[bool, int]:
    """Sort key of a trial's epochs. The epochs of its CNN twin come first."""
    return not epoch.twin, epoch.epoch


def _insert(ascending: tuple[float, ...], value: float) -> tuple[float, ...]:
    at = bisect(ascending, value)
    return (*ascending[:at], value, *ascending[at:])
