"""The loop of every run: hands jobs to an executor within the budget, and has what comes back stored."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Protocol

from reports.records.study import EpochRecord, TrialRecord
from search.errors import InputError
from search.runner.progress import LAST, Running, RunProgress, median
from search.storage.url import StorageError
from search.trial.job import Job

OVERTIME = 0.25  # share of the time budget that running trials get to finish; then they are left to `resume`
FAILURES = LAST  # equal ones in a row, after which the cause is not the candidate: a full disk, a missing file


class RunError(InputError):
    """The run cannot go on until a person puts something right."""


class Work(Protocol):
    """What a Driver draws jobs from and hands their records to: a study, a benchmark."""

    @property
    def interrupted(self) -> bool:
        """Whether a trial that an earlier driver left is still to be taken up."""

    def next(self, told: Callable[[TrialRecord], None]) -> Job | None:
        """The next job; None where there is none. What is not worth training is recorded and passed to ``told``."""

    def finish(self, record: TrialRecord) -> TrialRecord:
        """Store ``record``, and return it as stored. Raises StorageError."""

    def judge(self, number: int, epoch: EpochRecord) -> TrialRecord | None:
        """The record, stored, of a trial that is not worth more than ``epoch``; None where it goes on.
        Raises StorageError."""

    def lost(self, number: int, reason: str, traceback: str | None = None) -> TrialRecord:
        """Store that no worker will finish the trial, and return its record. Raises StorageError."""

    def remedy(self, number: int) -> str:
        """How to look at a trial that failed, and how to go on when its cause is gone."""


@dataclass(frozen=True)
class Budget:
    """What this run may use: trials in all and dense multiply-accumulates of training in all, those of earlier runs
    included; seconds of this run. None: no bound."""

    trials: int | None
    seconds: float | None
    macs: float | None = None

    def less(self, seconds: float, macs: float) -> "Budget":
        """What is left after so much of it was used for something else than trials."""
        return replace(
            self,
            seconds=None if self.seconds is None else self.seconds - seconds,
            macs=None if self.macs is None else self.macs - macs,
        )


class Driver:
    """The Source that executors draw from: some Work within a Budget. One thread calls it."""

    def __init__(
        self,
        work: Work,
        budget: Budget,
        before: RunProgress,
        watch: Callable[[RunProgress, TrialRecord | None], None],
        clock: Callable[[], float] = time.monotonic,
        stop: threading.Event | None = None,
    ) -> None:
        now = clock()
        self._work = work
        self._budget = budget
        self._watch = watch
        self._clock = clock
        self._stop = stop or threading.Event()  # whoever waits for a database gives up when it is set
        self._deadline = None if budget.seconds is None else now + budget.seconds
        self.failure: InputError | None = None
        self.progress = replace(before, started_at=now, deadline=self._deadline, trials=budget.trials)

    # -- Source ---------------------------------------------------------------------------------------------------

    def next(self) -> Job | None:
        if self._stop.is_set() or not self._affordable():
            return None
        with self._stop_on_storage_error():
            job = self._work.next(self._told)
            if job is not None:
                epochs = job.candidate.train.epochs
                self.progress = self.progress.started(Running(job.number, job.name, self._clock(), epochs))
                self._watch(self.progress, None)
            return job
        return None

    def epoch(self, number: int, epoch: EpochRecord) -> bool:
        self.progress = self.progress.epoch(number, epoch)
        self._watch(self.progress, None)
        with self._stop_on_storage_error():
            record = self._work.judge(number, epoch)
            if record is not None:
                self._told(record)
                return False
        return True

    def finished(self, record: TrialRecord) -> None:
        with self._stop_on_storage_error():
            self._told(self._work.finish(record))

    def lost(self, number: int, reason: str, traceback: str | None = None) -> None:
        with self._stop_on_storage_error():
            self._told(self._work.lost(number, reason, traceback))

    def halt(self, reason: str) -> None:
        self.failure = RunError(f"{reason}. Nothing that was trained is lost: put it right and resume")
        self._stop.set()

    def stopping(self) -> bool:
        if self._deadline is not None and self._budget.seconds is not None:
            overtime = self._clock() - self._deadline
            if overtime > OVERTIME * self._budget.seconds:
                self._stop.set()
        if self._budget.macs is not None and self.progress.training_macs >= self._budget.macs:
            self._stop.set()
        return self._stop.is_set()

    # -- the rest -------------------------------------------------------------------------------------------------

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the run at the next event; a second Ctrl-C ends it at once."""

        def stop(signum: int, frame: FrameType | None) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt
            self._stop.set()
            self.progress = replace(self.progress, stopping=True)
            self._watch(self.progress, None)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _told(self, record: TrialRecord) -> None:
        self.progress = self.progress.ended(record)
        self._watch(self.progress, record)
        if self.progress.last == (("failed", record.reason),) * FAILURES:
            self.failure = RunError(
                f"{FAILURES} trials in a row failed: {record.reason}. Stopped, for the next would fail too; "
                f"{self._work.remedy(record.number)}"
            )
            self._stop.set()

    def _affordable(self) -> bool:
        """Whether one more trial fits: by count, and half of it by time and by operations, going by the median of
        the trials trained to the end so far."""
        taken = self.progress.trained + len(self.progress.running)
        if self._work.interrupted:
            return True  # what was begun is finished, whatever was asked for on top
        if self._budget.trials is not None and taken >= self._budget.trials:
            return False
        expected_macs = self.progress.training_macs + median(self.progress.macs) / 2
        if self._budget.macs is not None and expected_macs > self._budget.macs:
            return False
        if self._deadline is None:
            return True
        return self._clock() + median(self.progress.wall_s) / 2 < self._deadline

    @contextmanager
    def _stop_on_storage_error(self) -> Iterator[None]:
        """An executor's callbacks must not raise: the error is kept for the end, and the run stops."""
        try:
            yield
        except StorageError as error:
            self.failure = error
            self._stop.set()
