"""The trainings of a benchmark as Work for a Driver. Each one's ``result.json`` is the only truth of what is done."""

from collections.abc import Callable, Sequence

from reports.records.study import EpochRecord, StartRecord, TrialRecord
from search.storage.url import StorageError
from search.trial.failures import WORKER_DIED
from search.trial.job import Job, outline


class Trainings:
    """Those that were interrupted go first, then those that were never begun or failed, in the order of the jobs; but
    of a seed the twins that networks start from go before these, or two workers would train the same one, and what goes
    on from the weights of another one, or is the mean of several, waits for them.

    ``over`` are the records of those that are done: complete, or stopped for a reason of their own. ``again`` is the
    command that goes on with the benchmark. Hold its Lease while you draw jobs.
    """

    def __init__(self, jobs: Sequence[Job], again: str) -> None:
        results = {job.number: job.files.read_result() for job in jobs}
        self.over = tuple(r for r in results.values() if r is not None and r.status != "failed")
        left = [job for job in jobs if job.number not in {record.number for record in self.over}]
        self._begun = [job for job in left if results[job.number] is None and job.files.exists()]
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

    def next(self, record: Callable[[TrialRecord], None]) -> Job | None:
        """The next job. One that failed in an earlier run is tried anew: the cause may have been a full disk."""
        job = self._drawn(record)
        if job is not None and job.files.read_result() is not None:
            try:
                job.files.discard_failure()
            except OSError as error:
                raise self._unwritable(job, error) from error
        return job

    def _drawn(self, record: Callable[[TrialRecord], None]) -> Job | None:
        """The first whose parents, if it has any, are trained; those whose parents will have no weights are lost."""
        for job in (*self._begun, *self._waiting):
            ended = [self._ended[parent.number] for parent in job.parents if parent.number in self._ended]
            if without := next((parent for parent in ended if parent.status != "complete"), None):
                reason = f"there are no weights of {without.name}, which is {without.status}: {without.reason}"
                record(self._fail(self._taken(job), reason, kind=f"no weights of training {without.number}"))
            elif len(ended) == len(job.parents):
                return self._with_ledgers(self._taken(job))
        return None

    def _with_ledgers(self, job: Job) -> Job:
        """``job`` with what stands behind its parents' weights, what they share being counted with the first."""
        counted: set[str] = set()
        parents = []
        for parent in job.parents:
            images, macs = self._behind(parent.number, counted)
            parents.append(parent.model_copy(update={"images": images, "macs": macs}))
        return job.with_parents(parents)

    def _behind(self, number: int, counted: set[str]) -> tuple[int, float]:
        """Images and multiply-accumulates of a training and of all that it began with, but for what is ``counted``."""
        if str(number) in counted:
            return 0, 0.0
        counted.add(str(number))
        record = self._ended[number]
        start = record.start or StartRecord(kind="scratch")
        behind = [(record.training_images, record.training_macs)]
        twin = f"twin of {number if start.parent is None else start.parent}"
        if start.kind == "cnn" and twin not in counted:
            counted.add(twin)
            behind.append((start.inherited_images, start.inherited_macs))
        if start.kind == "inherit" and start.parent is not None:
            behind.append(self._behind(start.parent, counted))
        behind += [self._behind(parent, counted) for parent in start.parents]
        return sum(images for images, _ in behind), sum(macs for _, macs in behind)

    def _taken(self, job: Job) -> Job:
        (self._begun if job in self._begun else self._waiting).remove(job)
        return job

    def finish(self, record: TrialRecord) -> TrialRecord:
        """Makes sure that the record is where the next run looks for it: a worker may not have been able to write it.
        Raises StorageError."""
        job = self._jobs[record.number]
        if job.files.read_result() != record:
            try:
                job.files.write_result(record)
            except OSError as error:
                raise self._unwritable(job, error) from error
        self._ended[record.number] = record
        return record

    def prune(self, number: int, epoch: EpochRecord) -> None:
        """Every training of a benchmark runs to its end."""

    def lost(self, number: int, reason: str, traceback: str | None = None) -> TrialRecord:
        return self._fail(self._jobs[number], reason, kind=WORKER_DIED, traceback=traceback)

    def _fail(self, job: Job, reason: str, *, kind: str, traceback: str | None = None) -> TrialRecord:
        record = outline(job, status="failed", reason=reason, traceback=traceback)
        return self.finish(record.model_copy(update={"failure_kind": kind}))

    def remedy(self, number: int) -> str:
        return f"see: {self._jobs[number].files.log_file}; when it is put right: {self._again}"

    def _unwritable(self, job: Job, error: OSError) -> StorageError:
        return StorageError(
            f"cannot write to {job.folder}: {error.strerror or error}. What is trained is kept; make the folder "
            f"writable or free some space, then: {self._again}"
        )


def _twins_first(jobs: list[Job]) -> list[Job]:
    """Sort by seed, and within a seed put the CNN twins that networks start from first."""
    seeds = list(dict.fromkeys(job.seed for job in jobs))
    return sorted(
        jobs, key=lambda job: (seeds.index(job.seed), not (job.is_twin and job.candidate.train.start == "cnn"))
    )
