"""The comparison of searches with and without fidelities: equal budgets, and outcomes that repeat."""

from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.search import fidelities
from benchmarks.search.fidelities import Search, cheap_outcome, cost, world_shares
from benchmarks.search.standin import outcome
from search.space.loading.loader import load_space
from search.space.space import Space


@pytest.fixture(scope="module")
def space() -> Space:
    overrides = {
        "study.sampler": "ehvi",
        "study.fidelities": "[{train.epochs: 1}]",
        "train.epochs": 10,
        "study.constraints": "{}",
    }
    return load_space(Path(__file__).parents[3] / "spaces" / "smoke.yaml", overrides=overrides)


def test_costs_are_those_of_the_fidelities(space: Space) -> None:
    params = space.candidates["baseline"]
    assert cost(space, params, 0) == pytest.approx(0.1 * cost(space, params, -1))


def test_cheap_accuracy_is_lower_and_repeats(space: Space) -> None:
    params = space.candidates["baseline"]
    cheap = cheap_outcome(params, space, 0, 0.02)
    full = outcome(params, space.candidate(params), 0)
    assert cheap == cheap_outcome(params, space, 0, 0.02)
    assert cheap[0] < full[0]
    assert cheap[1:] == full[1:]


@pytest.mark.parametrize("name", fidelities.SEARCHES)
def test_search_spends_its_budget_and_no_more_than_one_training_above(name: str, space: Space) -> None:
    dearest = max(cost(space, params, -1) for params in space.candidates.values())
    search = Search(space, world=0, deviation=0.02, budget=1.5 * dearest)
    fidelities.SEARCHES[name](search)
    assert search.found
    assert search.spent <= 2.5 * dearest  # a training that has begun is finished; none is dearer than these
    assert all(one <= other for (one, _), (other, _) in pairwise(search.found))


def test_shares_rise_with_the_budget(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelities, "FULL_TRAININGS", 2)
    found = world_shares(space, 0, 0.02)
    assert set(found) == set(fidelities.SEARCHES)
    assert all(0 <= one <= other <= 1 + 1e-9 for row in found.values() for one, other in pairwise(row))
