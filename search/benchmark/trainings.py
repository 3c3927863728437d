"""The trainings of a benchmark as Work for a Driver. Each one's ``result.json`` is the only truth of what is done."""

from collections.abc import Callable, Sequence

from reports.record import EpochRecord, TrialRecord
from reports.results import read_result, write_result
from search.job import Job, forget, outline
from search.storage import StorageError


class Trainings:
    """Those that were interrupted go first, then those that were never begun or failed, in the order of the jobs; but
    of a seed the twins that networks start from go before these, or two workers would train the same one, and what goes
    on from the weights of another one waits for it.

    ``over`` are the records of those that are done: complete, or stopped for a reason of their own. ``again`` is the
    command that goes on with the benchmark. Hold its Lease while you draw jobs.
    """

    def __init__(self, jobs: Sequence[Job], again: str) -> None:
        results = {job.number: read_result(job.folder) for job in jobs}
        self.over = tuple(r for r in results.values() if r is not None and r.status != "failed")
        left = [job for job in jobs if job.number not in {record.number for record in self.over}]
        self._begun = [job for job in left if results[job.number] is None and job.folder.is_dir()]
        self._waiting = _twins_first([job for job in left if job not in self._begun])
        self._jobs = {job.number: job for job in left}
        self._ended = {record.number: record for record in self.over}
        self._again = again

    @property
    def left(self) -> int:
        """How many are still to be drawn."""
        return len(self._begun) + len(self._waiting)

    @property
    def interrupted(self) -> bool:
        return bool(self._begun)

    def next(self, told: Callable[[TrialRecord], None]) -> Job | None:
        """The next job. One that failed in an earlier run is tried anew: the cause may have been a full disk."""
        job = self._drawn(told)
        if job is not None and read_result(job.folder) is not None:
            try:
                forget(job.folder)
            except OSError as error:
                raise self._unwritable(job, error) from error
        return job

    def _drawn(self, told: Callable[[TrialRecord], None]) -> Job | None:
        """The first whose parent, if it has one, is trained; those whose parent will have no weights are lost."""
        for job in (*self._begun, *self._waiting):
            if job.parent is None:
                return self._taken(job)
            parent = self._ended.get(job.parent.number)
            if parent is None:
                continue
            self._taken(job)
            if parent.status == "complete":
                return job.model_copy(update={"parent": job.parent.trained(parent)})
            reason = f"there are no weights of {parent.name}, which is {parent.status}: {parent.reason}"
            told(self.lost(job.number, reason))
        return None

    def _taken(self, job: Job) -> Job:
        (self._begun if job in self._begun else self._waiting).remove(job)
        return job

    def finish(self, record: TrialRecord) -> TrialRecord:
        """Makes sure that the record is where the next run looks for it: a worker may not have been able to write it.
        Raises StorageError."""
        job = self._jobs[record.number]
        if read_result(job.folder) != record:
            try:
                job.folder.mkdir(parents=True, exist_ok=True)
                write_result(job.folder, record)
            except OSError as error:
                raise self._unwritable(job, error) from error
        self._ended[record.number] = record
        return record

    def judge(self, number: int, epoch: EpochRecord) -> None:
        """Every training of a benchmark runs to its end."""

    def lost(self, number: int, reason: str, traceback: str | None = None) -> TrialRecord:
        return self.finish(outline(self._jobs[number], status="failed", reason=reason, traceback=traceback))

    def remedy(self, number: int) -> str:
        return f"see: {self._jobs[number].folder / 'log.txt'}; when it is put right: {self._again}"

    def _unwritable(self, job: Job, error: OSError) -> StorageError:
        return StorageError(
            f"cannot write to {job.folder}: {error.strerror or error}. What is trained is kept; make the folder "
            f"writable or free some space, then: {self._again}"
        )


def _twins_first(jobs: list[Job]) -> list[Job]:
    seeds = list(dict.fromkeys(job.seed for job in jobs))
    return sorted(jobs, key=lambda job: (seeds.index(job.seed), not (job.twin and job.candidate.train.start == "cnn")))
