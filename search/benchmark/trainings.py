"""The trainings of a benchmark as Work for a Driver. A training is done if its folder has a ``result.json``."""

import math
from collections.abc import Callable, Sequence

from reports.records.study import EpochRecord, StartRecord, TrialRecord
from search.storage.url import StorageError
from search.trial.failures import WORKER_DIED
from search.trial.job import Job, outline


class Trainings:
    """Hands out the trainings that are left, and stores their records. Hold the StudyLock while you use it.

    Order: interrupted trainings first, then new and failed ones in the order of the jobs. Within a seed, CNN twins run
    before the networks that start from them, so that no twin is trained twice. A network that begins with the weights
    of other networks waits for them.

    ``over`` are the records of finished trainings: complete, or stopped for a reason of their own. ``command`` is the
    command that continues the benchmark.
    """

    def __init__(self, jobs: Sequence[Job], command: str) -> None:
        results = {job.number: job.files.read_result() for job in jobs}
        self.over = tuple(r for r in results.values() if r is not None and r.status != "failed")
        left = [job for job in jobs if job.number not in {record.number for record in self.over}]
        self._begun = [job for job in left if results[job.number] is None and job.files.exists()]
        self._waiting = _twins_first([job for job in left if job not in self._begun])
        self._jobs = {job.number: job for job in left}
        self._ended = {record.number: record for record in self.over}
        self._command = command

    @property
    def left(self) -> int:
        """Number of trainings that are still to be drawn."""
        return len(self._begun) + len(self._waiting)

    @property
    def interrupted(self) -> bool:
        return bool(self._begun)

    def next(
        self, record: Callable[[TrialRecord], None], macs_left: float = math.inf, share_left: float = 1.0
    ) -> Job | None:
        """Return the next job; None if none is ready. A training that failed in an earlier run is repeated, because the
        cause may have been a full disk. Raises StorageError."""
        job = self._drawn(record)
        if job is not None and job.files.read_result() is not None:
            try:
                job.files.discard_failure()
            except OSError as error:
                raise self._unwritable(job, error) from error
        return job

    def _drawn(self, record: Callable[[TrialRecord], None]) -> Job | None:
        """Return the first job whose parents are trained. Jobs whose parents have no weights are stored as failed."""
        for job in (*self._begun, *self._waiting):
            ended = [self._ended[parent.number] for parent in job.parents if parent.number in self._ended]
            if without := next((parent for parent in ended if parent.status != "complete"), None):
                reason = f"there are no weights of {without.name}, which is {without.status}: {without.reason}"
                record(self._fail(self._taken(job), reason, kind=f"no weights of training {without.number}"))
            elif len(ended) == len(job.parents):
                return self._with_ledgers(self._taken(job))
        return None

    def _with_ledgers(self, job: Job) -> Job:
        """Return ``job`` with the images and operations that its parents' weights took to train.

        Trainings that several parents share are counted with the first parent.
        """
        counted: set[str] = set()
        parents = []
        for parent in job.parents:
            images, macs = self._behind(parent.number, counted)
            parents.append(parent.model_copy(update={"images": images, "macs": macs}))
        return job.with_parents(parents)

    def _behind(self, number: int, counted: set[str]) -> tuple[int, float]:
        """Return images and multiply-accumulates of a training and of all trainings whose weights it began with.

        Trainings in ``counted`` are left out, and the others are added to it.
        """
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
        """Write the record to the training's folder if its worker could not, and return it. Raises StorageError."""
        job = self._jobs[record.number]
        if job.files.read_result() != record:
            try:
                job.files.write_result(record)
            except OSError as error:
                raise self._unwritable(job, error) from error
        self._ended[record.number] = record
        return record

    def prune(self, number: int, epoch: EpochRecord) -> None:
        """Do nothing: every training of a benchmark runs to its end."""

    def lost(self, number: int, reason: str, traceback: str | None = None) -> TrialRecord:
        return self._fail(self._jobs[number], reason, kind=WORKER_DIED, traceback=traceback)

    def _fail(self, job: Job, reason: str, *, kind: str, traceback: str | None = None) -> TrialRecord:
        record = outline(job, status="failed", reason=reason, traceback=traceback)
        return self.finish(record.model_copy(update={"failure_kind": kind}))

    def remedy(self, number: int) -> str:
        return f"see: {self._jobs[number].files.log_file}; after correcting the cause: {self._command}"

    def _unwritable(self, job: Job, error: OSError) -> StorageError:
        return StorageError(
            f"cannot write to {job.folder}: {error.strerror or error}. No results are lost: make the folder "
            f"writable or free some space, then: {self._command}"
        )


def _twins_first(jobs: list[Job]) -> list[Job]:
    """Sort by seed, and within a seed put the CNN twins that networks start from first."""
    seeds = list(dict.fromkeys(job.seed for job in jobs))
    return sorted(
        jobs, key=lambda job: (seeds.index(job.seed), not (job.is_twin and job.candidate.train.start == "cnn"))
    )
