"""A study: Optuna's storage as the only truth of what was tried. `search.study.create` makes it, finds it, makes it
anew.

    next() -> Job      an interrupted trial first, then the named candidates, the corners, what the sampler proposes
    finish(record)     every step idempotent, so that a kill at any point is made good by the next driver

A proposal that equals an earlier trial, or breaks a hard constraint, costs a row and no training; the next proposal is
then an untried neighbour of it. Optuna sees: complete -> COMPLETE; stopped, refused -> PRUNED (a TPE learns from it);
failed, duplicate -> FAIL (no sampler counts it); infeasible, which was trained and broke a constraint by what was
measured, -> COMPLETE, with the excess as Optuna's constraint.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import ValidationError

from reports.records.objectives import OBJECTIVES
from reports.records.study import EpochRecord, Leaf, Measured, ModuleState, SharedRecord, StudyHeader, TrialRecord
from reports.storage.results import read_result
from search.samplers.history import RUNG_PREFIX, at_rungs
from search.space.space import Space
from search.storage.optuna_compat import reopen_trial
from search.storage.url import storage_errors
from search.study.pruner import ParetoPruner
from search.study.supernet import Ranking
from search.study.warm_start import ParentSelector
from search.trial.job import Job, keep, outline, read_start
from snnkit.base.seeds import derived_seed

STATES: Mapping[str, TrialState] = {
    "complete": TrialState.COMPLETE,
    "infeasible": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "refused": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "duplicate": TrialState.FAIL,
}
FINALIST = "finalist"  # an attribute of those trials that the ranking by shared weights has asked for
GIVEN_UP = 2  # failed trials of one candidate after which it is not tried again
UNTRIED_TRIES = 2000  # draws without a new candidate after which a space counts as exhausted


@dataclass(frozen=True)
class StoredTrial:
    """What a trial has left in its folder; ``record`` where it is over."""

    name: str | None
    params: Mapping[str, Leaf]
    record: TrialRecord | None


class Study:
    """Asks for candidates and takes their records. Hold its Lease while you do."""

    def __init__(self, optuna_study: optuna.Study, space: Space, header: StudyHeader, folder: Path) -> None:
        self._study = optuna_study
        self._space = space
        self._live: dict[int, Trial] = {}
        self._interrupted: list[FrozenTrial] = []
        self._epochs: dict[int, dict[int, EpochRecord]] = {}  # of live trials: number -> epoch -> its record
        self._pruner = ParetoPruner(space.study.stopping, space.study.objectives) if space.study.stopping else None
        self._shared: Mapping[str, SharedRecord] = {}  # by candidate key
        self._parents = ParentSelector(space, self.trial_folder, self._complete)
        self._seen: dict[str, int] = {}  # candidate key -> number of the first trial that had it
        self.header = header
        self.folder = folder

    # -- what a driver does -------------------------------------------------------------------------------------

    def recover(self) -> tuple[list[int], list[int]]:
        """After a crash: tell what was trained but not told, and take up what was still training.

        Returns the numbers of the trials told now and of those to be continued.
        """
        told: list[int] = []
        with storage_errors("reading the trials"):
            trials = self._study.get_trials(deepcopy=False)
        self._remember_rungs(trials)
        failed = Counter(trial.user_attrs.get("key") for trial in trials if _status(trial) == "failed")
        for trial in trials:
            key = trial.user_attrs.get("key")
            if key is not None and (_status(trial) != "failed" or failed[key] >= GIVEN_UP):
                self._seen.setdefault(key, trial.number)
        self._requeue_failed(trials)
        for trial in trials:
            if trial.state != TrialState.RUNNING:
                continue
            record = _stored(trial) or self._kept(trial.number, trial.params)
            if record is None:
                self._interrupted.append(trial)
            else:
                self._live[trial.number] = reopen_trial(self._study, trial)
                self.finish(record)
                told.append(trial.number)
        return told, [trial.number for trial in self._interrupted]

    def _remember_rungs(self, trials: list[FrozenTrial]) -> None:
        """What earlier drivers have seen at rungs, that of trials still under way included."""
        if self._pruner is None:
            return
        for trial in trials:
            for epoch, values in at_rungs(trial.user_attrs).items():
                self._pruner.add(epoch, trial.number, values)

    def _requeue_failed(self, trials: list[FrozenTrial]) -> None:
        """Named candidates that failed once get a second trial: the cause may have been a full disk."""
        tries = Counter(trial.user_attrs.get("name") for trial in trials)
        with storage_errors("queueing a failed candidate again"):
            for trial in trials:
                name = trial.user_attrs.get("name")
                if name is not None and _status(trial) == "failed" and tries[name] < GIVEN_UP:
                    self._study.enqueue_trial(trial.params, user_attrs={"name": name})

    @property
    def interrupted(self) -> bool:
        """Whether a trial that an earlier driver left is still to be taken up."""
        return bool(self._interrupted)

    def next(self, told: Callable[[TrialRecord], None]) -> Job | None:
        """The next candidate to train; None when the space holds no untried one that meets the constraints.

        Proposals that are not worth training are recorded on the way and passed to ``told``.
        """
        with storage_errors("asking for the next candidate"):
            while (trial := self._ask()) is not None:
                job = self._job(trial, self._space.suggest(trial))  # type: ignore[arg-type]  # overloads, narrower than it is
                self._live[job.number] = trial
                unfit = self._unfit(trial, job)
                if unfit is None:
                    self._kept(job.number, job.params)
                    return self._parents.with_parent(trial, job)
                told(self.finish(unfit))
        return None

    def take_up(self, ranking: Ranking) -> None:
        """What shared weights say of candidates goes into their records, and the first of them are next in the queue.
        Safe to repeat after a crash half-way."""
        self._shared = ranking.places
        if self.header.supernet is not None:
            return
        with storage_errors("storing the ranking by shared weights"):
            queued = sum(FINALIST in trial.user_attrs for trial in self._study.get_trials(deepcopy=False))
            for params in ranking.first[queued:]:
                self._study.enqueue_trial(dict(params), user_attrs={FINALIST: True})
            self.header = self.header.model_copy(update={"supernet": ranking.cost})
            self._study.set_user_attr("header", self.header.model_dump(mode="json"))

    def finish(self, record: TrialRecord) -> TrialRecord:
        """Store ``record`` and tell Optuna; the objectives' values are derived here, in one place."""
        trial = self._live[record.number]
        record = record.model_copy(update={"shared": self._shared.get(trial.user_attrs.get("key", ""))})
        if record.status == "complete" and record.metrics is not None:
            record = self._weighed(record, record.metrics)
        told = list(record.values.values()) or None
        with storage_errors(f"storing the record of trial {record.number}"):
            trial.set_user_attr("record", record.model_dump(mode="json"))
            self._set_constraints(trial, record)
            self._study.tell(trial, told, state=STATES[record.status], skip_if_finished=True)
        del self._live[record.number]
        self._epochs.pop(record.number, None)
        return record

    def prune(self, number: int, epoch: EpochRecord) -> TrialRecord | None:
        """Note what the trial has come to; where it is at a rung and not worth more, its record, stored.

        A named candidate is never stopped: a report compares with it.
        """
        if epoch.twin:
            return None
        self._epochs.setdefault(number, {})[epoch.epoch] = epoch  # once, though a retry brings it again
        if self._pruner is None or epoch.measured is None or self._space.broken(epoch.measured):
            return None  # what is above a bound is no reason to stop another
        values = list(self._values(epoch.measured).values())
        trial = self._live[number]
        with storage_errors(f"storing a rung of trial {number}"):
            trial.set_user_attr(f"{RUNG_PREFIX}{epoch.epoch}", values)
        self._pruner.add(epoch.epoch, number, values)
        reason = self._pruner.prune_reason(epoch.epoch, number)
        if reason is None or "name" in trial.user_attrs:
            return None
        return self.finish(self._stopped(number, reason))

    def _weighed(self, record: TrialRecord, measured: Measured) -> TrialRecord:
        """A trained trial's record with the objectives' values; infeasible where it is above a bound."""
        broken = self._space.broken(measured)
        update = {"status": "infeasible", "reason": "; ".join(broken)} if broken else {}
        return record.model_copy(update={**update, "values": self._values(measured)})

    def _values(self, measured: Measured) -> dict[str, float]:
        """Of each objective, in the study's order."""
        return {o.name: OBJECTIVES[o.name].value(measured, self.header.price) for o in self.header.objectives}

    def _stopped(self, number: int, reason: str) -> TrialRecord:
        """The record of a trial that ends at a rung, also in its folder, as its worker would have left it."""
        job = self._job(self._live[number], self._live[number].params)
        history = tuple(self._epochs[number].values())
        record = outline(job, status="stopped", reason=reason)
        record = record.model_copy(update={"history": history, "start": read_start(job.folder)})
        spent = sum(epoch.wall_s for epoch in record.epochs)
        record = record.model_copy(
            update={"wall_s": spent, "finished_at": time.time(), "started_at": time.time() - spent}
        )
        keep(job.folder, record)
        return record

    def lost(self, number: int, reason: str, traceback: str | None = None) -> TrialRecord:
        """A trial that no worker will finish: recorded as failed, with the reason."""
        job = self._job(self._live[number], self._live[number].params)
        return self.finish(outline(job, status="failed", reason=reason, traceback=traceback))

    def remedy(self, number: int) -> str:
        """How to look at a trial that failed, and how to go on when its cause is gone."""
        name = self.header.name
        return f"see: snnsearch show {name} {number}; when it is put right: snnsearch resume {name}"

    def trial_folder(self, number: int) -> Path:
        return self.folder.absolute() / "trials" / str(number)  # as a cluster's machines see it

    def _kept(self, number: int, params: Mapping[str, Leaf]) -> TrialRecord | None:
        """The result that lies in a trial's folder. One of other parameters is of a trial that the database has lost,
        as one that was restored from a backup has: it is moved away, or it would pass for this trial's."""
        folder = self.trial_folder(number)
        record = read_result(folder)
        if record is None or record.params == dict(params):
            return record
        folder.rename(folder.with_name(f"{number}-lost-{time.time_ns()}"))
        return None

    def _complete(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def restore(self, left: StoredTrial) -> None:
        """A trial of before, in the next row: told where it is over, else running."""
        named = {} if left.name is None else {"name": left.name}
        self._study.enqueue_trial(dict(left.params), user_attrs=named)
        trial = self._study.ask()
        params = self._space.suggest(trial)  # type: ignore[arg-type]  # overloads, narrower than it is
        trial.set_user_attr("key", self._space.candidate(params).key)
        if left.record is None:
            return
        for epoch in left.record.history:
            if epoch.measured is not None and not self._space.broken(epoch.measured):
                trial.set_user_attr(f"{RUNG_PREFIX}{epoch.epoch}", list(self._values(epoch.measured).values()))
        self._live[trial.number] = trial
        self.finish(left.record)

    # -- proposals ----------------------------------------------------------------------------------------------

    def _ask(self) -> Trial | None:
        if self._interrupted:
            return reopen_trial(self._study, self._interrupted.pop(0))
        trials = self._study.get_trials(deepcopy=False)  # in the order of their numbers
        if trials and _status(trials[-1]) in ("duplicate", "refused"):
            untried = self._untried(trials[-1])
            if untried is None:
                return None
            self._study.enqueue_trial(untried)
        return self._study.ask()

    def _untried(self, trial: FrozenTrial) -> dict[str, Leaf] | None:
        """An untried candidate near ``trial`` that meets the constraints; the search moves outwards as it fails."""
        rng = random.Random(derived_seed(self.header.seed, trial.number, "untried", bits=32))
        params: Mapping[str, Leaf] = trial.params
        for attempt in range(UNTRIED_TRIES):
            if attempt > UNTRIED_TRIES // 2:
                params = self._space.sample(rng)
            else:
                params = self._space.neighbour(params if attempt % 8 else trial.params, rng)
            candidate = self._space.candidate(params)
            if candidate.key not in self._seen and not self._space.refusals(candidate):
                return dict(params)
        return None

    def _job(self, trial: Trial, params: Mapping[str, Leaf]) -> Job:
        candidate = self._space.candidate(params)
        return Job(
            number=trial.number,
            name=trial.user_attrs.get("name"),
            params=dict(params),
            candidate=candidate,
            modules=tuple(ModuleState(name=m.name, state=m.state, detail=m.detail) for m in candidate.modules()),
            static=candidate.static(),
            folder=self.trial_folder(trial.number),
            seed=self.header.seed,
            limits=self._space.study.limits,
        )

    def _unfit(self, trial: Trial, job: Job) -> TrialRecord | None:
        """The record of a proposal that is not worth training; None where it is."""
        key = job.candidate.key
        first = self._seen.setdefault(key, job.number)
        trial.set_user_attr("key", key)
        if first != job.number:
            return outline(job, status="duplicate", reason=f"equal to trial {first}", duplicate_of=first)
        if refusals := self._space.refusals(job.candidate):
            return outline(job, status="refused", reason="; ".join(refusals))
        return None

    def _set_constraints(self, trial: Trial, record: TrialRecord) -> None:
        """By what was measured last; of what was not trained, or not so far, by what is known of it."""
        if record.status in ("failed", "duplicate"):
            return
        at_rungs = [epoch.measured for epoch in record.history if epoch.measured is not None]
        measured = record.metrics or (at_rungs[-1] if at_rungs else None)
        for name, excess in self._space.violations(self._space.candidate(record.params), measured).items():
            if name not in trial.constraints:
                trial.set_constraint(name, excess)


def _status(trial: FrozenTrial) -> str | None:
    """How a trial ended; None where it has not."""
    status: str | None = trial.user_attrs.get("record", {}).get("status")
    return status


def _stored(trial: FrozenTrial) -> TrialRecord | None:
    """The record of a trial whose driver died between storing it and telling Optuna."""
    try:
        return TrialRecord.model_validate(trial.user_attrs["record"])
    except (KeyError, ValidationError):
        return None
