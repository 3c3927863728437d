"""The state of a run that an observer shows: an immutable value that the driver replaces at every event."""

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reports.records.study import EpochRecord, TrialRecord

TRAINED_TO_END = ("complete", "infeasible")
TRAINED = (*TRAINED_TO_END, "stopped", "failed")
PAUSED = "paused"  # after a fidelity below the full one


@dataclass(frozen=True)
class RunningTrial:
    number: int
    name: str | None
    since: float  # clock seconds
    epochs: int
    last: EpochRecord | None = None
    training_macs: float = 0.0
    fidelity: int | None = None  # None: the full one


@dataclass(frozen=True)
class RunProgress:
    """Totals of all finished trials, those of earlier runs included, and the trials that run now.

    It keeps a few numbers of each finished trial instead of its record, because a study may have thousands.
    """

    counts: Mapping[str, int] = field(default_factory=dict)  # finished trials by status
    paused: frozenset[int] = frozenset()  # trials that may be promoted to the next fidelity
    trained: int = 0  # trainings that count against the budget: all, whatever their outcome; one for each fidelity
    wall_s: tuple[float, ...] = ()  # of each training that reached its end, ascending
    macs: tuple[float, ...] = ()  # multiply-accumulates of the same trainings, ascending
    finished_macs: float = 0.0  # of all finished trainings
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
        progress = cls()
        for record in finished:
            before = len(record.fidelities) - (record.status == PAUSED)
            for fidelity in record.fidelities[:before]:
                progress = progress._trained_to_end(fidelity.epochs, fidelity.wall_s)
            if record.status != "running":  # promoted, and interrupted since
                progress = progress.ended(record)
        return progress

    def started(self, trial: RunningTrial) -> "RunProgress":
        """Return the progress with ``trial`` running."""
        return replace(self, running={**self.running, trial.number: trial}, paused=self.paused - {trial.number})

    def epoch(self, number: int, epoch: EpochRecord) -> "RunProgress":
        """Return the progress after ``epoch``. An epoch that was counted before, from a replaced worker, is ignored."""
        before = self.running[number]
        if before.last is not None and _order(epoch) <= _order(before.last):
            return self
        return self.started(replace(before, last=epoch, training_macs=before.training_macs + epoch.macs))

    def ended(self, record: TrialRecord) -> "RunProgress":
        """Return the progress with the trial of ``record`` finished, or paused after its latest fidelity."""
        running = {number: trial for number, trial in self.running.items() if number != record.number}
        if record.status == PAUSED:
            latest = record.fidelities[-1]
            paused = replace(self, running=running, paused=self.paused | {record.number})
            return paused._trained_to_end(latest.epochs, latest.wall_s)._count_failure(record)
        counts = {**self.counts, record.status: self.count(record.status) + 1}
        ended = replace(self, running=running, counts=counts)
        own = record.epochs[sum(len(each.epochs) for each in record.fidelities) :]
        if record.status in TRAINED_TO_END:
            wall_s = record.wall_s - sum(each.wall_s for each in record.fidelities)
            return ended._trained_to_end(own, wall_s)._count_failure(record)
        ended = replace(ended, finished_macs=ended.finished_macs + sum(epoch.macs for epoch in own))
        return replace(ended, trained=ended.trained + 1)._count_failure(record) if record.status in TRAINED else ended

    def _trained_to_end(self, epochs: Sequence[EpochRecord], wall_s: float) -> "RunProgress":
        macs = sum(epoch.macs for epoch in epochs)
        return replace(
            self,
            trained=self.trained + 1,
            wall_s=_insert(self.wall_s, wall_s),
            macs=_insert(self.macs, macs),
            finished_macs=self.finished_macs + macs,
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
    def macs_per_second(self) -> float | None:
        """Speed of one worker in the trainings that reached their end; None before the first of them."""
        seconds = sum(self.wall_s)
        return sum(self.macs) / seconds if seconds else None

    @property
    def training_macs(self) -> float:
        """Dense multiply-accumulates of training so far, in all trials."""
        return self.finished_macs + sum(trial.training_macs for trial in self.running.values())


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
