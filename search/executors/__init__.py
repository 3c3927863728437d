"""Executors run trials. An executor draws jobs from a Source and returns their results; it decides nothing else."""

from collections.abc import Callable
from typing import Protocol

from reports.records.study import EpochRecord, TrialRecord
from search.registries import EXECUTORS, load_implementation
from search.trial.job import Job, Placement
from snnkit.base.config import Config


class Source(Protocol):
    """Gives an executor its jobs and takes the results. All calls come from the thread that runs the executor."""

    def next(self) -> Job | None:
        """Return the next job; None if no more are to be started."""

    def epoch(self, number: int, epoch: EpochRecord) -> bool:
        """Take a finished epoch of a trial, and return whether the trial continues.

        If not, the source makes the trial's record, and the executor reports nothing more about it.
        """

    def finished(self, record: TrialRecord) -> None:
        """Take the record of a trial that has ended, well or badly."""

    def lost(self, number: int, reason: str, traceback: str | None = None) -> None:
        """Record that a trial's worker is gone and left no record."""

    def note(self, text: str) -> None:
        """Show ``text`` to those who follow the run: something happened that is no trial's end."""

    def halt(self, reason: str) -> None:
        """Stop the run: a machine that cannot train would take one job after the other."""

    def stopping(self) -> bool:
        """Return whether to stop now and leave running trials to the next driver."""


class WorkerPool(Config):
    """The number of workers, what each one gets, and the machines they run on."""

    workers: int | None = 1  # None: as many as a cluster has room for
    cpus: float = 1.0  # of each worker
    gpus: float = 0.0
    placement: Placement = Placement()
    address: str | None = None  # of a running Ray cluster
    exchange: str | None = None  # URL for the run's files; None: all machines share the run's folder
    scratch: str = ""  # the run's folder, absolute; an executor may keep files of its own in it


Execute = Callable[[Source, WorkerPool], None]


def load(name: str) -> Execute:
    """Return the executor called ``name``, imported now: only a launch that uses Ray pays for its import."""
    execute: Execute = load_implementation(EXECUTORS, name)
    return execute
