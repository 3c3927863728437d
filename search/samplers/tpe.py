"""Optuna's tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for hyper-parameter optimization")."""

import warnings

import optuna
from optuna.samplers import BaseSampler, TPESampler

from search.space.space import Space


def make_tpe(space: Space, seed: int) -> BaseSampler:
    """Return a multivariate TPE sampler. It groups dials that are active together."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True)
