"""Which candidate to try next: samplers of ours and of Optuna, made stateless, so that an interruption changes nothing.

A fresh sampler is built for every question, seeded by (study seed, trial number, parameter): what is asked depends on
the seed and on what the storage holds, never on what this process has asked before.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from search.samplers.ehvi import CostAwareEHVISampler
from search.samplers.evolutionary import GeneticSampler
from search.space.space import Space
from search.storage.optuna_compat import StudyWithoutTrial
from snnkit.base.seeds import derived_seed

MakeSampler = Callable[[int], BaseSampler]  # from a seed
AUTO = "ehvi"  # by the table of masks: benchmarks/README.md


def tpe(space: Space, seed: int) -> BaseSampler:
    """Tree-structured Parzen estimators over groups of dials that are active together (Bergstra et al. 2011)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True)


def gp(space: Space, seed: int) -> BaseSampler:
    """Optuna's Gaussian process with noisy expected hypervolume improvement; conditional dials are drawn at random."""
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=10, deterministic_objective=False)


def ga(space: Space, seed: int) -> BaseSampler:
    """A genetic algorithm that crosses and mutates candidates module by module."""
    return GeneticSampler(space.dials, seed)


def random(space: Space, seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


SAMPLERS: Mapping[str, Callable[[Space, int], BaseSampler]] = {
    "ehvi": CostAwareEHVISampler,
    "ga": ga,
    "tpe": tpe,
    "gp": gp,
    "random": random,
}


def choose(space: Space) -> MakeSampler:
    """The sampler that a space asks for."""
    name = space.study.sampler
    return partial(SAMPLERS[AUTO if name == "auto" else name], space)


def describe(name: str) -> str:
    """What a report calls the sampler: ``auto`` is spelled out."""
    return f"auto ({AUTO})" if name == "auto" else name


class StatelessSampler(BaseSampler):
    """A sampler built anew for every trial and every parameter, with a seed of its own each time."""

    def __init__(self, make: MakeSampler, seed: int) -> None:
        self._make = make
        self._seed = seed
        self._current: tuple[int, BaseSampler] | None = None  # one trial's sampler, dropped with the next trial

    def _seeded(self, number: int, *key: object) -> BaseSampler:
        return self._make(derived_seed(self._seed, number, *key, bits=32))

    def _for(self, trial: FrozenTrial) -> BaseSampler:
        if self._current is None or self._current[0] != trial.number:
            self._current = (trial.number, self._seeded(trial.number))
        return self._current[1]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._for(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        others: Any = StudyWithoutTrial(study, trial.number)
        return self._for(trial).sample_relative(others, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        sampler = self._seeded(trial.number, param_name)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._for(trial).before_trial(study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._for(trial).after_trial(study, trial, state, values)
