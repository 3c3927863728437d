"""Ray Tune as executor: placement, retries, reuse of workers. The only file that imports ray.

Tune is told of no metric and keeps no truth: it asks for jobs through a Searcher and brings records back. Its own
experiment state is scratch, never restored (its snapshots lag behind the database by seconds). Written against 2.60.
"""

import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # TensorBoard's costs 500 MB in the driver
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")  # never read back

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.progress_reporter import ProgressReporter
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from reports.record import EpochRecord, TrialRecord
from search.errors import InputError
from search.executors import Crew, Source
from search.job import Job, Placement
from search.watchdog import Heartbeats, where_it_hung

RETRIES = 2  # of a trial whose worker died; each goes on from the trial's checkpoint
SECRETS = ("SNNSEARCH_STORAGE", "PGPASSWORD")
PASSWORD = r"(\w://[^\s:/@]*:)[^\s@]+@"  # in an address
OBJECT_STORE_BYTES = 128 * 2**20  # records and jobs are kilobytes; data sets are read from disk by each worker


class _Halt(BaseException):
    """Leaves Tune's loop at once; its trials stay as they are for the next driver."""


def execute(source: Source, crew: Crew) -> None:
    """Run jobs on ``crew.workers`` Ray workers until there are no more, or until the source says stop."""
    _connect(crew)
    jobs = _Jobs(source, crew)
    threads = crew.placement.threads
    resources = {"cpu": threads, "gpu": 1 / crew.workers if crew.placement.device == "cuda" else 0}
    tuner = Tuner(
        tune.with_resources(_Worker, resources),
        tune_config=TuneConfig(
            search_alg=jobs,
            num_samples=-1,
            scheduler=_Rungs(jobs),
            max_concurrent_trials=crew.workers,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=RunConfig(
            name="tune",
            storage_path=crew.scratch,
            failure_config=FailureConfig(max_failures=RETRIES),
            # trials keep checkpoints of their own
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
    except Exception as error:  # of Ray, whose processes may be gone; what they trained is stored
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"Ray failed: {cause}. Nothing that was trained is lost; go on: snnsearch resume") from error
    finally:
        ray.shutdown()
        shutil.rmtree(os.path.join(crew.scratch, "tune"), ignore_errors=True)


@contextmanager
def _secrets_kept() -> Iterator[None]:
    """All of Ray's processes inherit the driver's environment, and its command line is shown to whoever lists the jobs
    of a cluster: neither is to hold the database's password, which only the driver needs."""
    if re.search(PASSWORD, " ".join(sys.argv)):
        title = re.sub(PASSWORD, r"\1***@", " ".join(sys.argv))
        ray._raylet.setproctitle(title)  # type: ignore[attr-defined]  # compiled, and without types
    kept = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _connect(crew: Crew) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    with _secrets_kept():
        _init(crew)


def _init(crew: Crew) -> None:
    if crew.address:
        try:
            ray.init(address=crew.address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError) as error:
            cause = str(error).splitlines()[0]
            raise InputError(
                f"--address {crew.address}: no Ray cluster answers: {cause}. Start one: ray start --head"
            ) from error
        return
    ray.init(
        num_cpus=crew.workers * crew.placement.threads,
        num_gpus=1 if crew.placement.device == "cuda" else 0,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
    )


class _Worker(tune.Trainable):
    """One trial after the other in one process: a step is an epoch, the last one brings the record."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._job = Job.model_validate(new_config["job"])
        self._placement = Placement.model_validate(new_config["placement"])
        self._events: Iterator[EpochRecord | TrialRecord] | None = None
        return True

    def step(self) -> dict[str, Any]:
        from search.trial import run  # imports torch: in the worker, not in the driver

        if self._events is None:
            self._events = run(self._job, self._placement)
        event = next(self._events)
        if isinstance(event, TrialRecord):
            return {"record": event.model_dump_json(), "done": True}  # as text: Tune flattens mappings
        return {"epoch_record": event.model_dump_json()}


class _Unpickled:
    """Tune pickles its searcher, scheduler and callbacks to disk, and ours would hold the database's address. They are
    never read back."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class _Jobs(_Unpickled, Searcher):
    """Tune's questions and answers, passed on. Never raises: Tune would train a finished trial again."""

    def __init__(self, source: Source, crew: Crew) -> None:
        super().__init__()
        self._source = source
        self._placement = crew.placement.model_dump(mode="json")
        self._live: dict[str, Job] = {}  # by Tune's trial id

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        job = None if self._source.stopping() else self._source.next()
        if job is None:
            return Searcher.FINISHED  # type: ignore[return-value]  # a str, which Searcher's own hint leaves out
        self._live[trial_id] = job
        return {"job": job.model_dump(mode="json"), "placement": self._placement}

    def worthwhile(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial that has come to this result goes on; where not, it is over for us."""
        if "epoch_record" not in result:
            return True
        epoch = EpochRecord.model_validate_json(result["epoch_record"])
        goes_on = self._source.epoch(self._live[trial_id].number, epoch)
        if not goes_on:
            del self._live[trial_id]
        return goes_on

    def live(self, trial_id: str) -> Job | None:
        """The job of a trial that is not over for us."""
        return self._live.get(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result is not None and "record" in result and self._live.pop(trial_id, None) is not None:
            self._source.finished(TrialRecord.model_validate_json(result["record"]))

    def abandon(self, trial: TuneTrial) -> None:
        """Tune has given a trial up without a record: its worker died too often."""
        job = self._live.pop(trial.trial_id, None)
        if job is not None:
            cause = str(trial.get_pickled_error() or trial.get_error() or "Ray gave no reason").strip()
            place = where_it_hung(job.folder)
            hung = f", at last since it hung for {job.limits.silence}: {place}" if place else ""
            self._source.lost(job.number, f"its worker died {RETRIES + 1} times{hung}", cause)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study's database is the only state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: see `save`."""


class _Rungs(_Unpickled, FIFOScheduler):
    """Stops a trial where the source says so. It keeps no state: what trials had at rungs is in the study."""

    def __init__(self, jobs: _Jobs) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Tune leaves it untyped
        self._jobs = jobs

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        goes_on = self._jobs.worthwhile(trial.trial_id, result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP


class _Watch(_Unpickled, Callback):
    """Sees every trial that Tune ended without telling the searcher, and ends the loop on request; ends workers that
    stand still, for Tune to start others."""

    def __init__(self, source: Source, jobs: _Jobs) -> None:
        self._source = source
        self._jobs = jobs
        self._heartbeats = Heartbeats(time.monotonic)

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        if self._source.stopping():
            raise _Halt
        for trial in trials:
            if trial.status in (TuneTrial.ERROR, TuneTrial.TERMINATED):
                self._jobs.abandon(trial)
            elif trial.status == TuneTrial.RUNNING and (job := self._jobs.live(trial.trial_id)) is not None:
                worker = trial.temporary_state.ray_actor
                if worker is not None and self._heartbeats.stands_still(job):
                    ray.kill(worker)


class _Silent(ProgressReporter):
    """The driver draws its own progress."""

    def should_report(self, trials: list[TuneTrial], done: bool = False) -> bool:
        return False

    def report(self, trials: list[TuneTrial], done: bool, *sys_info: Any) -> None:
        """Nothing."""


def _name(trial: TuneTrial) -> str:
    return f"trial_{trial.config['job']['number']}"
