"""What a run has done so far, as the screen shows it: a value that the driver replaces at every event."""

from dataclasses import dataclass, field, replace

from reports.record import EpochRecord, TrialRecord

WHOLE = ("complete", "infeasible")  # trained to the end
TRAINED = (*WHOLE, "stopped", "failed")


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
class Progress:
    """All finished trials, those of earlier runs included, and those that run now."""

    finished: tuple[TrialRecord, ...] = ()
    running: dict[int, Running] = field(default_factory=dict)
    started_at: float = 0.0
    deadline: float | None = None  # clock seconds
    trials: int | None = None  # wanted in all
    stopping: bool = False  # asked to stop

    def started(self, trial: Running) -> "Progress":
        return replace(self, running={**self.running, trial.number: trial})

    def epoch(self, number: int, epoch: EpochRecord) -> "Progress":
        before = self.running[number]
        if before.last is not None and _place(epoch) <= _place(before.last):  # from a worker that took another's place
            return self
        return self.started(replace(before, last=epoch, training_macs=before.training_macs + epoch.macs))

    def ended(self, record: TrialRecord) -> "Progress":
        running = {number: trial for number, trial in self.running.items() if number != record.number}
        return replace(self, finished=(*self.finished, record), running=running)

    def count(self, *statuses: str) -> int:
        return sum(record.status in statuses for record in self.finished)

    @property
    def training_macs(self) -> float:
        """Dense multiply-accumulates of training so far, of all trials."""
        finished = sum(record.training_macs for record in self.finished)
        return finished + sum(trial.training_macs for trial in self.running.values())

    @property
    def trained(self) -> int:
        """Trials that the budget counts: those that were trained, however it ended."""
        return self.count(*TRAINED)
