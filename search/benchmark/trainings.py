"""The trainings of a benchmark as Work for a Driver. A training is done if its folder has a ``result.json``."""

import math
from collections.abc import Callable, Collection, Hashable, Sequence

from reports.records.study import EpochRecord, StartRecord, TrialRecord
from search.storage.url import StorageError
from search.trial.failures import WORKER_DIED
from search.trial.job import FromCnnTwin, Job, outline

Fits = Callable[[Sequence[Job], Collection[int], Sequence[TrialRecord]], bool]


class Trainings:
    """Hands out the trainings that are left, and stores their records. Hold the StudyLock while you use it.

    Order: interrupted trainings first, then new and failed ones in the order of the jobs. A CNN twin runs directly
    before the networks that start from it, and they wait for it, so that no twin is trained twice. A network that
    begins with the weights of other networks waits for them.

    ``over`` are the records of finished trainings: complete, or stopped for a reason of their own. ``command`` is the
    command that continues the benchmark. ``fits`` takes jobs, the numbers of those that are done, and the records of
    this and earlier runs. It returns whether the time left is enough for the jobs. Jobs that do not fit are left to the
    next run; the first network with its twin is trained in any case.
    """

    def __init__(self, jobs: Sequence[Job], command: str, fits: Fits | None = None) -> None:
        self._all = tuple(jobs)
        self._twin_keys = {job.number: job.twin_key for job in jobs}
        results = {job.number: job.files.read_result() for job in jobs}
        self.over = tuple(r for r in results.values() if r is not None and r.status != "failed")
        left = [job for job in jobs if job.number not in {record.number for record in self.over}]
        self._begun = [job for job in left if results[job.number] is None and job.files.exists()]
        self._waiting = _with_their_twins([job for job in left if job not in self._begun])
        self._drawn: list[Job] = []
        self._jobs = {job.number: job for job in left}
        self._ended = {record.number: record for record in self.over}
        self._command = command
        self._fits = fits

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
        job = self._first_ready(record)
        if job is not None and job.files.read_result() is not None:
            try:
                job.files.discard_failure()
            except OSError as error:
                raise self._unwritable(job, error) from error
        return job

    def _first_ready(self, record: Callable[[TrialRecord], None]) -> Job | None:
        """Return the first job that need not wait and fits the time left. Jobs whose parents have no weights are
        stored as failed."""
        for job in (*self._begun, *self._waiting):
            ended = [self._ended[parent.number] for parent in job.parents if parent.number in self._ended]
            if without := next((parent for parent in ended if parent.status != "complete"), None):
                reason = f"there are no weights of {without.name}, which is {without.status}: {without.reason}"
                record(self._fail(self._taken(job), reason, kind=f"no weights of training {without.number}"))
            elif len(ended) == len(job.parents) and self._is_ready(job):
                return self._with_ledgers(self._taken(job))
        return None

    def _is_ready(self, job: Job) -> bool:
        """Return whether the twin that ``job`` needs is not in training, and the job fits the time left."""
        if job in self._begun:
            return True
        key = self._twin_keys[job.number]
        twins = [each for each in self._drawn if key is not None and self._twin_keys[each.number] == key]
        if twins and not any(each.number in self._ended for each in twins):
            return False  # it is in training
        if self._fits is None or (job is self._waiting[0] and all(each.is_twin for each in self._drawn)):
            return True
        done = [each for each in self._all if each.number in self._ended]
        together = [*done, job, *self._network_of(job)]
        return self._fits(together, [each.number for each in done], tuple(self._ended.values()))

    def _network_of(self, job: Job) -> list[Job]:
        """Return the next network that starts from ``job`` if that is a CNN twin: a twin alone is of no use."""
        if not job.is_twin:
            return []
        networks = (each for each in self._waiting if isinstance(each.initialization, FromCnnTwin))
        key = self._twin_keys[job.number]
        return [each for each in networks if self._twin_keys[each.number] == key][:1]

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
        self._drawn.append(job)
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


def _with_their_twins(jobs: list[Job]) -> list[Job]:
    """Sort by seed, and put each CNN twin that networks start from directly before the first of them."""
    seeds = list(dict.fromkeys(job.seed for job in jobs))
    place: dict[Hashable, int] = {}

    def order(job: Job) -> tuple[int, int, bool]:
        key = job.twin_key
        if key is None:
            return seeds.index(job.seed), jobs.index(job), True
        return seeds.index(job.seed), place.setdefault(key, jobs.index(job)), not job.is_twin

    return sorted(jobs, key=order)
