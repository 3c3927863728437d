"""All that this project uses of Optuna beyond its public interface, in one place.

Optuna may change a private name in any release. A test checks that every entry of ``PRIVATE_NAMES`` still exists and
says which versions were tried, so that an upgrade fails there and not in the middle of a study.
"""

from collections.abc import Container
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.storages._rdb.models import NOT_FOUND_MSG
from optuna.trial import FrozenTrial, Trial, TrialState

VERSIONS_TRIED = ("5.0.0",)
PRIVATE_NAMES = {
    "optuna.storages.get_storage": "wraps a database in Optuna's cache of finished trials",
    "optuna.storages._rdb.models.NOT_FOUND_MSG": "tells a deleted study or trial from any other KeyError",
    "optuna.study.Study._get_trials": "reads the trials once per proposal, and lets a sampler see all but its own",
    "optuna.trial.FrozenTrial._trial_id": "opens a stored running trial again",
}


def cached(storage: RDBStorage) -> BaseStorage:
    """Return ``storage`` behind Optuna's cache of finished trials, as Optuna itself would use it."""
    return get_storage(storage)


def is_deleted(error: KeyError) -> bool:
    """Return whether ``error`` says that the study or trial is no longer in the database."""
    return error.args == (NOT_FOUND_MSG,)


def reopen_trial(study: optuna.Study, trial: FrozenTrial) -> Trial:
    """Return a live handle on a stored running trial. Its number and parameters stay; missing ones are sampled."""
    return Trial(study, trial._trial_id)


def trials_of_proposal(study: "optuna.Study | StudyWithoutTrial") -> list[FrozenTrial]:
    """Return the study's trials, read from the database once per proposal. Do not change them."""
    return study._get_trials(deepcopy=False, use_cache=True)


class StudyWithoutTrial:
    """A study as a sampler should see it: without the trial that it proposes values for.

    Optuna's GP sampler counts values that it proposed for this trial before an interruption as a running trial, and
    would then propose other values (seen with Optuna 5.0).
    """

    def __init__(self, study: optuna.Study, number: int) -> None:
        self._study = study
        self._number = number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = self._study._get_trials(deepcopy, states, use_cache)
        return [trial for trial in trials if trial.number != self._number]
