"""Which candidate to train next, and at which fidelity: the step with the largest expected gain per compute.

A step is a new candidate at the cheapest fidelity, or the promotion of a paused candidate to the next one. Only figures
at the full fidelity count. Their prediction is a sum: a Gaussian process over the dials for the cheapest fidelity, and
for each further one the gain over the fidelity below, learned from the candidates that were promoted (Kennedy and
O'Hagan 2000, doi 10.1093/biomet/87.1.1).

The steps of a candidate are a sequence of costs, and it may be dropped after each of them. The price of a candidate is
the gain per operation at which its next step just pays, if it is dropped unless the result then justifies the rest
(Gittins index; Xie et al. 2024, arXiv:2406.20062). The step with the highest price is the next one. For a candidate at
its last step that is the expected gain of hypervolume per operation.

Each fidelity gets at least half of the operations of the one below; successive halving gives it as many (Jamieson and
Talwalkar 2016, arXiv:1502.07943). A promotion is due if its fidelity then still has no more than that half, and the due
one with the highest price comes first. Otherwise a short search would end before any full training.

Trials of an older study (`search.study.evidence`) were trained otherwise. The full figures that they let expect of a
candidate are one more input of the models, so they count as far as they agree with what the new study measures.

Costs count less and less as the budget is spent: they are raised to the power of the share that is left (cost-cooling;
Lee et al. 2020, arXiv:2003.10870). Otherwise a search would train small networks until its end.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from reports.analysis.pareto import front
from reports.records.objectives import OBJECTIVES
from reports.records.study import Leaf
from search.samplers.ehvi import (
    MAX_OBSERVATIONS,
    N_STARTUP_TRIALS,
    bounds_as_losses,
    cheap_draw,
    exact,
    standardize,
    undominated_points,
    untried_pool,
)
from search.samplers.history import Array, Observation
from search.samplers.surrogate import PoolCandidate, features, pool_candidate, predict, training_cost
from search.space.space import Space

N_SIZE_FEATURES = 3  # the first inputs of the model: parameters, operations, convolutions
MIN_GAINS = 8  # measured gains from which a model of them is fitted; before that, their mean
UNKNOWN_DEVIATION = 0.3  # of the gain before any was measured
PRIOR_GAINS, PRIOR_DEVIATION = 3, 0.05  # as if so many gains with that deviation had been measured
RESERVED = 0.5  # operations of a fidelity, as a share of the operations of the one below
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)  # of a normal distribution
BISECTIONS = 40


@dataclass(frozen=True)
class Promotion:
    """Train the paused trial ``number`` at the next fidelity."""

    number: int


@dataclass(frozen=True)
class Proposal:
    """Train a new candidate at the cheapest fidelity."""

    params: Mapping[str, Leaf]


@dataclass(frozen=True)
class Option:
    """A candidate that a step may be taken with. ``trial`` is None for a new one."""

    each: PoolCandidate
    trial: Observation | None
    costs: tuple[float, ...]  # operations of its remaining trainings, the next one first

    @property
    def done(self) -> int:
        """Number of fidelities that it has finished."""
        return 0 if self.trial is None else len(self.trial.below)

    def is_due(self, spent: Sequence[float]) -> bool:
        """Whether it is a promotion to a fidelity that has too few of the operations ``spent``, even with it."""
        return self.done > 0 and spent[self.done] + self.costs[0] <= RESERVED * spent[self.done - 1]

    @property
    def step(self) -> Promotion | Proposal:
        return Proposal(self.each.params) if self.trial is None else Promotion(self.trial.number)


def next_step(
    space: Space, history: Sequence[Observation], macs_left: float, rng: random.Random, *, share_left: float = 1.0
) -> Promotion | Proposal | None:
    """Return the next step; None if no candidate can be trained in full with ``macs_left``.

    ``share_left`` is the share of the budget that is left, 0 to 1. ``history`` must have no trial that waits for its
    first training.
    """
    started = [trial for trial in history if trial.below or trial.complete or trial.running]
    measured = [trial for trial in started if trial.below]
    if len(started) < N_STARTUP_TRIALS or not measured:
        return Proposal(cheap_draw(space, history, rng))
    options = [_option(space, pool_candidate(space, trial.params), trial) for trial in measured if trial.paused]
    evidence = [trial for trial in history if trial.evidence]
    pool = untried_pool(space, history, _parents(measured, evidence), rng)
    options += [_option(space, each, None) for each in pool]
    options = [option for option in options if sum(option.costs) <= macs_left]
    if not options:
        return None
    prices = _prices(space, options, history, share_left, rng)
    spent = _spent(space, started)
    due = [at for at, option in enumerate(options) if option.is_due(spent) and prices[at] > 0]
    best = max(due or range(len(options)), key=lambda at: float(prices[at]))
    new = [option for option in options if option.trial is None]
    if prices[best] <= 0 and new:  # nothing seems to gain anything: explore
        return rng.choice(new).step
    return options[best].step


def _spent(space: Space, started: Sequence[Observation]) -> list[float]:
    """Return the operations of all trainings at each fidelity, also of those that still run."""
    spent = [0.0] * (len(space.study.fidelities) + 1)
    for trial in started:
        costs = _option(space, pool_candidate(space, trial.params), None).costs
        for level in range(len(trial.below) + (not trial.paused)):
            spent[level] += costs[level]
    return spent


def _option(space: Space, each: PoolCandidate, trial: Observation | None) -> Option:
    every = space.fidelities(each.candidate)
    plans = [each.plan if c.data.shape == each.candidate.data.shape else c.plan() for c in every]
    done = 0 if trial is None else len(trial.below)
    costs = (training_cost(candidate, plan) for candidate, plan in zip(every[done:], plans[done:], strict=True))
    return Option(each, trial, tuple(costs))


def _parents(measured: Sequence[Observation], evidence: Sequence[Observation]) -> list[Mapping[str, Leaf]]:
    """Return the dials of the fronts: at the cheapest fidelity, at the full one, and of the evidence."""
    complete = [trial for trial in measured if trial.complete and trial.losses is not None]
    fronts = [measured[at] for at in front([trial.below[0] for trial in measured])]
    fronts += [complete[at] for at in front([trial.losses for trial in complete if trial.losses is not None])]
    fronts += [evidence[at] for at in front([trial.losses for trial in evidence if trial.losses is not None])]
    return [trial.params for trial in fronts]


@dataclass(frozen=True)
class _Prediction:
    """Predicted losses of options after full training: means (options, objectives), and the deviation that each
    fidelity adds to them (fidelities, options, objectives); 0 for finished ones."""

    mean: Array
    deviations: Array


def _prices(
    space: Space, options: Sequence[Option], history: Sequence[Observation], share_left: float, rng: random.Random
) -> Array:
    """Return the price of each option, in points of the sampled box per operation."""
    last = [trial for trial in history if trial.running and len(trial.below) == len(space.study.fidelities)]
    running = [_option(space, pool_candidate(space, trial.params), trial) for trial in last]
    found = _predict(space, [*running, *options], history, rng)
    complete = np.array([trial.losses for trial in history if trial.complete]).reshape(-1, found.mean.shape[1])
    dominating = np.concatenate([complete, found.mean[: len(running)]])
    total = np.sqrt((found.deviations**2).sum(axis=0))
    box = np.concatenate([complete, found.mean, found.mean - 2 * total])
    points = undominated_points(dominating, box, np.random.default_rng(rng.randrange(2**31)))
    for column, bound in bounds_as_losses(space).items():
        points = points[points[:, column] <= bound]  # outside a bound there is nothing to gain
    mean, deviations = found.mean[len(running) :], found.deviations[:, len(running) :]
    remaining = [(option.done, option.costs) for option in options]
    return prices(mean, deviations, remaining, points, _measured_last(space), cooling=share_left)


def _measured_last(space: Space) -> int:
    """Return the column of the objective that only training can tell: what a training is done to learn."""
    unknown = [at for at, name in enumerate(space.study.objectives) if OBJECTIVES[name].known_before_training is None]
    return unknown[0] if unknown else 0


def _predict(
    space: Space, options: Sequence[Option], history: Sequence[Observation], rng: random.Random
) -> _Prediction:
    known, older = _model_data(history), [trial for trial in history if trial.evidence]
    levels = [trial.below if trial.losses is None else (*trial.below, trial.losses) for trial in known]
    every = [
        *(pool_candidate(space, trial.params) for trial in known),
        *(option.each for option in options),
        *(pool_candidate(space, trial.params) for trial in older),
    ]
    x = standardize([features(space, each) for each in every])
    x_known, x_asked, x_older = np.split(x, [len(known), len(known) + len(options)])
    count, names = len(space.study.fidelities) + 1, list(space.study.objectives)
    mean = np.zeros((len(options), len(names)))
    deviations = np.zeros((count, len(options), len(names)))
    for column, name in enumerate(names):
        if OBJECTIVES[name].known_before_training == "exactly":
            mean[:, column], deviations[-1, :, column] = exact(space, name, [option.each for option in options])
            continue
        own, asked = x_known, x_asked
        if len(older) >= N_STARTUP_TRIALS:
            measured = np.array([trial.losses[column] for trial in older if trial.losses is not None])
            expected, _ = predict(x_older, measured, x[: -len(older)], seed=rng.randrange(2**31))
            own, asked = np.split(
                np.column_stack([x[: -len(older)], standardize(expected[:, None].tolist())]), [len(known)]
            )
        values = [[losses[column] for losses in each] for each in levels]
        first = np.array([each[0] for each in values])
        mean[:, column], deviations[0, :, column] = predict(own, first, asked, seed=rng.randrange(2**31))
        for level in range(count):
            if level:
                promoted = [at for at, each in enumerate(values) if len(each) > level]
                before = np.array([values[at][level - 1] for at in promoted])
                gains = np.array([values[at][level] for at in promoted]) - before
                inputs = np.column_stack([before, own[promoted, :N_SIZE_FEATURES]])
                at = np.column_stack([mean[:, column], asked[:, :N_SIZE_FEATURES]])
                gain, deviations[level, :, column] = predicted_gain(inputs, gains, at, seed=rng.randrange(2**31))
                mean[:, column] += gain
            for row, option in enumerate(options):
                if option.trial is not None and option.done > level:
                    mean[row, column], deviations[level, row, column] = option.trial.below[level][column], 0.0
    return _Prediction(mean, deviations)


def _model_data(history: Sequence[Observation]) -> list[Observation]:
    """Return the measured trials; of more than MAX_OBSERVATIONS those that went furthest, and of these the latest."""
    known = [trial for trial in history if trial.below]
    by_worth = sorted(known, key=lambda trial: (-len(trial.below) - (trial.losses is not None), -trial.number))
    return sorted(by_worth[:MAX_OBSERVATIONS], key=lambda trial: trial.number)


def predicted_gain(inputs: Array, gains: Array, at: Array, *, seed: int) -> tuple[Array, Array]:
    """Return mean and deviation of the gain for each row of ``at``, (options, features).

    ``gains`` (n,) were measured at ``inputs`` (n, features).
    """
    if not len(gains):
        return np.zeros(len(at)), np.full(len(at), UNKNOWN_DEVIATION)
    if len(gains) < MIN_GAINS:
        mean = float(gains.mean())
        squares = PRIOR_GAINS * PRIOR_DEVIATION**2 + float(((gains - mean) ** 2).sum())
        deviation = math.sqrt(squares / (PRIOR_GAINS + len(gains)) * (1 + 1 / len(gains)))
        return np.full(len(at), mean), np.full(len(at), deviation)
    scaled = standardize([*inputs.tolist(), *at.tolist()])
    mean_at, deviation_at = predict(scaled[: len(inputs)], gains, scaled[len(inputs) :], seed=seed)
    fitted, _ = predict(scaled[: len(inputs)], gains, scaled[: len(inputs)], seed=seed)
    residual = float(np.std(gains - fitted))  # differs from training to training
    return mean_at, np.hypot(deviation_at, residual)


def prices(
    mean: Array, deviations: Array, remaining: Sequence[tuple[int, tuple[float, ...]]], points: Array, learned: int,
    *, cooling: float = 1.0,
) -> Array:  # fmt: skip
    """Return the price of each option: the gain per operation at which its next training just pays.

    Args:
        mean: predicted losses in full, (options, objectives).
        deviations: deviation that each fidelity adds, (fidelities, options, objectives); 0 for finished ones.
        remaining: for each option, the number of finished fidelities, and the operations of each remaining training.
        points: where a candidate gains, (points, objectives).
        learned: column of the objective that the next training tells more about.
        cooling: power that costs are raised to; 0: they do not count.
    """
    total = np.sqrt((deviations**2).sum(axis=0)).clip(min=1e-9)
    others = np.ones((len(mean), len(points)))
    for column in range(mean.shape[1]):
        if column != learned:
            others *= ndtr((points[None, :, column] - mean[:, None, column]) / total[:, None, column])

    def gain(center: Array, deviation: Array) -> Array:
        found: Array = (others * ndtr((points[None, :, learned] - center[:, None]) / deviation[:, None])).sum(axis=1)
        return found

    next_one = np.array([deviations[done, row, learned] for row, (done, _) in enumerate(remaining)])
    rest = np.sqrt((total[:, learned] ** 2 - next_one**2).clip(min=0)).clip(min=1e-9)
    first = np.array([costs[0] for _, costs in remaining]) ** cooling
    rest_costs = np.array([sum(costs[1:]) for _, costs in remaining])
    last = rest_costs <= 0
    later = np.where(last, 0.0, rest_costs**cooling)
    after = np.stack([gain(mean[:, learned] + next_one * node, rest) for node in NODES], axis=1)
    weights = WEIGHTS / WEIGHTS.sum()
    committed = gain(mean[:, learned], total[:, learned])
    low, high = np.zeros(len(mean)), np.maximum(committed, (after * weights).sum(axis=1)) / first
    for _ in range(BISECTIONS):  # the price of an option is where the value of its next training is its cost
        middle = (low + high) / 2
        value = ((after - (middle * later)[:, None]).clip(min=0) * weights).sum(axis=1)
        pays = value > middle * first
        low, high = np.where(pays, middle, low), np.where(pays, high, middle)
    found: Array = np.where(last, committed / first, low)
    return found
