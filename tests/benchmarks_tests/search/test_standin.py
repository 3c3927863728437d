"""The stand-in for training: worlds repeat, trials come in a study's order, and shares lie between 0 and 1."""

import itertools
from pathlib import Path

import pytest

from benchmarks.search.standin import outcome, shares, trials
from search.samplers.initial_design import initial_design
from search.space.loading.loader import load_space
from search.space.space import Space


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(Path(__file__).parents[3] / "spaces" / "squeezenet_prune.yaml")


def first(space: Space, count: int, world: int = 0) -> list[tuple[float, float, float]]:
    return list(itertools.islice(trials(space, "ga", world), count))


def test_world_repeats_exactly_and_worlds_differ(space: Space) -> None:
    assert first(space, 16) == first(space, 16)
    assert first(space, 16) != first(space, 16, world=1)


def test_trials_begin_like_a_study(space: Space) -> None:
    begun = [*space.candidates.values(), *initial_design(space)]
    assert first(space, len(begun)) == [outcome(params, space.candidate(params), 0) for params in begun]


def test_parameters_are_those_of_the_candidate(space: Space) -> None:
    accuracy, energy_mj, params = outcome({}, space.base, 0)
    assert params == space.base.static()["params"]
    assert 0 < accuracy < 1
    assert energy_mj > 0


def test_shares_rise_and_all_trials_together_have_everything() -> None:
    good, bad = (0.9, 0.01, 10.0), (0.1, 1.0, 1000.0)
    found = shares({"a": [bad, good], "b": [bad, bad]}, (1, 2))
    assert found == {"a": [0.0, pytest.approx(1.0)], "b": [0.0, 0.0]}
