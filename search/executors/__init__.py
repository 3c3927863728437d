"""Where trials run. An executor draws jobs from a Source and hands back what came of them; it decides nothing else."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol

from reports.records.study import EpochRecord, TrialRecord
from search.trial.job import Job, Placement
from snnkit.base.config import Config


class Source(Protocol):
    """What an executor asks for work and tells of it: all calls from the thread that runs the executor."""

    def next(self) -> Job | None:
        """The next job; None when no more are to be started."""

    def epoch(self, number: int, epoch: EpochRecord) -> bool:
        """A trial has finished an epoch. Whether it goes on; where not, its record is made here, and nothing more is to
        be said of it."""

    def finished(self, record: TrialRecord) -> None:
        """A trial is over, well or badly."""

    def lost(self, number: int, reason: str, traceback: str | None = None) -> None:
        """A trial's worker is gone and left no record."""

    def halt(self, reason: str) -> None:
        """Stop: a machine that cannot train would be given one job after the other."""

    def stopping(self) -> bool:
        """Whether to stop now and leave running trials to the next driver."""


class WorkerPool(Config):
    """How many trials run at once, where, and on what each."""

    workers: int | None = 1  # None: as many as a cluster has room for
    cpus: float = 1.0  # of each worker
    gpus: float = 0.0
    placement: Placement = Placement()
    address: str | None = None  # of a running Ray cluster
    exchange: str | None = None  # URL of the run's files, where its machines share no folder
    scratch: str = ""  # folder for the executor's own files


Execute = Callable[[Source, WorkerPool], None]

EXECUTORS: Mapping[str, str] = {"ray": "search.executors.ray_tune", "inline": "search.executors.inline"}


def load(name: str) -> Execute:
    """The executor called ``name``, imported now: only a launch that uses Ray pays for it."""
    execute: Execute = import_module(EXECUTORS[name]).execute
    return execute
