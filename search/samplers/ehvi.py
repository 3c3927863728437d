"""Cost-aware expected hypervolume improvement, the default sampler.

Parameters, dense operations and training cost of a candidate are computed exactly before training. Only accuracy and
energy are modelled, by Gaussian processes. From a pool of untried candidates, half random and half children of the
front, the sampler proposes the one with the largest expected gain of hypervolume (Emmerich et al. 2006,
doi 10.1109/TEVC.2005.859463) per unit of training cost (Snoek et al. 2012, arXiv:1206.2944). A trial that was stopped
early counts with its losses extrapolated by the mean change of other trials; a running one with its predicted losses.
Trials of an older study (`search.study.evidence`) train the models, but are on no front.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial
from scipy.special import ndtr

from reports.analysis.pareto import front
from reports.records.objectives import OBJECTIVES
from reports.records.study import Leaf
from search.samplers.history import Array, Observation, loss, observations
from search.samplers.stateless import distributions
from search.samplers.surrogate import PoolCandidate, features, pool_candidate, predict
from search.samplers.variation import crossover, mutate
from search.space.constraints import ENERGY, bound_of
from search.space.space import Space

N_STARTUP_TRIALS = 4  # complete trials before the first model
N_STARTUP_DRAWS = 8  # until then, the candidate that is cheapest to train among this many random ones
MAX_POOL_SIZE = 400  # candidates that are compared
MAX_OBSERVATIONS = 250  # trials that the model learns from: its cost grows with their cube
N_POINTS = 4096  # random points that the hypervolume is estimated on


class CostAwareEHVISampler(BaseSampler):
    """Proposes values of all active dials together."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return distributions(self._space.dials)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return propose(self._space, observations(self._space, study), random.Random(self._seed))

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a dial that the proposal lacks, because an interrupted trial already holds values for some dials."""
        return RandomSampler(self._seed).sample_independent(study, trial, param_name, param_distribution)


def propose(space: Space, history: Sequence[Observation], rng: random.Random) -> dict[str, Leaf]:
    """Return the dials of the next candidate."""
    any_measured = bool(_measured_bounds(space))
    counted = [t for t in history if t.complete or t.evidence or (any_measured and t.losses is not None)]
    if len(counted) < N_STARTUP_TRIALS:
        return cheap_draw(space, history, rng)
    if not (pool := untried_pool(space, history, _parents(history), rng)):
        return space.sample(rng)
    gain = _expected_gain(space, history, pool, rng)
    return pool[int(np.argmax(gain / [each.compute for each in pool]))].params


def cheap_draw(space: Space, history: Sequence[Observation], rng: random.Random) -> dict[str, Leaf]:
    """Draw candidates at random and return the untried one that takes the least compute."""
    seen = {trial.key for trial in history}
    drawn = [(params, space.candidate(params)) for params in (space.sample(rng) for _ in range(N_STARTUP_DRAWS))]
    allowed = [params for params, each in drawn if each.fingerprint not in seen and not space.refusals(each)]
    return min(allowed, key=lambda params: pool_candidate(space, params).compute, default=drawn[0][0])


def untried_pool(
    space: Space, history: Sequence[Observation], best: Sequence[Mapping[str, Leaf]], rng: random.Random
) -> list[PoolCandidate]:
    """Return untried candidates that meet the constraints: half random, half children of the ``best``."""
    seen = {trial.key for trial in history}
    pool = []
    for number in range(MAX_POOL_SIZE):
        params = space.sample(rng) if number % 2 else _child(space, rng.choice(best), rng.choice(best), rng)
        candidate = space.candidate(params)
        if candidate.fingerprint in seen or space.refusals(candidate):
            continue
        seen.add(candidate.fingerprint)
        pool.append(PoolCandidate(params, candidate, candidate.plan()))
    return pool


def _parents(history: Sequence[Observation]) -> list[Mapping[str, Leaf]]:
    """Return the dials of the front and of the front of the evidence.

    If both are empty, return the dials of the trials that are least outside the constraints.
    """
    complete, evidence = [t for t in history if t.complete], [t for t in history if t.evidence]
    if complete or evidence:
        return [
            trials[at].params
            for trials in (complete, evidence)
            for at in front([trial.losses for trial in trials if trial.losses is not None])
        ]
    measured = sorted((trial for trial in history if trial.losses is not None), key=lambda trial: trial.excess)
    return [trial.params for trial in measured[:N_STARTUP_TRIALS]]


def _child(space: Space, mother: Mapping[str, Leaf], father: Mapping[str, Leaf], rng: random.Random) -> dict[str, Leaf]:
    return mutate(space.dials, crossover(space.dials, mother, father, rng), rng)


def _expected_gain(
    space: Space, history: Sequence[Observation], pool: Sequence[PoolCandidate], rng: random.Random
) -> Array:
    """Return the expected gain of hypervolume of each candidate of the pool, in points of the sampled box."""
    known = _model_data(history)
    running = [trial for trial in history if trial.running]
    asked = [*(pool_candidate(space, trial.params) for trial in running), *pool]
    every = [*(pool_candidate(space, trial.params) for trial in known), *asked]
    x = standardize([features(space, each) for each in every])
    measured = np.array([trial.losses for trial in known])
    predicted = [
        exact(space, name, asked)
        if OBJECTIVES[name].known_before_training == "exactly"
        else predict(x[: len(known)], measured[:, column], x[len(known) :], seed=rng.randrange(2**31))
        for column, name in enumerate(space.study.objectives)
    ]
    mean, deviation = (np.stack(each, axis=1) for each in zip(*predicted, strict=True))  # (asked, objectives)
    complete = measured[[trial.complete for trial in known]]
    dominating = np.concatenate([complete, mean[: len(running)]])
    bounds = np.concatenate([complete, mean])
    points = undominated_points(dominating, bounds, np.random.default_rng(rng.randrange(2**31)))
    for column, bound in _measured_bounds(space).items():
        points = points[points[:, column] <= bound]  # outside a bound there is nothing to gain
    mean, deviation = mean[len(running) :], deviation[len(running) :]
    return expected_improvement(mean, deviation, points) * _probability_feasible(space, mean, deviation)


def _probability_feasible(space: Space, mean: Array, deviation: Array) -> Array:
    """Return how likely each candidate meets the bounds on predicted objectives. Exact figures were checked before."""
    probability: Array = np.ones(len(mean))
    for column, bound in (_energy_bound(space) | _measured_bounds(space)).items():
        probability *= ndtr((bound - mean[:, column]) / deviation[:, column])
    return probability


def _energy_bound(space: Space) -> dict[int, float]:
    """Return the bound on energy as a loss, by the objective's column; empty without one."""
    return _bounds(space, [name for name in space.study.constraints if name == ENERGY])


def _measured_bounds(space: Space) -> dict[int, float]:
    """Return the bounds on objectives that only training can tell, as losses by column."""
    return _bounds(space, [n for n in space.study.constraints if OBJECTIVES[n].known_before_training is None])


def bounds_as_losses(space: Space) -> dict[int, float]:
    """Return the bounds on objectives as losses, by column."""
    return _bounds(space, list(space.study.constraints))


def _bounds(space: Space, names: Sequence[str]) -> dict[int, float]:
    columns, constraints = list(space.study.objectives), space.study.constraints
    return {columns.index(n): loss(n, bound_of(constraints, n), space) for n in names if n in columns}


def _model_data(history: Sequence[Observation]) -> list[Observation]:
    """Return the measured trials; of more than MAX_OBSERVATIONS the front and the latest."""
    known = [trial for trial in history if trial.losses is not None]
    if len(known) <= MAX_OBSERVATIONS:
        return known
    complete = [trial for trial in known if trial.complete]
    best = {id(complete[at]) for at in front([trial.losses for trial in complete if trial.losses is not None])}
    rest = [trial for trial in known if id(trial) not in best]
    latest = {id(trial) for trial in rest[-max(MAX_OBSERVATIONS - len(best), 0) :]}
    return [trial for trial in known if id(trial) in best | latest]


def standardize(inputs: Sequence[Sequence[float]]) -> Array:
    """Return the inputs (rows, features) with mean 0 and deviation 1 in each column."""
    x = np.array(inputs)
    scaled: Array = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
    return scaled


def exact(space: Space, name: str, candidates: Sequence[PoolCandidate]) -> tuple[Array, Array]:
    """Return mean and deviation of an objective that is computed exactly."""
    values = np.array([loss(name, getattr(each.plan, name), space) for each in candidates])
    return values, np.full(len(values), 1e-9)


def expected_improvement(mean: Array, deviation: Array, points: Array) -> Array:
    """Return the expected number of ``points`` that each candidate dominates, (candidates,).

    ``mean`` and ``deviation`` are (candidates, objectives), ``points`` is (points, objectives). Objectives are taken as
    independent.
    """
    dominated = np.ones((len(mean), len(points)))
    for column in range(mean.shape[1]):
        dominated *= ndtr((points[None, :, column] - mean[:, None, column]) / deviation[:, None, column])
    total: Array = dominated.sum(axis=1)
    return total


def undominated_points(dominating: Array, bounds: Array, rng: np.random.Generator) -> Array:
    """Draw N_POINTS evenly from the box around ``bounds`` and return those that nothing in ``dominating`` dominates."""
    low, high = bounds.min(axis=0), bounds.max(axis=0)
    points = low + (high - low) * rng.random((N_POINTS, dominating.shape[1]))
    free: Array = points[~(dominating[None] <= points[:, None]).all(axis=2).any(axis=1)]
    return free
