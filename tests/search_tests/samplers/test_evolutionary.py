"""The genetic algorithm: modules are inherited whole, numbers change in small steps, nothing is proposed twice."""

import random
from functools import partial

import optuna
import pytest
from helpers.untrained import SPACES

from search.samplers.evolutionary import N_STARTUP_TRIALS, GeneticSampler, crowding_distance, sorted_by_fitness
from search.samplers.history import RUNG_PREFIX
from search.samplers.stateless import StatelessSampler
from search.samplers.variation import crossover, module_of, mutate, perturb
from search.space.dials import Choices, Dial, Range, complete
from search.space.loading.loader import load_space
from search.space.space import Space

optuna.logging.set_verbosity(optuna.logging.ERROR)
SEEDS = range(20)


@pytest.fixture(scope="module")
def resize() -> Space:
    return load_space(SPACES / "squeezenet_resize.yaml")


@pytest.fixture(scope="module")
def prune() -> Space:
    return load_space(SPACES / "squeezenet_prune.yaml")


def by_module(params: dict) -> dict:
    found: dict = {}
    for path, value in params.items():
        found.setdefault(module_of(path), {})[path] = value
    return found


# -- crossover ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_each_module_comes_from_one_parent(seed, resize):
    rng = random.Random(seed)
    mother, father = (resize.sample(rng) for _ in range(2))
    child = by_module(crossover(resize.dials, mother, father, rng))
    sides = [(by_module(mother)[name], by_module(father)[name]) for name in child]
    assert all(inside in both for inside, both in zip(child.values(), sides, strict=True))
    assert {name for name, inside in child.items() if len(inside) > 1} >= {"network.fire2", "network.stem"}
    assert "encoding.timesteps" in child


@pytest.mark.parametrize("seed", SEEDS)
def test_dials_that_a_removed_module_lacks_come_from_the_other_parent(seed, prune):
    kept, removed = ({**prune.sample(random.Random(seed)), "network.fire4.keep": keep} for keep in (True, False))
    kept["network.fire4.squeeze"] = 24
    removed.pop("network.fire4.squeeze", None)
    genes = crossover(prune.dials, removed, kept, random.Random(seed))
    assert genes["network.fire4.squeeze"] == 24
    child = complete(prune.dials, genes, random.Random(seed))
    assert ("network.fire4.squeeze" in child) == child["network.fire4.keep"]


# -- mutation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_child_is_complete_and_differs_in_few_dials(seed, prune):
    rng = random.Random(seed)
    parent = prune.sample(rng)
    for _ in range(20):
        child = mutate(prune.dials, parent, rng)
        assert prune.active(child) == child
        flipped = [p for p in parent if p in child and child[p] != parent[p]]
        assert len(flipped) <= len({module_of(path) for path in flipped}) <= 4


@pytest.mark.parametrize("values", [Range(8, 64, 8), Range(0.0, 0.2, 0.05), Choices((4, 1, 2, 8, 16, 32))])
def test_most_mutated_numbers_move_to_a_neighbour(values):
    dial, rng = Dial("network.fire4.squeeze", values), random.Random(0)
    ladder = sorted(values.values) if isinstance(values, Choices) else [values.at(n) for n in range(values.size)]
    steps = [abs(ladder.index(perturb(dial, value, rng)) - at) for at, value in enumerate(ladder) for _ in range(200)]
    assert min(steps) == 1
    assert steps.count(1) > 0.6 * len(steps)


@pytest.mark.parametrize(
    "values",
    [Range(0.5, 1.0, None), Range(1e-4, 1e-2, None, log=True), Range(1, 2, 1, log=True), Range(8, 512, 1, True)],
)
def test_mutated_number_is_another_value_of_its_range(values):
    dial, rng = Dial("train.lr", values), random.Random(0)
    for value in (values.low, values.high, *(values.sample(rng) for _ in range(50))):
        there = perturb(dial, value, rng)
        assert there != value
        assert dial.canonical(there) == there


def test_words_have_no_neighbours():
    dial = Dial("train.optimizer", Choices(("a", "b", "c")))
    assert {perturb(dial, "a", random.Random(seed)) for seed in SEEDS} == {"b", "c"}


# -- selection ------------------------------------------------------------------------------------------------------


def finished(values, *, width=1, rung=None, state=optuna.trial.TrialState.COMPLETE):
    return optuna.trial.create_trial(
        state=state,
        values=None if rung else values,
        params={"width": width},
        distributions={"width": optuna.distributions.IntDistribution(0, 99)},
        user_attrs={f"{RUNG_PREFIX}{rung}": values} if rung else {},
    )


def test_complete_trials_precede_stopped_ones_and_later_rungs_precede_earlier():
    stopped = optuna.trial.TrialState.PRUNED
    trials = [
        finished([0.9, 1.0], width=4, rung=1, state=stopped),
        finished([0.1, 9.0], width=1),
        finished([0.8, 2.0], width=3, rung=2, state=stopped),
        finished([0.5, 5.0], width=0),
        finished([0.9, 1.0], width=2, rung=2, state=stopped),
        finished(None, width=5, state=optuna.trial.TrialState.FAIL),
        finished(None, width=6, state=stopped),  # refused
    ]
    assert [params["width"] for params in sorted_by_fitness(trials, ("maximize", "minimize"))] == [0, 1, 2, 3, 4]


def test_ends_of_a_front_and_isolated_points_have_the_largest_distance():
    points = [(-0.9, 1000.0), (-0.1, 10.0), (-0.5, 100.0), (-0.51, 101.0), (-0.0, 2000.0)]
    gaps = crowding_distance(points, [0, 0, 0, 0, 1])
    assert gaps[0] == gaps[1] == gaps[4] == float("inf")
    assert gaps[2] == pytest.approx(0.41 / 0.8 + 0.5, abs=0.01)  # energies by ratio: half of two decades


# -- a study --------------------------------------------------------------------------------------------------------


def grown(space: Space, trials: int, stopping: bool) -> list[dict]:
    """Search for many kept modules; with ``stopping`` half of the trials are stopped. Return the proposals."""
    make = partial(GeneticSampler, space)
    study = optuna.create_study(direction="maximize", sampler=StatelessSampler(make, 3))
    found = []
    for number in range(trials):
        trial = study.ask()
        params = space.suggest(trial)
        assert space.active(params) == params
        found.append(params)
        score = float(sum(value is True for value in params.values()))
        if stopping and number % 2:
            trial.set_user_attr(f"{RUNG_PREFIX}1", [score / 2])
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, score)
    return found


@pytest.mark.parametrize("stopped", [False, True])
def test_search_improves_and_never_repeats_a_candidate(stopped, prune):
    found = grown(prune, 40, stopped)
    kept = [sum(value is True for value in params.values()) for params in found]
    assert sum(kept[-10:]) > sum(kept[:10]) + 10
    proposed = found[2 * N_STARTUP_TRIALS :]
    assert not any(params in found[: 2 * N_STARTUP_TRIALS + at] for at, params in enumerate(proposed))
