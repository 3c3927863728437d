"""Make any Optuna sampler stateless, so that an interruption changes no proposal.

Every question gets a fresh sampler, seeded by (study seed, trial number, parameter). A proposal therefore depends on
the seed and on the stored trials, never on what this process asked before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from search.space.dials import Dial
from search.storage.optuna_compat import StudyWithoutTrial
from snnkit.base.seeds import derived_seed


class StatelessSampler(BaseSampler):
    """A sampler that ``make`` builds from a seed, once per trial and once per independently drawn parameter."""

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._current: tuple[int, BaseSampler] | None = None  # trial number and its sampler, until the next trial

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._of_trial(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        others: Any = StudyWithoutTrial(study, trial.number)
        return self._of_trial(trial).sample_relative(others, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        sampler = self._seeded(trial.number, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._of_trial(trial).before_trial(study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._of_trial(trial).after_trial(study, trial, state, values)

    def _of_trial(self, trial: FrozenTrial) -> BaseSampler:
        if self._current is None or self._current[0] != trial.number:
            self._current = (trial.number, self._seeded(trial.number))
        return self._current[1]

    def _seeded(self, number: int, *key: object) -> BaseSampler:
        sampler: object = self._make(derived_seed(self._seed, number, *key, bits=32))
        if not isinstance(sampler, BaseSampler):
            raise TypeError(
                f"it returned a {type(sampler).__name__}; a sampler is a function (space, seed) -> BaseSampler"
            )
        return sampler


def distributions(dials: Sequence[Dial]) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of each dial, by path."""
    trial = FixedTrial({dial.path: dial.anchor for dial in dials})
    for dial in dials:
        dial.values.suggest(trial, dial.path)  # type: ignore[arg-type]  # a FixedTrial has the methods of a Trial
    return dict(trial.distributions)
