"""The loop of every run: it hands jobs to an executor within a budget and stores what comes back."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import current_thread, main_thread
from types import FrameType
from typing import Protocol

from reports.records.study import EpochRecord, TrialRecord
from search import executors
from search.errors import InputError
from search.executors import WorkerPool
from search.plugins.sources import PluginError
from search.runner.budget import Budget
from search.runner.observer import Observer
from search.runner.progress import RunningTrial, RunProgress, median
from search.storage.url import StorageError
from search.trial.environment import HANGUPS
from search.trial.job import Job

OVERTIME = 0.25  # share of the time budget that running trials get to finish; then they are left to `resume`
MAX_EQUAL_FAILURES = 3  # in a row; then the cause is not the candidate but a full disk or a missing file


class RunError(InputError):
    """The run cannot continue until a person corrects something."""


class Work(Protocol):
    """The jobs of a run and the place for their records: a study or a benchmark."""

    @property
    def interrupted(self) -> bool:
        """Whether a trial that an earlier driver left unfinished is still to be drawn."""

    def next(
        self, record: Callable[[TrialRecord], None], macs_left: float = math.inf, share_left: float = 1.0
    ) -> Job | None:
        """Return the next job, or None if there is none. Candidates not worth training are stored and passed to
        ``record``. ``macs_left`` are the operations that one worker can still train with, ``share_left`` is the share
        of the budget that is left, 0 to 1."""

    def finish(self, record: TrialRecord) -> TrialRecord:
        """Store ``record`` and return it as stored. Raises StorageError."""

    def prune(self, number: int, epoch: EpochRecord) -> TrialRecord | None:
        """Note ``epoch``. If the trial is not worth more epochs, store and return its record. Raises StorageError."""

    def lost(self, number: int, reason: str, traceback: str | None = None) -> TrialRecord:
        """Store that no worker will finish the trial, and return its record. Raises StorageError."""

    def remedy(self, number: int) -> str:
        """Return the commands that show a failed trial and that continue the run."""


class Driver:
    """The Source that executors draw from: some Work within a Budget. Call it from one thread."""

    def __init__(
        self,
        work: Work,
        budget: Budget,
        before: RunProgress,
        observer: Observer,
        *,
        clock: Callable[[], float] = time.monotonic,
        stop: threading.Event | None = None,
    ) -> None:
        now = clock()
        self._work = work
        self.budget = budget
        self._clock = clock
        self._stop = stop or threading.Event()  # set, it also ends the wait for a lost database
        self._deadline = None if budget.seconds is None else now + budget.seconds
        self.observer = observer
        self.failure: InputError | None = None
        self.stopped_by: str | None = None  # name of the signal that asked the run to end
        self.progress = replace(before, started_at=now, deadline=self._deadline, trials=budget.trials)

    # -- Source ---------------------------------------------------------------------------------------------------

    def next(self) -> Job | None:
        if self._stop.is_set() or not self._affordable():
            return None
        with self._stop_on_error():
            job = self._work.next(self._record, self._macs_left(), self._share_left())
            if job is not None:
                recipe = job.candidate.train
                epochs = (recipe.for_cnn_twin if job.is_twin else recipe).epochs
                trial = RunningTrial(job.number, job.name, self._clock(), epochs, fidelity=job.fidelity)
                self.progress = self.progress.started(trial)
                self.observer.progressed(self.progress)
            return job
        return None

    def epoch(self, number: int, epoch: EpochRecord) -> bool:
        self.progress = self.progress.epoch(number, epoch)
        self.observer.progressed(self.progress)
        with self._stop_on_error():
            record = self._work.prune(number, epoch)
            if record is not None:
                self._record(record)
                return False
        return True

    def finished(self, record: TrialRecord) -> None:
        with self._stop_on_error():
            self._record(self._work.finish(record))

    def lost(self, number: int, reason: str, traceback: str | None = None) -> None:
        with self._stop_on_error():
            self._record(self._work.lost(number, reason, traceback))

    def note(self, text: str) -> None:
        self.observer.message(text)

    def halt(self, reason: str) -> None:
        self.failure = RunError(f"{reason}. No results are lost: correct the cause, then resume the run")
        self._stop.set()

    def stopping(self) -> bool:
        if self._deadline is not None and self.budget.seconds is not None:
            overtime = self._clock() - self._deadline
            if overtime > OVERTIME * self.budget.seconds:
                self._stop.set()
        if self.budget.macs is not None and self.progress.training_macs >= self.budget.macs:
            self._stop.set()
        return self._stop.is_set()

    # -- stopping, recording, budget ------------------------------------------------------------------------------

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let Ctrl-C and other requests to end stop the run at the next event, and a second Ctrl-C end it at once.

        A signal that is ignored, as nohup does, stays ignored. Only the main thread receives signals.
        """

        def stop(signum: int, frame: FrameType | None) -> None:
            if self._stop.is_set() and signum not in HANGUPS:  # a terminal that closes may send several
                raise KeyboardInterrupt
            self._stop.set()
            self.stopped_by = signal.Signals(signum).name
            self.progress = replace(self.progress, stopping=True)
            self.observer.progressed(self.progress)

        caught = (signal.SIGINT, signal.SIGTERM, *HANGUPS) if current_thread() is main_thread() else ()
        before = {number: signal.getsignal(number) for number in caught}
        for number in HANGUPS:
            if before.get(number) == signal.SIG_IGN:  # nohup
                del before[number]
        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _record(self, record: TrialRecord) -> None:
        self.progress = self.progress.ended(record)
        self.observer.trial_ended(record)
        self.observer.progressed(self.progress)
        if record.status == "failed" and self.progress.equal_failures >= MAX_EQUAL_FAILURES:
            self.failure = RunError(
                f"{MAX_EQUAL_FAILURES} trials in a row failed: {record.reason}. The run was stopped because the next "
                f"trial would fail too; {self._work.remedy(record.number)}"
            )
            self._stop.set()

    def _affordable(self) -> bool:
        """Return whether another trial fits: by count, and half of it by time and by operations, estimated by the
        median of the trials trained to the end so far."""
        if self._work.interrupted:
            return True  # an interrupted trial is finished, whatever the budget
        taken = self.progress.trained + len(self.progress.running)
        if self.budget.trials is not None and taken >= self.budget.trials:
            return False
        expected_macs = self.progress.training_macs + median(self.progress.macs) / 2
        if self.budget.macs is not None and expected_macs > self.budget.macs:
            return False
        if self._deadline is None:
            return True
        return self._clock() + median(self.progress.wall_s) / 2 < self._deadline

    def _macs_left(self) -> float:
        """Return the operations that one worker can still train with: by the budget, and by its speed so far."""
        spent, speed = self.progress.training_macs, self.progress.macs_per_second
        by_budget = math.inf if self.budget.macs is None else self.budget.macs - spent
        if self._deadline is None or speed is None:
            return by_budget
        return min(by_budget, speed * (self._deadline - self._clock()))

    def _share_left(self) -> float:
        """Return the share of the budget that is left, 0 to 1: of the limit that is nearest to its end."""
        budget, shares = self.budget, [1.0]
        if budget.trials is not None:
            shares.append(1 - (self.progress.trained + len(self.progress.running)) / budget.trials)
        if budget.macs is not None:
            shares.append(1 - self.progress.training_macs / budget.macs)
        if self._deadline is not None and budget.seconds:
            shares.append((self._deadline - self._clock()) / budget.seconds)
        return max(0.0, min(shares))

    @contextmanager
    def _stop_on_error(self) -> Iterator[None]:
        """Stop the run at an error of the database or of a plug-in, and keep it in ``failure``.

        An executor's callbacks must not raise.
        """
        try:
            yield
        except (StorageError, PluginError) as error:
            self.failure = error
            self._stop.set()


def run_trials(driver: Driver, executor: str, pool: WorkerPool) -> None:
    """Execute the driver's jobs until none is left, the budget is used up or the run is stopped.

    Raises RunError or StorageError if the run cannot continue.
    """
    from snnkit.kernels import prepare

    execute = executors.load(executor)
    if pool.address is None:
        prepare(pool.placement.device)  # compiles the kernels once here instead of once in each worker
    with driver.observer.running(), driver.interruptible(), contextlib.suppress(KeyboardInterrupt):
        execute(driver, pool)  # a second Ctrl-C ends it at once; the report is written all the same
    if driver.stopped_by is not None:
        driver.observer.message(f"stopped by {driver.stopped_by}; the results are stored")
    if driver.failure is not None:
        raise driver.failure
