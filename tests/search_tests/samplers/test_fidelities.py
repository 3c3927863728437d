"""Prices of the next steps, gains between fidelities, and which step the search takes."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from helpers.untrained import SPACES
from scipy.special import ndtri

from reports.records.study import Leaf
from search.samplers import fidelities
from search.samplers.fidelities import (
    UNKNOWN_DEVIATION,
    Promotion,
    Proposal,
    next_step,
    predicted_gain,
    prices,
)
from search.samplers.history import Array, Observation
from search.samplers.surrogate import pool_candidate, training_cost
from search.space.loading.loader import load_space
from search.space.space import Space

FIDELITIES = "[{data.subset: 400, train.epochs: 1}]"
OVERRIDES = {
    "study.sampler": "ehvi",
    "study.fidelities": FIDELITIES,
    "data.validation": 300,
    "candidates": "{}",
    "study.objectives": "{accuracy: maximize, params: minimize}",
    "study.constraints": "{}",
}
GENERATOR = np.random.default_rng(0)
POINTS = GENERATOR.random((2000, 2))


@pytest.fixture
def space() -> Space:
    return load_space(SPACES / "smoke.yaml", overrides=OVERRIDES)


def gain(mean: float, deviation: float, size: float) -> float:
    """The expected number of points that a candidate dominates, drawn by chance."""
    losses = mean + deviation * np.random.default_rng(1).standard_normal(4000)
    dominated = (POINTS[None, :, 0] >= losses[:, None]) & (POINTS[None, :, 1] >= size)
    return float(dominated.sum(axis=1).mean())


def price(mean: float, deviations: list[float], costs: tuple[float, ...], size: float = 0.3) -> float:
    done = len(deviations) - len(costs)
    table = np.array([[[deviation, 1e-9]] for deviation in deviations])
    (found,) = prices(np.array([[mean, size]]), table, [(done, costs)], POINTS, 0)
    return float(found)


def test_price_of_the_last_training_is_its_gain_per_operation() -> None:
    assert price(0.5, [0.0, 0.1], (4.0,)) == pytest.approx(gain(0.5, 0.1, 0.3) / 4, rel=0.02)


def test_price_of_a_cheap_first_training_pays_exactly() -> None:
    """The dear training follows only where it pays. Its expected value is the cost of the cheap one."""
    mean, first, rest, cheap, dear = 0.6, 0.15, 0.05, 1.0, 9.0
    found = price(mean, [first, rest], (cheap, dear))
    nodes = ndtri((np.arange(400) + 0.5) / 400)
    value = np.mean([max(0.0, gain(mean + first * node, rest, 0.3) - found * dear) for node in nodes])
    assert value == pytest.approx(found * cheap, rel=0.1)


def test_option_to_stop_is_worth_something() -> None:
    committed = price(0.6, [0.0, np.hypot(0.2, 0.02)], (10.0,))
    assert price(0.6, [0.2, 0.02], (1.0, 9.0)) > 1.25 * committed


def test_nothing_is_paid_for_a_first_training_that_tells_nothing() -> None:
    committed = price(0.6, [0.0, 0.1], (10.0,))
    assert price(0.6, [0.0, 0.1], (1.0, 9.0)) == pytest.approx(committed, rel=0.02)


def test_better_and_cheaper_candidates_have_higher_prices() -> None:
    assert price(0.3, [0.1, 0.05], (1.0, 9.0)) > price(0.5, [0.1, 0.05], (1.0, 9.0))
    assert price(0.5, [0.1, 0.05], (1.0, 4.0)) > price(0.5, [0.1, 0.05], (1.0, 9.0))
    assert price(0.5, [0.1, 0.05], (1.0, 9.0), size=0.1) > price(0.5, [0.1, 0.05], (1.0, 9.0), size=0.5)


def test_costs_count_less_as_the_budget_is_spent() -> None:
    """A dear candidate with a large gain, and a cheap one with a small gain."""
    mean, deviations = np.array([[0.3, 0.3], [0.6, 0.3]]), np.full((2, 2, 2), [[[0.0, 1e-9]], [[0.05, 1e-9]]])
    remaining = [(1, (100.0,)), (1, (1.0,))]
    found = {cooling: prices(mean, deviations, remaining, POINTS, 0, cooling=cooling) for cooling in (1.0, 0.0)}
    assert found[1.0][0] < found[1.0][1]
    assert found[0.0][0] > found[0.0][1]


def test_gain_before_any_was_measured_is_unknown() -> None:
    mean, deviation = predicted_gain(np.empty((0, 4)), np.empty(0), np.zeros((3, 4)), seed=0)
    assert mean.tolist() == [0.0] * 3
    assert deviation.tolist() == [UNKNOWN_DEVIATION] * 3


def test_few_gains_give_their_mean() -> None:
    mean, deviation = predicted_gain(np.zeros((3, 4)), np.array([-0.1, -0.2, -0.3]), np.zeros((2, 4)), seed=0)
    assert mean == pytest.approx([-0.2, -0.2])
    of_one = 0.0677  # of three gains and three of the prior
    assert deviation == pytest.approx([of_one * (1 + 1 / 3) ** 0.5] * 2, abs=1e-3)  # the mean is not known exactly


def test_many_gains_give_a_model_of_them() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.random((30, 4))
    gains = -0.1 - 0.3 * inputs[:, 0] + 0.01 * rng.standard_normal(30)
    at = np.array([[0.1, 0.5, 0.5, 0.5], [0.9, 0.5, 0.5, 0.5]])
    mean, deviation = predicted_gain(inputs, gains, at, seed=0)
    assert mean == pytest.approx([-0.13, -0.37], abs=0.03)
    assert (deviation < 0.05).all()


def observed(space: Space, number: int, params: dict[str, object], below: float, full: float | None) -> Observation:
    """A trial with a loss in accuracy at the cheap fidelity and, if complete, in full."""
    candidate = space.candidate(params)
    size = candidate.static()["params"] / 1e4
    return Observation(
        params=space.active(params),
        key=candidate.fingerprint,
        losses=None if full is None else (full, size),
        number=number,
        below=((below, size),),
        paused=full is None,
        complete=full is not None,
    )


def history(space: Space, trials: int = 12, complete: int = 4) -> list[Observation]:
    rng = random.Random(0)
    return [
        observed(space, number, space.sample(rng), below=0.8, full=0.6 if number < complete else None)
        for number in range(trials)
    ]


def test_first_steps_are_new_candidates(space: Space) -> None:
    assert isinstance(next_step(space, [], 1e15, random.Random(0)), Proposal)
    assert isinstance(next_step(space, history(space, 2, 0), 1e15, random.Random(0)), Proposal)


def test_candidate_that_shines_at_the_cheap_fidelity_is_promoted(space: Space) -> None:
    others = history(space)
    shining = observed(space, 50, space.sample(random.Random(99)), below=0.2, full=None)
    assert next_step(space, [*others, shining], 1e15, random.Random(0)) == Promotion(50)


def test_promotion_is_due_when_the_cheap_fidelity_has_used_as_much_compute(space: Space) -> None:
    """All candidates seem equally good, so that cheap trainings have the higher price."""
    shining = observed(space, 60, space.sample(random.Random(99)), below=0.8, full=None)
    for paused in (6, 60):
        trials = [*history(space, paused, 0), shining]
        cheap = sum(costs(space, trial)[0] for trial in trials)
        least = min(costs(space, trial)[1] for trial in trials)
        assert isinstance(next_step(space, trials, 1e15, random.Random(0)), Promotion) == (paused == 60)
        assert (cheap >= least) == (paused == 60)


def costs(space: Space, trial: Observation) -> list[float]:
    """Operations of the cheap and of the full training."""
    every = space.fidelities(space.candidate(trial.params))
    return [training_cost(candidate, candidate.plan()) for candidate in every]


def test_step_is_the_same_for_the_same_history(space: Space) -> None:
    steps = {str(next_step(space, history(space), 1e15, random.Random(5))) for _ in range(2)}
    assert len(steps) == 1


def ends(space: Space, choose: Callable[..., float]) -> dict[str, object]:
    """The smallest or the largest candidate."""
    params: dict[str, object] = {}
    for dial in space.dials:
        if dial.counts(params):
            params[dial.path] = (choose is max) if dial.keep else choose(dial.values.ends)
    return params


def test_only_promotions_fit_into_a_short_rest(space: Space) -> None:
    """The budget suffices for the full training of the smallest candidate, and not for a cheap one before it."""
    smallest = observed(space, 50, ends(space, min), below=0.8, full=None)
    each = pool_candidate(space, smallest.params)
    cost = training_cost(each.candidate, each.plan)
    others = [*history(space), smallest]
    assert next_step(space, others, cost * 1.0001, random.Random(0)) == Promotion(50)
    assert next_step(space, others, cost * 0.9999, random.Random(0)) is None


def test_older_study_improves_the_model_as_far_as_it_agrees(space: Space) -> None:
    """Loss in accuracy is a wild function of the dials; the older study trained longer, so its losses are lower."""
    rng = random.Random(0)

    def loss_of(params: Mapping[str, Leaf]) -> float:
        return 0.5 + 0.3 * random.Random(str(sorted(space.active(params).items()))).random()

    own = [observed(space, number, params := space.sample(rng), loss_of(params), None) for number in range(8)]
    asked = [space.sample(rng) for _ in range(20)]
    known = [*(trial.params for trial in own), *asked]

    def evidence(losses: Callable[[Mapping[str, Leaf]], float]) -> list[Observation]:
        at = enumerate(known)
        return [Observation(space.active(each), f"older {n}", (losses(each), 0.5), evidence=True) for n, each in at]

    def error(history: list[Observation]) -> float:
        options = [fidelities._option(space, pool_candidate(space, params), None) for params in asked]
        found = fidelities._predict(space, options, history, random.Random(1)).mean[:, 0]
        return float(np.abs(found - [loss_of(params) for params in asked]).mean())

    alone = error(own)
    assert error([*own, *evidence(lambda params: 0.6 * loss_of(params) - 0.1)]) < 0.7 * alone
    assert error([*own, *evidence(lambda params: 0.5)]) == pytest.approx(alone, rel=0.3)


@pytest.mark.parametrize(("bound", "promoted"), [("{}", 20), ("{accuracy: {min: 0.6}}", 21)])
def test_candidate_outside_a_bound_is_not_promoted(bound: str, promoted: int) -> None:
    """All candidates of a space are paused: a tiny one far from the bound on accuracy, and a larger one within it."""
    space = load_space(
        SPACES / "smoke.yaml",
        overrides=OVERRIDES
        | {
            "study.constraints": bound,
            "network.stem.width": 16,
            "network.fire3.keep": False,
            "network.fire4.keep": False,
            "encoding.timesteps": 1,
        },
    )
    assert space.size == 2
    gained = [observed(space, number, ends(space, min), below=0.9, full=0.8) for number in range(4)]
    tiny = replace(gained[0], number=20, paused=True, complete=False, losses=None)
    large = observed(space, 21, ends(space, max), below=0.45, full=None)
    step = next_step(space, [*gained, tiny, large], 1e15, random.Random(0))
    assert step == Promotion(promoted)


def test_candidates_outside_a_bound_teach_what_full_training_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    space = load_space(SPACES / "smoke.yaml", overrides=OVERRIDES | {"study.constraints": "{accuracy: {min: 0.6}}"})
    learned = []

    def spy(inputs: Array, gains: Array, at: Array, *, seed: int) -> tuple[Array, Array]:
        learned.append(gains.tolist())
        return predicted_gain(inputs, gains, at, seed=seed)

    monkeypatch.setattr("search.samplers.fidelities.predicted_gain", spy)
    trials = [replace(trial, complete=False) for trial in history(space, 12, 3)]  # losses of 0.6 after 0.8
    next_step(space, trials, 1e15, random.Random(0))
    assert learned == [pytest.approx([-0.2] * 3)]


def test_candidate_that_the_model_leaves_out_can_be_promoted(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model learns from the trials that went furthest, but every paused one remains an option."""
    monkeypatch.setattr("search.samplers.fidelities.MAX_OBSERVATIONS", 8)
    shining = observed(space, 0, space.sample(random.Random(99)), below=0.2, full=None)
    others = [replace(trial, number=trial.number + 1) for trial in history(space, 16, 6)]
    assert next_step(space, [shining, *others], 1e15, random.Random(0)) == Promotion(0)
