"""Other searchers on the table of masks: the replay, the message about a missing library, and the summary."""

import itertools
from pathlib import Path

import pytest

from benchmarks.search.masks.replay import Table, table_of
from benchmarks.search.masks.rivals import compare
from benchmarks.search.masks.rivals.compare import Row, run, store, stored, summary, wanted
from benchmarks.search.masks.rivals.registry import RIVALS, Adapter, MissingLibraryError, load_rival
from benchmarks.search.masks.rivals.searches import MAX_REPEATS, RivalSearch, facts
from benchmarks.search.masks.train import RECIPE, masks
from benchmarks.search.masks.train import Row as Epoch
from reports.analysis.pareto import Point


@pytest.fixture(scope="module")
def table() -> Table:
    """Return all 256 masks. Accuracy grows with the number of kept modules, with some noise."""
    rows = []
    for number, mask in enumerate(masks()):
        kept = mask.count("1")
        for epoch in range(1, RECIPE.epochs + 1):
            rows.append(Epoch(
                mask=mask, seed=0, epoch=epoch, accuracy=0.05 * kept + 0.001 * (number % 50),
                energy_mj=0.01 * (1 + kept), params=1000 * (1 + kept) + number, dense_macs=100 * (1 + kept),
                images=10, wall_s=1.0,
            ))  # fmt: skip
    return table_of(rows)


@pytest.mark.parametrize("method", ["Optuna NSGA-II", "Optuna TPE", "random"])
def test_replay_gives_a_row_per_budget_and_repeats_itself(table: Table, method: str) -> None:
    first, again = (run(table, method, 3, (0.05, 0.10)) for _ in range(2))
    assert [(row.method, row.seed, row.share) for row in first] == [(method, 3, 0.05), (method, 3, 0.10)]
    assert [(row.hypervolume, row.trained) for row in first] == [(row.hypervolume, row.trained) for row in again]
    assert 0 < first[0].hypervolume <= first[1].hypervolume <= 1
    assert 5 < first[0].trained < first[1].trained < 60
    assert first[0].seconds > 0


class Stubborn:
    """A rival that proposes the same two masks in turn."""

    def __init__(self) -> None:
        self._proposals = itertools.cycle(["00000000", "11111111"])
        self.learned: list[tuple[str, Point]] = []

    def ask(self) -> str:
        return next(self._proposals)

    def tell(self, mask: str, losses: Point) -> None:
        self.learned.append((mask, losses))


def test_repeated_proposals_are_answered_and_then_a_neighbour_is_trained(table: Table) -> None:
    rival = Stubborn()
    search = RivalSearch(rival, table, seed=0)
    trained = []
    for _ in range(3):
        trained.append(search.ask())
        search.tell(trained[-1], (0.5, 1.0, 1.0))
    assert trained[:2] == ["00000000", "11111111"]
    assert trained[2].count("0") == 1  # it differs from the last repeated mask, 11111111, in one module
    assert {mask for mask, _ in rival.learned} == {"00000000", "11111111"}
    assert len(rival.learned) == 2 + MAX_REPEATS
    assert set(rival.learned) == {(mask, (-0.5, 0.0, 0.0)) for mask in trained[:2]}


def test_facts_are_the_third_loss_and_the_cost(table: Table) -> None:
    known = facts(table)
    assert sum(each.cost for each in known.values()) == table.cost
    assert known["00000000"].size_loss < known["00000001"].size_loss


def test_message_about_a_missing_library_says_what_to_install() -> None:
    rivals = {"Nobody": Adapter("nobody-tune", "nobody_tune.search:Search")}
    with pytest.raises(MissingLibraryError, match=r"Nobody needs nobody-tune.*pip install '\.\[rivals\]'"):
        load_rival("Nobody", rivals)


def test_methods_without_their_library_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RIVALS, "Nobody", Adapter("nobody-tune", "nobody_tune.search:Search"))
    assert list(compare.available(["random", "Nobody", "Optuna TPE"])) == ["random", "Optuna TPE"]
    assert "left out: Nobody needs nobody-tune" in capsys.readouterr().out


def test_summary_has_medians_and_quartiles(tmp_path: Path) -> None:
    path = tmp_path / "rivals.csv"
    store(path, [Row("random", seed, 0.05, volume, 10, 0.25) for seed, volume in enumerate((0.1, 0.2, 0.3, 0.4, 0.9))])
    store(path, [Row("ours", 0, 0.05, 0.5, 10, 2.0), Row("random", 4, 0.1, 1.0, 20, 0.25)])
    assert list(summary(stored(path))) == [
        "| method | n | seconds per question | 5% | 10% |",
        "|---|---|---|---|---|",
        "| ours | 1 | 2 | 0.500 |  |",
        "| random | 5 | 0.25 | 0.300 (0.200 to 0.400) | 1.000, n = 1 |",
    ]


def test_stored_searches_and_further_seeds_of_slow_methods_do_not_run(tmp_path: Path) -> None:
    path = tmp_path / "rivals.csv"
    store(path, [Row("random", 0, 0.05, 0.5, 10, 0.1), Row("ours", 1, 0.05, 0.5, 10, 2.0)])
    assert list(wanted(["ours", "random"], path, 0.05, seeds=3, slow_seeds=2)) == [
        ("ours", 0),
        ("random", 1),
        ("random", 2),
    ]
