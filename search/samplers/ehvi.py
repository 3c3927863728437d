"""Expected hypervolume improvement per unit of compute, with what is known before training taken as known.

Of three objectives a sampler like TPE learns three from trials. Here parameters and dense operations of a candidate are
exact from the start, and so is the compute that its training takes; what is left to learn, accuracy and energy, are
Gaussian processes over the dials and those figures. Of a pool of untried candidates, drawn at random and around the
front, the one is proposed whose expected gain of hypervolume (Emmerich et al. 2006, doi 10.1109/TEVC.2005.859463)
divided by its compute is largest (Snoek et al. 2012, arXiv:1206.2944). A trial that was stopped at a rung counts as
what it would have come to, had it gained what others did from there on; one that still runs as what is expected of it.
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
from reports.records.study import Leaf
from search.samplers.evolutionary import distributions
from search.samplers.history import Array, Observation, loss, observations
from search.samplers.surrogate import Option, features, option, predict
from search.samplers.variation import crossover, mutate
from search.space.constraints import ENERGY
from search.space.space import Space

STATIC = ("params", "dense_macs")  # objectives that are known before training
FIRST = 4  # trained trials before the first model
DRAWN = 8  # of so many drawn at random the one that takes the least compute is trained, until then
POOL = 400  # candidates that are compared: half of them drawn anywhere, half children of two on the front
MOST = 250  # trials that the model learns from: its cost grows with the cube of them
POINTS = 4096  # of the box of losses that the improvement is summed over


class CostAwareEHVISampler(BaseSampler):
    """Proposes values of all dials that count at once."""

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
        """Of dials that are not in a proposal: those of an interrupted trial of which some were asked before."""
        return RandomSampler(self._seed).sample_independent(study, trial, param_name, param_distribution)


def propose(space: Space, tried: Sequence[Observation], rng: random.Random) -> dict[str, Leaf]:
    """The dials of the next candidate: at random, and cheap, until there is something to learn from."""
    if sum(trial.complete for trial in tried) < FIRST:
        return _cheap(space, tried, rng)
    if not (options := _pool(space, tried, rng)):
        return space.sample(rng)
    gain = _gain(space, tried, options, rng)
    return options[int(np.argmax(gain / [each.compute for each in options]))].params


def _cheap(space: Space, tried: Sequence[Observation], rng: random.Random) -> dict[str, Leaf]:
    """Of some draws the untried one that takes the least compute."""
    seen = {trial.key for trial in tried}
    drawn = [(params, space.candidate(params)) for params in (space.sample(rng) for _ in range(DRAWN))]
    fit = [params for params, each in drawn if each.key not in seen and not space.refusals(each)]
    return min(fit, key=lambda params: option(space, params).compute, default=drawn[0][0])


def _pool(space: Space, tried: Sequence[Observation], rng: random.Random) -> list[Option]:
    """Untried candidates that meet the constraints."""
    complete = [trial for trial in tried if trial.complete]
    best = [complete[at].params for at in front([trial.losses for trial in complete if trial.losses is not None])]
    seen = {trial.key for trial in tried}
    options = []
    for number in range(POOL):
        params = space.sample(rng) if number % 2 else _child(space, rng.choice(best), rng.choice(best), rng)
        candidate = space.candidate(params)
        if candidate.key in seen or space.refusals(candidate):
            continue
        seen.add(candidate.key)
        options.append(Option(params, candidate, candidate.plan()))
    return options


def _child(space: Space, mother: Mapping[str, Leaf], father: Mapping[str, Leaf], rng: random.Random) -> dict[str, Leaf]:
    return mutate(space.dials, crossover(space.dials, mother, father, rng), rng)


def _gain(space: Space, tried: Sequence[Observation], options: Sequence[Option], rng: random.Random) -> Array:
    """Of each option the expected gain of hypervolume, as a share of the box."""
    known = _instructive(tried)
    running = [trial for trial in tried if trial.running]
    asked = [*(option(space, trial.params) for trial in running), *options]
    x = _standard([features(space, each) for each in (*(option(space, trial.params) for trial in known), *asked)])
    measured = np.array([trial.losses for trial in known])
    predicted = [
        _exact(space, name, asked)
        if name in STATIC
        else predict(x[: len(known)], measured[:, column], x[len(known) :], seed=rng.randrange(2**31))
        for column, name in enumerate(space.study.objectives)
    ]
    mean, deviation = (np.stack(each, axis=1) for each in zip(*predicted, strict=True))  # (asked, objectives)
    complete = measured[[trial.complete for trial in known]]
    above = np.concatenate([complete, mean[: len(running)]])
    box = undominated(above, np.concatenate([complete, mean]), np.random.default_rng(rng.randrange(2**31)))
    mean, deviation = mean[len(running) :], deviation[len(running) :]
    return improvement(mean, deviation, box) * _feasible(space, mean, deviation)


def _feasible(space: Space, mean: Array, deviation: Array) -> Array:
    """How likely an option is to meet the bound on energy; that it meets those known before training is certain."""
    names = list(space.study.objectives)
    if ENERGY not in space.study.constraints or ENERGY not in names:
        return np.ones(len(mean))
    column, most = names.index(ENERGY), loss(ENERGY, space.study.constraints[ENERGY]["max"], space)
    likely: Array = ndtr((most - mean[:, column]) / deviation[:, column])
    return likely


def _instructive(tried: Sequence[Observation]) -> list[Observation]:
    """What the model learns from: all that was measured, or the front and the latest."""
    known = [trial for trial in tried if trial.losses is not None]
    if len(known) <= MOST:
        return known
    complete = [trial for trial in known if trial.complete]
    best = {id(complete[at]) for at in front([trial.losses for trial in complete if trial.losses is not None])}
    rest = [trial for trial in known if id(trial) not in best]
    latest = {id(trial) for trial in rest[-max(MOST - len(best), 0) :]}
    return [trial for trial in known if id(trial) in best | latest]


def _standard(features: Sequence[Sequence[float]]) -> Array:
    x = np.array(features)
    scaled: Array = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
    return scaled


def _exact(space: Space, name: str, options: Sequence[Option]) -> tuple[Array, Array]:
    found = np.array([loss(name, getattr(each.plan, name), space) for each in options])
    return found, np.full(len(found), 1e-9)


def improvement(mean: Array, deviation: Array, box: Array) -> Array:
    """Of each option the expected number of points of ``box`` that it dominates: objectives are independent."""
    expected = np.ones((len(mean), len(box)))
    for column in range(mean.shape[1]):
        expected *= ndtr((box[None, :, column] - mean[:, None, column]) / deviation[:, None, column])
    total: Array = expected.sum(axis=1)
    return total


def undominated(above: Array, all_of: Array, rng: np.random.Generator) -> Array:
    """Points drawn evenly between the best and the worst losses that nothing in ``above`` dominates."""
    low, high = all_of.min(axis=0), all_of.max(axis=0)
    points = low + (high - low) * rng.random((POINTS, above.shape[1]))
    free: Array = points[~(above[None] <= points[:, None]).all(axis=2).any(axis=1)]
    return free
