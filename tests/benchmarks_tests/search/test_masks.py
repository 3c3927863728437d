"""The table of masks holds whole trainings, and replayed searches spend and find the right amounts."""

import random
from pathlib import Path

import pytest

from benchmarks.search.masks.replay import (
    SEARCHES,
    SHARES,
    Table,
    correlations,
    cost,
    hypervolume_shares,
    replay,
    table_of,
)
from benchmarks.search.masks.train import RECIPE, Row, append, masks, plan, read
from search.space.sections import EarlyStopping

TABLE = Path(__file__).parents[3] / "benchmarks" / "search" / "masks" / "table.csv"


@pytest.fixture(scope="module")
def small() -> Table:
    """Return 64 masks. Accuracy grows with the number of kept modules, already in early epochs."""
    rows = []
    for number in range(64):
        mask = f"{number:06b}10"
        kept = mask.count("1")
        skill, thrift = random.Random(number).choices(range(100), k=2)
        for epoch in range(1, RECIPE.epochs + 1):
            rows.append(Row(
                mask=mask, seed=0, epoch=epoch, accuracy=(0.1 * kept + 0.002 * skill) * epoch / 5,
                energy_mj=0.01 * kept + 1e-4 * thrift, params=1000 * kept + number, dense_macs=100 * kept,
                images=10, wall_s=1.0,
            ))  # fmt: skip
    return table_of(rows)


def test_rows_are_whole_trainings_of_the_networks_that_they_name() -> None:
    rows = read(TABLE)
    trainings = {(row.mask, row.seed) for row in rows}
    assert len(rows) == RECIPE.epochs * len(trainings)
    assert {mask for mask, _ in trainings} <= set(masks())
    for row in rows:
        network = plan(row.mask)
        assert (row.params, row.dense_macs) == (network.params, network.dense_macs)
        assert 0 <= row.accuracy <= 1
        assert row.energy_mj > 0


def test_rows_survive_a_round_trip(tmp_path: Path) -> None:
    row = Row(
        "00101011", seed=1, epoch=2, accuracy=0.4435, energy_mj=0.00607, params=7, dense_macs=8, images=9, wall_s=1
    )
    append(tmp_path / "table.csv", [row])
    append(tmp_path / "table.csv", [row])
    assert read(tmp_path / "table.csv") == [row, row]


@pytest.mark.parametrize("name", ["random", "tpe", "ga"])
def test_search_without_stopping_finds_everything_at_the_whole_cost(small: Table, name: str) -> None:
    finished = list(replay(small, SEARCHES[name](small, 3), None))
    assert sorted(mask for _, mask in finished) == sorted(small.trainings)
    assert finished[-1][0] == small.cost == sum(cost(row) for rows in small.trainings.values() for row in rows)
    shares = hypervolume_shares(small, finished)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_stopping_spends_less_and_keeps_the_front_if_rungs_are_right(small: Table) -> None:
    finished = list(replay(small, SEARCHES["random"](small, 3), EarlyStopping(margin=0.0)))
    assert finished[-1][0] < 0.9 * small.cost
    assert hypervolume_shares(small, finished)[-1] == pytest.approx(1)


def test_same_seed_finds_the_same_masks(small: Table) -> None:
    first, second = (list(replay(small, SEARCHES["tpe"](small, 5), EarlyStopping())) for _ in range(2))
    assert first == second
    assert len(hypervolume_shares(small, first)) == len(SHARES)


def test_rank_correlations_cover_all_masks(small: Table) -> None:
    figures = dict(correlations(small))
    assert figures["accuracy after epoch 1, with its last"] == pytest.approx(1)
    assert "params after epoch 1, with its last" not in figures
