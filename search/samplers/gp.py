"""Optuna's Gaussian process sampler with noisy expected hypervolume improvement."""

from optuna.samplers import BaseSampler, GPSampler

from search.space.space import Space

N_STARTUP_TRIALS = 10


def make_gp(space: Space, seed: int) -> BaseSampler:
    """Return a GP sampler. It draws conditional dials at random."""
    return GPSampler(seed=seed, n_startup_trials=N_STARTUP_TRIALS, deterministic_objective=False)
