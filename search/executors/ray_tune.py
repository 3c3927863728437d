"""The Ray Tune executor: places trials on workers, retries them and reuses the workers.

Tune knows no metric. It asks for jobs through a Searcher and brings records back. Its own experiment state is scratch
and never restored, because its snapshots lag behind the database by seconds. Written against Ray 2.60.
"""

import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # TensorBoard's takes 500 MB in the driver
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")  # never read back
os.environ.setdefault("TUNE_STATE_REFRESH_PERIOD", "3600")  # of a line that is not shown; the query may hang

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.progress_reporter import ProgressReporter
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from reports.records.study import EpochRecord, TrialRecord
from search.errors import InputError
from search.executors import Source, WorkerPool, ray_private
from search.executors.heartbeats import Heartbeats
from search.executors.ray_cluster import Ticket, code_folder, connect, node_lives, store_answers
from search.executors.ray_worker import Worker
from search.trial import cgroup
from search.trial.folder import Heartbeat, RunFolder, TrialFolder
from search.trial.job import Job
from search.trial.sync import connect as connect_files
from search.trial.watchdog import where_it_hung

MAX_RETRIES = 2  # of a trial whose worker died, without a new checkpoint; each resumes from the trial's checkpoint
MEMORY_PAUSES_S = (15.0, 60.0)  # before a trial is tried again whose worker was killed for memory without company
CHECK_INTERVAL_S = 5.0  # between two checks whether Ray is still there
STORE_TIMEOUT_S = 20.0  # a cluster's control store may come back within this time

logger = logging.getLogger(__name__)


class _Halt(BaseException):
    """Leave Tune's loop at once. Its trials stay as they are, for the next driver."""


class _RayGone(BaseException):
    """A part of Ray is gone. Not an Exception: Tune would catch it and clean up with the missing part."""


def execute(source: Source, pool: WorkerPool) -> None:
    """Run jobs on Ray workers until there are no more, or until the source stops the run. Raises InputError."""
    connect(pool)
    jobs = _Jobs(source, pool)
    tuner = Tuner(
        tune.with_resources(Worker, {"cpu": pool.cpus, "gpu": pool.gpus}),
        tune_config=TuneConfig(
            search_alg=jobs,
            num_samples=-1,
            scheduler=_Scheduler(jobs),
            max_concurrent_trials=pool.workers,  # None: as many as there is room for, and one that waits
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=RunConfig(
            name="tune",
            storage_path=pool.scratch,
            failure_config=FailureConfig(max_failures=0),  # _Jobs hands a trial out again
            # trials write their own checkpoints
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            callbacks=[_Watch(source, jobs)],
            verbose=0,
            progress_reporter=_Silent(),
        ),
    )
    try:
        tuner.fit()
    except _Halt:
        pass
    except (_RayGone, Exception) as error:  # finished trials are stored
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"Ray failed: {cause}. No results are lost; continue with: snnsearch resume") from error
    finally:
        ray.shutdown()
        shutil.rmtree(os.path.join(pool.scratch, "tune"), ignore_errors=True)


class _Unpickled:
    """Hides the state of searcher, scheduler and callbacks, which Tune pickles to disk and never reads back.

    It would contain the database's address.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Jobs(_Unpickled, Searcher):
    """Passes Tune's questions and results on to the source.

    It never raises an exception: Tune would then train a finished trial again.
    """

    def __init__(self, source: Source, pool: WorkerPool) -> None:
        super().__init__()
        self._source = source
        self._config: dict[str, Any] = {"placement": pool.placement.model_dump(mode="json")}
        if pool.address is None:
            self._config["source"] = code_folder()
        else:
            self._config["ticket"] = Ticket(sender=version("snnsearch"), exchange=pool.exchange).model_dump()
        self._live: dict[str, Job] = {}  # by Tune's trial id
        self._returned: list[Job] = []  # lost by their workers, to be handed out again
        self._losses: Counter[int] = Counter()  # by trial, in a row without a new checkpoint
        self._digests: dict[int, int] = {}  # of checkpoints, by trial
        self._room: int | None = None  # trials at once after a worker was killed for memory; before that, Tune counts
        self._paused: list[tuple[float, Job]] = []  # until memory may be free: clock seconds
        self._left: int | None = None  # trial left unfinished for want of memory, if none has ended since
        self._local = pool.address is None
        self._oom_kills = cgroup.oom_kills()
        self._drained = False  # the source had no job, and no trial has ended since
        self._sync = connect_files(pool.exchange, RunFolder(Path(pool.scratch)))

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        full = self._room is not None and len(self._live) >= self._room
        job = None if full or self._source.stopping() else self._next()
        if job is not None:
            self._live[trial_id] = job
            # as text: Tune keeps three copies of a mapping as long as it runs
            return {"number": job.number, "job": job.model_dump_json(), **self._config}
        if (self._live or self._paused) and not self._source.stopping():
            return None  # Tune asks again: a running trial may be returned, or fail and leave budget for another
        return Searcher.FINISHED  # type: ignore[return-value]  # a str, which Searcher's own hint leaves out

    def _next(self) -> Job | None:
        if self._returned:
            return self._returned.pop(0)
        if self._paused:  # no other trial meanwhile: it would lack memory too
            return self._paused.pop(0)[1] if self._paused[0][0] <= time.monotonic() else None
        if not self._drained:
            job = self._source.next()
            self._drained = job is None
            for parent in job.parents if job else ():
                if parent.study is not None:  # no worker has handed over these weights
                    self._transfer(partial(self._sync.hand_over, parent.weights))
            return job
        return None

    def _end(self, trial_id: str) -> Job | None:
        """Forget a trial that has ended, and return its job; None if it had ended before."""
        self._drained = False  # its budget may be left to another trial
        return self._live.pop(trial_id, None)

    def worthwhile(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return whether the trial with this result continues. If not, it has ended for the source."""
        if "epoch_record" not in result:
            return True
        epoch, job = EpochRecord.model_validate_json(result["epoch_record"]), self._live[trial_id]
        if epoch.measured is not None:  # the source may stop the trial, and then reads this file
            self._transfer(lambda: self._sync.fetch(job.files.start))
        continues = self._source.epoch(job.number, epoch)
        if not continues:
            self._end(trial_id)
        return continues

    def live(self, trial_id: str) -> Job | None:
        """Return the job of a trial that has not ended, else None."""
        return self._live.get(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result is not None and "unfit" in result:
            self._source.halt(result["unfit"])
        if result is not None and "record" in result and (job := self._end(trial_id)) is not None:
            self._left = None
            self._transfer(lambda: self._sync.fetch_folder(job.folder))
            self._source.finished(TrialRecord.model_validate_json(result["record"]))

    def heartbeat(self, files: TrialFolder) -> Heartbeat:
        """Return the latest heartbeat of a trial."""
        self._transfer(lambda: self._sync.fetch(files.heartbeat))
        return files.read_heartbeat()

    def _transfer(self, transfer: Callable[[], object]) -> None:
        """Fetch files that a worker has handed over, or hand some over. A failure is a warning."""
        try:
            transfer()
        except OSError as error:
            logger.warning("files not transferred error=%s", error)

    def abandon(self, trial: TuneTrial) -> None:
        """Take back a trial that Tune has given up without a record, because its worker died.

        It is handed out again as long as it makes progress, because some machines are taken away often.
        """
        job = self._end(trial.trial_id) if trial.trial_id in self._live else None
        if job is None:
            return
        self._losses[job.number] = 0 if self._has_progressed(job) else self._losses[job.number] + 1
        if self._lacked_memory(trial):
            self._wait_for_memory(job)
        elif self._losses[job.number] <= MAX_RETRIES:
            self._returned.append(job)
        else:
            place = where_it_hung(job.files)
            hung = f"; the last one hung for {job.limits.stall_timeout}: {place}" if place else ""
            reason = f"its worker died {MAX_RETRIES + 1} times without getting any further{hung}"
            self._source.lost(job.number, reason, ray_private.failure_of(trial) or "Ray gave no reason")

    def _lacked_memory(self, trial: TuneTrial) -> bool:
        """Return whether Ray or the system killed the trial's worker because memory ran out."""
        before, self._oom_kills = self._oom_kills, cgroup.oom_kills()
        return ray_private.was_killed_for_memory(trial) or (self._local and self._oom_kills > before)

    def _wait_for_memory(self, job: Job) -> None:
        """Hand ``job`` out again when memory may be free: after other trials, fewer at once, or after a pause.

        If that does not help, leave it unfinished for the next run. The run stops when two trials in a row lack memory.
        """
        killed = f"trial {job.number}: its worker was killed because memory ran out"
        tries = self._losses[job.number]
        if self._live:
            self._room = max(1, len(self._live) // 2)
            self._returned.append(job)
            self._source.note(f"{killed}. It continues later; from now on {self._room} at once")
        elif tries <= len(MEMORY_PAUSES_S):
            pause_s = MEMORY_PAUSES_S[max(0, tries - 1)]
            self._paused.append((time.monotonic() + pause_s, job))
            self._source.note(f"{killed}, although no other trial ran. It is tried again in {pause_s:.0f} s")
        elif self._left is None:
            self._left = job.number
            self._source.note(f"{killed}, {tries} times without getting any further. It is left to the next resume")
        else:
            self._source.halt(
                f"{killed}, and so was trial {self._left}'s. Free memory, or run fewer trials at once with --workers"
            )

    def _has_progressed(self, job: Job) -> bool:
        """Return whether the trial has another checkpoint than at the last call."""
        before = self._digests.get(job.number, 0)
        self._transfer(lambda: self._sync.fetch(job.files.attempts))
        self._digests[job.number] = self._sync.checkpoint_digest(job.files)
        return self._digests[job.number] != before

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study's database is the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, as in `save`."""


class _Scheduler(_Unpickled, FIFOScheduler):
    """Stops a trial when the source says so. It has no state: the study stores the measurements at rungs."""

    def __init__(self, jobs: _Jobs) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Tune leaves it untyped
        self._jobs = jobs

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        continues = self._jobs.worthwhile(trial.trial_id, result)
        return TrialScheduler.CONTINUE if continues else TrialScheduler.STOP


class _Watch(_Unpickled, Callback):
    """Watches Tune's loop.

    It takes back trials that Tune ended without telling the searcher, ends the loop on request, and kills workers that
    stand still, so that Tune starts others.
    """

    def __init__(self, source: Source, jobs: _Jobs) -> None:
        self._source = source
        self._jobs = jobs
        self._heartbeats = Heartbeats(time.monotonic, jobs.heartbeat)
        self._checked = self._answered = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        if (job := self._jobs.live(trial.trial_id)) is not None:
            self._heartbeats.restart(job)

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        if self._source.stopping():
            raise _Halt
        self._check_ray()
        for trial in trials:
            if trial.status in (TuneTrial.ERROR, TuneTrial.TERMINATED):
                self._jobs.abandon(trial)
            elif (job := self._jobs.live(trial.trial_id)) is not None:
                worker = ray_private.worker_of(trial)
                if worker is not None and self._heartbeats.stands_still(job):
                    ray.kill(worker)

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Drop the results, which are stored by now: Tune would keep them in memory as long as it runs."""
        ray_private.drop_results(trial, ("record", "epoch_record"))

    def _check_ray(self) -> None:
        """Raise _RayGone if a part of Ray is gone: Tune would wait for it forever."""
        now = time.monotonic()
        if now - self._checked < CHECK_INTERVAL_S:
            return
        self._checked = now
        if store_answers():
            self._answered = now
            if not node_lives():
                raise _RayGone("this machine's raylet is gone")
        elif now - self._answered > STORE_TIMEOUT_S:
            raise _RayGone("Ray's control store is gone")


class _Silent(ProgressReporter):
    """Prints nothing: the driver shows its own progress."""

    def should_report(self, trials: list[TuneTrial], done: bool = False) -> bool:
        return False

    def report(self, trials: list[TuneTrial], done: bool, *sys_info: Any) -> None:
        """Print nothing."""


def _name(trial: TuneTrial) -> str:
    return f"trial_{trial.config['number']}"
