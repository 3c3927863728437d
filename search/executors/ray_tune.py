"""Ray Tune as executor: placement, retries, reuse of workers.

Tune is told of no metric and keeps no truth: it asks for jobs through a Searcher and brings records back. Its own
experiment state is scratch, never restored (its snapshots lag behind the database by seconds). Written against 2.60.
"""

import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # TensorBoard's costs 500 MB in the driver
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "3600")  # never read back
os.environ.setdefault("TUNE_STATE_REFRESH_PERIOD", "3600")  # for a line that is not shown, and waits for the store

import ray
from ray import tune
from ray.tune import Callback, CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.progress_reporter import ProgressReporter
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from reports.records.study import EpochRecord, TrialRecord
from search.errors import InputError
from search.executors import Source, WorkerPool
from search.executors.ray_cluster import Ticket, Unfit, board, connect, node_lives, store_answers
from search.trial import sync
from search.trial.job import BEAT, START, STARTS, Job, Placement, Starts, reached, read_starts
from search.trial.sync import Exchange, handed_over
from search.trial.watchdog import Beat, Heartbeats, every_s, read_beat, where_it_hung

RETRIES = 2  # of a trial whose worker died; each goes on from the trial's checkpoint
LOOK_EVERY_S = 5.0  # whether Ray is still there
STORE_AWAY_S = 20.0  # a cluster's control store may come back


logger = logging.getLogger(__name__)


class _Halt(BaseException):
    """Leaves Tune's loop at once; its trials stay as they are for the next driver."""


class _Gone(BaseException):
    """A part of Ray is. No Exception, upon which Tune would clean up with what is no longer there."""


def execute(source: Source, crew: WorkerPool) -> None:
    """Run jobs on Ray workers until there are no more, or until the source says stop."""
    connect(crew)
    jobs = _Jobs(source, crew)
    tuner = Tuner(
        tune.with_resources(_Worker, {"cpu": crew.cpus, "gpu": crew.gpus}),
        tune_config=TuneConfig(
            search_alg=jobs,
            num_samples=-1,
            scheduler=_Rungs(jobs),
            max_concurrent_trials=crew.workers,  # None: as many as there is room for, and one that waits
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
    except (_Gone, Exception) as error:  # what was trained is stored
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"Ray failed: {cause}. Nothing that was trained is lost; go on: snnsearch resume") from error
    finally:
        ray.shutdown()
        shutil.rmtree(os.path.join(crew.scratch, "tune"), ignore_errors=True)


class _Worker(tune.Trainable):
    """One trial after the other in one process: a step is an epoch, the last one brings the record."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._job = Job.model_validate_json(new_config["job"])
        self._placement = Placement.model_validate(new_config["placement"])
        ticket = new_config.get("ticket")  # none where the workers are the driver's own
        self._ticket = None if ticket is None else Ticket.model_validate(ticket)
        self._events: Iterator[EpochRecord | TrialRecord] | None = None
        return True

    def step(self) -> dict[str, Any]:
        from search.trial.run import run  # imports torch: in the worker, not in the driver

        if self._events is None:
            job, placement = self._job, self._placement
            try:
                if self._ticket is not None:
                    job, placement = board(job, placement, self._ticket)
            except Unfit as unfit:
                return {"unfit": str(unfit), "done": True}
            events = run(job, placement)
            self._events = events if job.exchange is None else handed_over(job, events, every_s(job.limits))
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

    def __init__(self, source: Source, crew: WorkerPool) -> None:
        super().__init__()
        self._source = source
        self._config: dict[str, Any] = {"placement": crew.placement.model_dump(mode="json")}
        if crew.address is not None:
            self._config["ticket"] = Ticket(sender=version("snnsearch"), exchange=crew.exchange).model_dump()
        self._live: dict[str, Job] = {}  # by Tune's trial id
        self._again: list[Job] = []  # to be handed out once more
        self._losses: Counter[int] = Counter()  # by trial, without getting any further
        self._stamps: dict[int, int] = {}  # by trial, of its checkpoint
        self._drained = False  # no job was left, and nothing has ended since
        self._exchange = None if crew.exchange is None else sync.of(crew.exchange, Path(crew.scratch))

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        job = None if self._source.stopping() else self._next()
        if job is not None:
            self._live[trial_id] = job
            # as text: of a mapping Tune keeps three copies for as long as it runs
            return {"number": job.number, "job": job.model_dump_json(), **self._config}
        if self._live and not self._source.stopping():
            return None  # to be asked again: one that runs may yet be handed out again, or fail and leave room
        return Searcher.FINISHED  # type: ignore[return-value]  # a str, which Searcher's own hint leaves out

    def _next(self) -> Job | None:
        if self._again:
            return self._again.pop(0)
        if not self._drained:
            job = self._source.next()
            self._drained = job is None
            return job
        return None

    def _over(self, trial_id: str) -> Job | None:
        """The job of a trial that is over from now on; None where it was before."""
        self._drained = False  # its budget may be left to another
        return self._live.pop(trial_id, None)

    def worthwhile(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether the trial that has come to this result goes on; where not, it is over for us."""
        if "epoch_record" not in result:
            return True
        epoch, job = EpochRecord.model_validate_json(result["epoch_record"]), self._live[trial_id]
        if epoch.measured is not None:  # the trial may be over here and now
            self._from_exchange(lambda there: there.fetch(job.folder / START))
        goes_on = self._source.epoch(job.number, epoch)
        if not goes_on:
            self._over(trial_id)
        return goes_on

    def live(self, trial_id: str) -> Job | None:
        """The job of a trial that is not over for us."""
        return self._live.get(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if result is not None and "unfit" in result:
            self._source.halt(result["unfit"])
        if result is not None and "record" in result and (job := self._over(trial_id)) is not None:
            self._from_exchange(lambda there: there.fetch_folder(job.folder))
            self._source.finished(TrialRecord.model_validate_json(result["record"]))

    def beat(self, folder: Path) -> Beat:
        """A trial's last sign of life."""
        self._from_exchange(lambda there: there.fetch(folder / BEAT))
        return read_beat(folder)

    def _from_exchange(self, fetch: Callable[[Exchange], object]) -> None:
        """What a worker has left, where no folder is shared."""
        if self._exchange is None:
            return
        try:
            fetch(self._exchange)
        except OSError as error:
            logger.warning("files not fetched error=%s", error)

    def abandon(self, trial: TuneTrial) -> None:
        """Tune has given a trial up without a record: its workers died, or the one that was to take it had, which Tune
        does not try again. It is handed out again while it gets on, as on machines that are often taken away."""
        if trial.trial_id not in self._live:
            return
        job = self._over(trial.trial_id)
        assert job is not None
        self._losses[job.number] = 0 if self._got_on(job) else self._losses[job.number] + 1
        if self._losses[job.number] == 0 or max(trial.num_failures, self._losses[job.number]) <= RETRIES:
            self._again.append(job)
        else:
            cause = str(trial.get_pickled_error() or trial.get_error() or "Ray gave no reason").strip()
            place = where_it_hung(job.folder)
            hung = f", at last since it hung for {job.limits.stall_timeout}: {place}" if place else ""
            self._source.lost(
                job.number, f"its worker died {RETRIES + 1} times without getting any further{hung}", cause
            )

    def _got_on(self, job: Job) -> bool:
        """Whether the trial has another checkpoint than when this was asked last; through an exchange, which it is too
        large for, whether it has begun from another."""
        before = self._stamps.get(job.number, 0)
        if self._exchange is None:
            self._stamps[job.number] = reached(job.folder)
        else:
            self._from_exchange(lambda there: there.fetch(job.folder / STARTS))
            self._stamps[job.number] = (read_starts(job.folder) or Starts()).checkpoint
        return self._stamps[job.number] != before

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
        self._heartbeats = Heartbeats(time.monotonic, jobs.beat)
        self._looked = self._answered = time.monotonic()

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        if (job := self._jobs.live(trial.trial_id)) is not None:
            self._heartbeats.begun(job)

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        if self._source.stopping():
            raise _Halt
        self._look_at_ray()
        for trial in trials:
            if trial.status in (TuneTrial.ERROR, TuneTrial.TERMINATED):
                self._jobs.abandon(trial)
            elif (job := self._jobs.live(trial.trial_id)) is not None:
                worker = trial.temporary_state.ray_actor  # None while the trial waits for room
                if worker is not None and self._heartbeats.stands_still(job):
                    ray.kill(worker)

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """What it brought is stored by now; Tune would keep it for as long as it runs."""
        for text in ("record", "epoch_record"):
            trial.run_metadata.last_result.pop(text, None)

    def _look_at_ray(self) -> None:
        """Tune would wait for ever for what is gone. Raises _Gone."""
        now = time.monotonic()
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        if store_answers():
            self._answered = now
            if not node_lives():
                raise _Gone("this machine's raylet is gone")
        elif now - self._answered > STORE_AWAY_S:
            raise _Gone("Ray's control store is gone")


class _Silent(ProgressReporter):
    """The driver draws its own progress."""

    def should_report(self, trials: list[TuneTrial], done: bool = False) -> bool:
        return False

    def report(self, trials: list[TuneTrial], done: bool, *sys_info: Any) -> None:
        """Nothing."""


def _name(trial: TuneTrial) -> str:
    return f"trial_{trial.config['number']}"
