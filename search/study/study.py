"""A study: hands out candidates and stores their records. Optuna's storage is the only source of truth.

    next() -> Job      interrupted trials first, then named candidates, the initial design, the sampler's proposals
    finish(record)     every step is idempotent, so the next driver completes what a kill at any point left half done

In a study with fidelities, a trial is paused after each fidelity below the full one. It stays a running trial of Optuna
until `search.samplers.fidelities` promotes it, if ever.

A proposal that equals an earlier trial or breaks a hard constraint costs a row in the database and no training; the
next proposal is an untried neighbour of it.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from reports.document.commands import command
from reports.records.objectives import objective_values
from reports.records.study import (
    EpochRecord,
    Leaf,
    Measured,
    ModuleState,
    SharedRecord,
    StudyHeader,
    TrialRecord,
)
from search.plugins.calls import calling
from search.registries import PRUNERS, SAMPLERS
from search.samplers.fidelities import Promotion, Proposal, next_step
from search.samplers.history import RUNG_PREFIX, at_rungs, observations_of
from search.space.constraints import joint_cause
from search.space.space import Space
from search.storage.optuna_compat import reopen_trial
from search.storage.trials import (
    FIDELITY,
    FINALIST,
    KEY,
    NAME,
    RECORD,
    STATES,
    UNFINISHED,
    StoredTrial,
    fidelities_of,
    fidelity_of,
    is_paused,
    promote,
    record_of,
    status_of,
    with_fidelities,
)
from search.storage.url import storage_errors
from search.study.evidence import read_evidence
from search.study.pruners import make_pruner
from search.study.supernet import Ranking
from search.study.untried import untried_neighbour
from search.study.warm_start import ParentSelector
from search.trial.failures import WORKER_DIED
from search.trial.folder import RunFolder, TrialFolder
from search.trial.job import Job, first_initialization, outline
from snnkit.base.seeds import derived_seed

MAX_ATTEMPTS = 2  # of one candidate; after so many failures it is not tried again


class Study:
    """Hands out candidates and stores their records. Hold the StudyLock while you use it."""

    def __init__(self, optuna_study: optuna.Study, space: Space, header: StudyHeader, folder: Path) -> None:
        self._study = optuna_study
        self._space = space
        self.folder = folder
        self._live: dict[int, Trial] = {}  # running trials by number
        self._interrupted: list[FrozenTrial] = []
        self._epochs: dict[int, dict[int, EpochRecord]] = {}  # of live trials: number -> epoch -> its record
        stopping = space.study.stopping
        self._pruner = None if stopping is None else make_pruner(stopping, space.study.objectives)
        self._places: Mapping[str, SharedRecord] = {}  # by candidate key, from the ranking by shared weights
        self._run = RunFolder(folder).absolute()  # the nodes of a cluster use it too
        self._parents = ParentSelector(space, self._run, self._complete, read_evidence(self._run))
        self._first_trials: dict[str, int] = {}  # candidate key -> number of its first trial
        self.header = header

    # -- after a crash ------------------------------------------------------------------------------------------

    def recover(self) -> tuple[list[int], list[int]]:
        """Take over from an earlier driver: store results that it did not store, and queue trials it left running.

        Returns the numbers of the trials stored now and of those to be continued.
        """
        with storage_errors("reading the trials"):
            trials = self._study.get_trials(deepcopy=False)
        self._load_rungs(trials)
        self._load_first_trials(trials)
        self._requeue_failed(trials)
        return self._adopt_running(trials)

    def _load_rungs(self, trials: list[FrozenTrial]) -> None:
        """Give the pruner the measurements of earlier drivers, including those of unfinished trials."""
        if self._pruner is None:
            return
        for trial in trials:
            for epoch, values in at_rungs(trial.user_attrs).items():
                self._pruner.add(epoch, trial.number, values)

    def _load_first_trials(self, trials: list[FrozenTrial]) -> None:
        """Remember the candidates that must not be trained again: all but those that failed once."""
        failures = Counter(trial.user_attrs.get(KEY) for trial in trials if status_of(trial) == "failed")
        for trial in trials:
            key = trial.user_attrs.get(KEY)
            if key is not None and (status_of(trial) != "failed" or failures[key] >= MAX_ATTEMPTS):
                self._first_trials.setdefault(key, trial.number)

    def _requeue_failed(self, trials: list[FrozenTrial]) -> None:
        """Give named candidates that failed once a second trial: the cause may have been a full disk."""
        attempts = Counter(trial.user_attrs.get(NAME) for trial in trials)
        with storage_errors("queueing a failed candidate again"):
            for trial in trials:
                name = trial.user_attrs.get(NAME)
                if name is not None and status_of(trial) == "failed" and attempts[name] < MAX_ATTEMPTS:
                    self._study.enqueue_trial(trial.params, user_attrs={NAME: name})

    def _adopt_running(self, trials: list[FrozenTrial]) -> tuple[list[int], list[int]]:
        """Store running trials that have a result and queue the others. Returns the numbers of both."""
        stored: list[int] = []
        for trial in trials:
            if trial.state != TrialState.RUNNING or is_paused(trial):
                continue
            record = record_of(trial)
            if record is None or record.status in UNFINISHED:
                self._set_aside_other(trial.number, trial.params)
                record = self._folder(trial).read_result()
            if record is None:
                self._interrupted.append(trial)
            else:
                self._live[trial.number] = reopen_trial(self._study, trial)
                self.finish(record)
                stored.append(trial.number)
        return stored, [trial.number for trial in self._interrupted]

    def _set_aside_other(self, number: int, params: Mapping[str, Leaf]) -> None:
        """Rename a trial's folder if its result is that of another candidate, so that it cannot pass for this trial's.

        That happens when the database was restored from a backup and has lost the trial that left the result.
        """
        folder = self.trial_folder(number)
        record = folder.read_result() or next(iter(folder.finished_below()), None)
        if record is not None and record.params != dict(params):
            folder.path.rename(folder.path.with_name(f"{number}-lost-{time.time_ns()}"))

    def restore(self, stored: StoredTrial) -> None:
        """Add a trial of a lost database as the next row: finished if it has a record, else running."""
        named = {} if stored.name is None else {NAME: stored.name}
        self._study.enqueue_trial(dict(stored.params), user_attrs=named)
        trial = self._study.ask()
        params = self._space.suggest(trial)  # type: ignore[arg-type]  # Optuna's overloads are narrower
        trial.set_user_attr(KEY, self._space.candidate(params).fingerprint)
        for fidelity, below in enumerate(stored.below, 1):
            trial.set_user_attr(FIDELITY, fidelity)
            self._live[trial.number] = trial
            self.finish(below)
        if stored.below and stored.started:
            promote(trial)
        if stored.record is None:
            return
        for epoch in stored.record.history:
            if epoch.measured is not None and not self._space.exceeded(epoch.measured, at_rung=True):
                trial.set_user_attr(f"{RUNG_PREFIX}{epoch.epoch}", list(self._values(epoch.measured).values()))
        self._live[trial.number] = trial
        self.finish(stored.record)

    # -- what a driver does -------------------------------------------------------------------------------------

    @property
    def interrupted(self) -> bool:
        """Whether a trial that an earlier driver left unfinished is still to be drawn."""
        return bool(self._interrupted)

    def next(
        self, record: Callable[[TrialRecord], None], macs_left: float = math.inf, share_left: float = 1.0
    ) -> Job | None:
        """Return the next candidate to train; None if the space holds no untried one that meets the constraints.

        Proposals that are not worth training are stored on the way and passed to ``record``. In a study with
        fidelities, ``macs_left`` are the operations that one worker can still train with: what does not fit is not
        begun. ``share_left`` is the share of the budget that is left, 0 to 1. Raises StorageError.
        """
        with storage_errors("asking for the next candidate"):
            while (found := self._propose(macs_left, share_left)) is not None:
                trial, params = found
                job = self._job(trial, params)
                self._live[job.number] = trial
                rejection = self._rejection(trial, job)
                if rejection is None:
                    self._set_aside_other(job.number, job.params)
                    return job if job.below else self._parents.with_parent(trial, job)
                record(self.finish(rejection))
        return None

    def finish(self, record: TrialRecord) -> TrialRecord:
        """Store ``record`` with the values of the objectives, tell Optuna, and return it. Raises StorageError.

        Optuna receives a trial with doubtful figures as failed: samplers, pruners and parents must not learn from it.
        A trial that finished a fidelity below the full one is paused, and Optuna is not told.
        """
        trial = self._live[record.number]
        record = with_fidelities(record, fidelities_of(trial))
        record = record.model_copy(update={"shared": self._places.get(trial.user_attrs.get(KEY, ""))})
        if record.status == "paused":
            with storage_errors(f"storing the record of trial {record.number}"):
                trial.set_user_attr(RECORD, record.model_dump(mode="json"))
            self._forget(record.number)
            return record
        if record.status == "complete" and record.metrics is not None:
            record = self._with_values(record, record.metrics)
        state = TrialState.FAIL if record.doubts else STATES[record.status]
        values = None if record.doubts else list(record.values.values()) or None
        with storage_errors(f"storing the record of trial {record.number}"):
            trial.set_user_attr(RECORD, record.model_dump(mode="json"))
            self._set_constraints(trial, record)
            self._study.tell(trial, values, state=state, skip_if_finished=True)
        self._forget(record.number)
        return record

    def _forget(self, number: int) -> None:
        del self._live[number]
        self._epochs.pop(number, None)

    def prune(self, number: int, epoch: EpochRecord) -> TrialRecord | None:
        """Note ``epoch``. If the trial is at a rung and not worth more epochs, store and return its record.

        Named candidates are never stopped, because a report compares with them. Raises StorageError.
        """
        if epoch.twin:
            return None
        self._epochs.setdefault(number, {})[epoch.epoch] = epoch  # once, even if a retry repeats the epoch
        if self._pruner is None or epoch.measured is None or self._space.exceeded(epoch.measured, at_rung=True):
            return None  # an infeasible trial must not stop others
        values = list(self._values(epoch.measured).values())
        trial = self._live[number]
        with storage_errors(f"storing a rung of trial {number}"):
            trial.set_user_attr(f"{RUNG_PREFIX}{epoch.epoch}", values)
        assert self._space.study.stopping is not None
        with calling("stopping rule", self._space.study.stopping.rule, PRUNERS):
            self._pruner.add(epoch.epoch, number, values)
            reason = self._pruner.prune_reason(epoch.epoch, number)
        if reason is None or NAME in trial.user_attrs:
            return None
        return self.finish(self._stopped(number, reason))

    def lost(self, number: int, reason: str, traceback: str | None = None) -> TrialRecord:
        """Store a trial that no worker will finish as failed, and return its record. Raises StorageError."""
        job = self._job(self._live[number], self._live[number].params)
        record = outline(job, status="failed", reason=reason, traceback=traceback)
        return self.finish(record.model_copy(update={"failure_kind": WORKER_DIED}))

    def remedy(self, number: int) -> str:
        """Return the commands that show a failed trial and that resume the study."""
        name = self.header.name
        return f"see: {command('show', name, number)}; after correcting the cause: {command('resume', name)}"

    def apply_ranking(self, ranking: Ranking) -> None:
        """Queue the finalists of the ranking by shared weights, and add each candidate's place to its record.

        Safe to repeat after a crash. Raises StorageError.
        """
        self._places = ranking.places
        if self.header.supernet is not None:
            return
        with storage_errors("storing the ranking by shared weights"):
            queued = sum(FINALIST in trial.user_attrs for trial in self._study.get_trials(deepcopy=False))
            for params in ranking.first[queued:]:
                self._study.enqueue_trial(dict(params), user_attrs={FINALIST: True})
            self.header = self.header.model_copy(update={"supernet": ranking.cost})
            self._study.set_user_attr("header", self.header.model_dump(mode="json"))

    def trial_folder(self, number: int) -> TrialFolder:
        """Return the trial's folder, absolute."""
        return self._run.trial(number)

    # -- proposals ----------------------------------------------------------------------------------------------

    def _propose(self, macs_left: float, share_left: float) -> tuple[Trial, Mapping[str, Leaf]] | None:
        """Return the next trial and its dials. Raises PluginError if a sampler of the user's own fails."""
        with calling("sampler", self._space.study.sampler, SAMPLERS):
            trial = self._ask(macs_left, share_left)
            if trial is None:
                return None
            return trial, self._space.suggest(trial)  # type: ignore[arg-type]  # narrower overloads

    def _ask(self, macs_left: float, share_left: float) -> Trial | None:
        """Return an interrupted trial, or else a new or promoted one; None if the space is exhausted."""
        if self._interrupted:
            return reopen_trial(self._study, self._interrupted.pop(0))
        trials = self._study.get_trials(deepcopy=False)  # by number
        if trials and status_of(trials[-1]) in ("duplicate", "refused"):
            latest = trials[-1]
            rng = random.Random(derived_seed(self.header.seed, latest.number, "untried", bits=32))
            untried = untried_neighbour(self._space, latest.params, self._first_trials, rng)
            if untried is None:
                return None
            self._study.enqueue_trial(untried)
        elif self._space.study.fidelities and not any(trial.state == TrialState.WAITING for trial in trials):
            for trial in trials:
                if is_paused(trial) and trial.user_attrs.get(NAME) in self._space.study.promote:
                    return promote(reopen_trial(self._study, trial))
            finished = sum(len(fidelities_of(trial)) for trial in trials)
            rng = random.Random(derived_seed(self.header.seed, len(trials), finished, "fidelity", bits=32))
            history = observations_of(self._space, trials)
            match next_step(self._space, history, macs_left, rng, share_left=share_left):
                case None:
                    return None
                case Promotion(number):
                    return promote(reopen_trial(self._study, trials[number]))
                case Proposal(params):
                    self._study.enqueue_trial(dict(params))
        return self._study.ask()

    def _rejection(self, trial: Trial, job: Job) -> TrialRecord | None:
        """Return the record of a duplicate or of a candidate that breaks a constraint; None if it is to be trained."""
        candidate = self._space.candidate(job.params)
        key = candidate.fingerprint
        first = self._first_trials.setdefault(key, job.number)
        trial.set_user_attr(KEY, key)
        if first != job.number:
            return outline(job, status="duplicate", reason=f"equal to trial {first}", duplicate_of=first)
        if refusals := self._space.refusals(candidate):
            record = outline(job, status="refused", reason="; ".join(map(str, refusals)))
            return record.model_copy(update={"failure_kind": joint_cause(refusals)})
        return None

    def _job(self, trial: Trial, params: Mapping[str, Leaf]) -> Job:
        full = self._space.candidate(params)
        every, fidelity = self._space.fidelities(full), fidelity_of(trial)
        *below, candidate = every[:fidelity]
        weights = self.trial_folder(trial.number).at(fidelity - 1).weights if below else None
        return Job(
            number=trial.number,
            name=trial.user_attrs.get(NAME),
            params=dict(params),
            candidate=candidate,
            fidelity=None if fidelity == len(every) else fidelity,
            fidelities=len(every),
            below=tuple(below),
            modules=tuple(ModuleState(name=m.name, state=m.state, detail=m.detail) for m in full.modules()),
            static=full.static(),
            folder=self._folder(trial).path,
            seed=self.header.seed,
            initialization=first_initialization(trial.number, candidate, below, weights),
            limits=self._space.study.limits,
            plugins=self._space.plugins,
            own_figures=self._space.own_figures,
        )

    def _folder(self, trial: Trial | FrozenTrial) -> TrialFolder:
        """Return the folder of the fidelity that a trial is trained at."""
        fidelity, full = fidelity_of(trial), len(self._space.study.fidelities) + 1
        return self.trial_folder(trial.number).at(None if fidelity == full else fidelity)

    # -- records ------------------------------------------------------------------------------------------------

    def _with_values(self, record: TrialRecord, measured: Measured) -> TrialRecord:
        """Return a trained trial's record with the objectives' values, and infeasible if it exceeds a bound."""
        broken = self._space.exceeded(measured)
        update = {"status": "infeasible", "reason": "; ".join(map(str, broken))} if broken else {}
        return record.model_copy(update={**update, "values": self._values(measured)})

    def _values(self, measured: Measured) -> dict[str, float]:
        """Return the values of the objectives, in the study's order."""
        return objective_values(measured, (each.name for each in self.header.objectives), self.header.price)

    def _stopped(self, number: int, reason: str) -> TrialRecord:
        """Return the record of a trial stopped at a rung, and write it to the trial's folder in place of its worker."""
        job = self._job(self._live[number], self._live[number].params)
        history = tuple(self._epochs[number].values())
        record = outline(job, status="stopped", reason=reason)
        record = record.model_copy(update={"history": history, "start": job.files.read_start()})
        spent = sum(epoch.wall_s for epoch in record.epochs)
        record = record.model_copy(
            update={"wall_s": spent, "finished_at": time.time(), "started_at": time.time() - spent}
        )
        job.files.finish(record)
        return record

    def _set_constraints(self, trial: Trial, record: TrialRecord) -> None:
        """Tell Optuna how far the trial exceeds each bound: by its latest measurement, else by its exact figures."""
        if record.status in ("failed", "duplicate") or record.doubts:
            return
        measurements = [epoch.measured for epoch in record.history if epoch.measured is not None]
        measured = record.metrics or (measurements[-1] if measurements else None)
        for name, excess in self._space.violations(self._space.candidate(record.params), measured).items():
            if name not in trial.constraints:
                trial.set_constraint(name, excess)

    def _complete(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
