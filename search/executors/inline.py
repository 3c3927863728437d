"""Run trials one after the other in this process: for debugging, for tests, and for machines without Ray."""

from reports.records.study import TrialRecord
from search.executors import Source, WorkerPool
from search.trial.run import run


def execute(source: Source, pool: WorkerPool) -> None:
    """Run jobs until there are no more, or until the source stops the run."""
    while not source.stopping() and (job := source.next()) is not None:
        for event in run(job, pool.placement):
            if isinstance(event, TrialRecord):
                source.finished(event)
                continue
            worthwhile = source.epoch(job.number, event)
            if source.stopping():
                return
            if not worthwhile:
                break
