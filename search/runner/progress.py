"""What a run has done so far, as the screen shows it: a value that the driver replaces at every event."""

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from reports.records.study import EpochRecord, TrialRecord

WHOLE = ("complete", "infeasible")  # trained to the end
TRAINED = (*WHOLE, "stopped", "failed")
LAST = 3  # trained trials that are remembered one by one


@dataclass(frozen=True)
class Running:
    number: int
    name: str | None
    since: float  # clock seconds
    epochs: int
    last: EpochRecord | None = None
    training_macs: float = 0.0


def _place(epoch: EpochRecord) -> tuple[bool, int]:
    """In the order of a trial's epochs: those of its CNN twin come first."""
    return not epoch.twin, epoch.epoch


@dataclass(frozen=True)
class RunProgress:
    """What all finished trials came to, those of earlier runs included, and those that run now. Of a finished trial a
    few numbers are kept, not its record: a study may have thousands."""

    counts: Mapping[str, int] = field(default_factory=dict)  # of finished trials, by status
    wall_s: tuple[float, ...] = ()  # of each trial that was trained to the end, ascending
    macs: tuple[float, ...] = ()  # the same, its multiply-accumulates of training
    finished_macs: float = 0.0  # of all
    last: tuple[tuple[str, str | None], ...] = ()  # status and reason of the latest that were trained
    running: dict[int, Running] = field(default_factory=dict)
    started_at: float = 0.0
    deadline: float | None = None  # clock seconds
    trials: int | None = None  # wanted in all
    stopping: bool = False  # asked to stop

    @classmethod
    def of(cls, finished: Iterable[TrialRecord]) -> "RunProgress":
        """Before a run, after earlier ones."""
        return reduce(cls.ended, finished, cls())

    def started(self, trial: Running) -> "RunProgress":
        return replace(self, running={**self.running, trial.number: trial})

    def epoch(self, number: int, epoch: EpochRecord) -> "RunProgress":
        before = self.running[number]
        if before.last is not None and _place(epoch) <= _place(before.last):  # from a worker that took another's place
            return self
        return self.started(replace(before, last=epoch, training_macs=before.training_macs + epoch.macs))

    def ended(self, record: TrialRecord) -> "RunProgress":
        whole, trained = record.status in WHOLE, record.status in TRAINED
        return replace(
            self,
            counts={**self.counts, record.status: self.count(record.status) + 1},
            wall_s=_with(self.wall_s, record.wall_s) if whole else self.wall_s,
            macs=_with(self.macs, record.training_macs) if whole else self.macs,
            finished_macs=self.finished_macs + record.training_macs,
            last=(*self.last, (record.status, record.reason))[-LAST:] if trained else self.last,
            running={number: trial for number, trial in self.running.items() if number != record.number},
        )

    def count(self, *statuses: str) -> int:
        return sum(self.counts.get(status, 0) for status in statuses)

    @property
    def finished(self) -> int:
        return sum(self.counts.values())

    @property
    def training_macs(self) -> float:
        """Dense multiply-accumulates of training so far, of all trials."""
        return self.finished_macs + sum(trial.training_macs for trial in self.running.values())

    @property
    def trained(self) -> int:
        """Trials that the budget counts: those that were trained, however it ended."""
        return self.count(*TRAINED)


def median(ascending: Sequence[float]) -> float:
    """0 where there is none."""
    middle = len(ascending) // 2
    if not ascending:
        return 0.0
    return ascending[middle] if len(ascending) % 2 else (ascending[middle - 1] + ascending[middle]) / 2


def _with(ascending: tuple[float, ...], value: float) -> tuple[float, ...]:
    at = bisect(ascending, value)
    return (*ascending[:at], value, *ascending[at:])
