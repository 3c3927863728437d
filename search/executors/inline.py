"""Trials one after the other in this process: for debugging, for tests, for machines without Ray."""

from reports.records.study import TrialRecord
from search.executors import Source, WorkerPool
from search.trial.run import run


def execute(source: Source, crew: WorkerPool) -> None:
    """Run jobs until there are no more, or until the source says stop."""
    while not source.stopping() and (job := source.next()) is not None:
        for event in run(job, crew.placement):
            if isinstance(event, TrialRecord):
                source.finished(event)
                continue
            worthwhile = source.epoch(job.number, event)
            if source.stopping():
                return
            if not worthwhile:
                break
