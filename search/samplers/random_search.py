"""Random search: every dial is drawn independently. The baseline for the other samplers."""

from optuna.samplers import BaseSampler, RandomSampler

from search.space.space import Space


def make_random(space: Space, seed: int) -> BaseSampler:
    """Return a sampler that draws every dial at random."""
    return RandomSampler(seed=seed)
