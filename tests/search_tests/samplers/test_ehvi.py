"""The default sampler: its integral is correct, exact objectives are not modelled, and it beats random search."""

import random
from dataclasses import replace
from statistics import median

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from reports.analysis.pareto import as_losses, front
from reports.analysis.volume import hypervolume, hypervolume_contribution
from reports.records.objectives import OBJECTIVES, Scale
from search.samplers.ehvi import (
    N_POINTS,
    N_STARTUP_DRAWS,
    N_STARTUP_TRIALS,
    CostAwareEHVISampler,
    expected_improvement,
    propose,
    undominated_points,
)
from search.samplers.history import Observation, losses, observations
from search.samplers.stateless import StatelessSampler
from search.samplers.surrogate import pool_candidate
from search.space.loading.loader import load_space
from search.space.space import Space

optuna.logging.set_verbosity(optuna.logging.ERROR)

FIRES = range(2, 10)
TEXT = (
    "study: {name: asked, budget: {trials: 4}, objectives: {accuracy: maximize, energy_mj: minimize, params: minimize},"
    " constraints: {params: {max: 700_000}}}\nnetwork:\n  family: squeezenet\n"
    + "".join(f"  fire{n}: {{keep: {{choices: [true, false]}}}}\n" for n in FIRES)
    + "neuron: {leak: {low: 0.5, high: 1.0}}\ndata: {name: cifar10}\ntrain: {rungs: [1]}\n"
)


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(TEXT)


def outcome(space: Space, params: dict) -> tuple[float, float, float]:
    """An invented training result: deeper is better up to a point, energy follows the operations."""
    plan = space.candidate(params).plan()
    kept = sum(bool(params[f"network.fire{n}.keep"]) * (10 - n) for n in FIRES) / 44
    return 0.4 + 0.3 * kept * (1.5 - kept) - 0.1 * abs(params["neuron.leak"] - 0.6), plan.dense_macs / 1e9, plan.params


def tried(space: Space, count: int, seed: int = 0) -> list[Observation]:
    rng = random.Random(seed)
    drawn = [space.sample(rng) for _ in range(count)]
    return [
        Observation(params, space.candidate(params).fingerprint, losses(space, outcome(space, params)), complete=True)
        for params in drawn
    ]


def test_improvement_of_a_certain_prediction_is_its_hypervolume_contribution():
    rng = np.random.default_rng(0)
    above, options = rng.random((6, 3)), rng.random((20, 3))
    box = undominated_points(above, np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), rng)
    found = expected_improvement(options, np.full_like(options, 1e-9), box) / N_POINTS
    exact = [hypervolume_contribution(tuple(each), [tuple(p) for p in above], (1.0, 1.0, 1.0)) for each in options]
    assert found == pytest.approx(exact, abs=0.02)
    assert max(exact) > 0.05


def test_uncertain_prediction_has_a_higher_expected_improvement():
    box = np.array([[0.4, 0.4]])
    sure, unsure = (expected_improvement(np.array([[0.5, 0.1]]), np.array([[s, 0.01]]), box)[0] for s in (1e-6, 0.2))
    assert sure == 0 < unsure < 0.5


def test_tried_and_refused_candidates_are_not_proposed(space: Space):
    before = tried(space, 40)
    keys = {each.key for each in before}
    for seed in range(3):
        candidate = space.candidate(propose(space, before, random.Random(seed)))
        assert candidate.fingerprint not in keys
        assert not space.refusals(candidate)


def test_proposals_are_cheaper_to_train_than_random_candidates(space: Space):
    """Gain is divided by compute; otherwise proposals would have any size."""
    before = tried(space, 12)
    rng = random.Random(1)
    usual = median(space.candidate(space.sample(rng)).plan().dense_macs for _ in range(100))
    proposals = [propose(space, before, random.Random(seed)) for seed in range(3)]
    assert median(space.candidate(params).plan().dense_macs for params in proposals) < usual


def test_stopped_trial_counts_with_extrapolated_losses(space: Space):
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"])

    def told(rung: list[float], values: list[float] | None) -> None:
        trial = study.ask()
        trial.set_user_attr("key", space.candidate(space.suggest(trial)).fingerprint)
        trial.set_user_attr("rung:1", rung)
        study.tell(trial, values, state=TrialState.COMPLETE if values else TrialState.PRUNED)

    told([0.3, 0.01, 1e5], [0.5, 0.02, 1e5])
    told([0.4, 0.01, 1e5], [0.5, 0.02, 1e5])
    told([0.2, 0.03, 2e5], None)
    expected = losses(space, [0.2 + 0.15, 0.06, 2e5])  # plus the mean change of the others; a factor for energy
    assert observations(space, study)[2].losses == pytest.approx(expected)
    assert not observations(space, study)[2].complete


@pytest.mark.slow
def test_sampler_finds_more_than_random_search(space: Space):
    """It finds more hypervolume in 24 trials than random search in 48, for two seeds."""

    def found(sampler: optuna.samplers.BaseSampler, count: int) -> float:
        study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
        points = []
        for _ in range(count):
            trial = study.ask()
            params = space.suggest(trial)
            trial.set_user_attr("key", space.candidate(params).fingerprint)
            values = outcome(space, params)
            study.tell(trial, values)
            points.append(as_losses(np.log(values), ["maximize", "minimize", "minimize"]))
        return hypervolume([points[at] for at in front(points)], (0.9, -2.0, 14.0))

    for seed in range(2):
        ours = found(StatelessSampler(lambda s: CostAwareEHVISampler(space, s), seed), 24)
        assert ours > found(optuna.samplers.RandomSampler(seed), 48)


def test_widening_the_box_of_a_report_changes_no_proposal(space: Space, monkeypatch):
    before = [propose(space, tried(space, 12), random.Random(seed)) for seed in range(2)]
    for name, info in OBJECTIVES.items():
        wider = Scale(info.box.low / 10 if info.box.log else -1.0, info.box.high * 10, info.box.log)
        monkeypatch.setitem(OBJECTIVES, name, replace(info, box=wider))
    assert [propose(space, tried(space, 12), random.Random(seed)) for seed in range(2)] == before


def test_first_proposals_are_the_cheapest_of_random_draws(space: Space):
    few, rng = tried(space, N_STARTUP_TRIALS - 1), random.Random(3)
    drawn = [space.sample(rng) for _ in range(N_STARTUP_DRAWS)]
    assert propose(space, few, random.Random(3)) in drawn
    proposed = pool_candidate(space, propose(space, few, random.Random(3)))
    assert proposed.compute == min(pool_candidate(space, params).compute for params in drawn)
