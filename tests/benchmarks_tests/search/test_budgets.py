"""The recipes of the table of accuracy against the cost of training."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.search import budgets
from benchmarks.search.budgets import DESIGN, SETTINGS, Row, Training, append, read, sections, table
from search.space.loading.loader import load_space
from snnkit.data import Images, Splits
from snnkit.families import FAMILIES
from snnkit.families.squeezenet import SqueezeNet


@pytest.mark.parametrize("name", SETTINGS)
def test_every_variant_has_valid_recipes_and_is_not_another_one(name: str) -> None:
    found = [sections(SETTINGS[name], change) for change in SETTINGS[name].variants.values()]
    assert all(one != other for at, one in enumerate(found) for other in found[:at])


def test_network_is_the_one_of_the_space() -> None:
    space = load_space(Path(__file__).parents[3] / "spaces/squeezenet_edge.yaml")
    candidate = space.candidate(space.candidates["pooled-currents"])
    assert FAMILIES["squeezenet"].plan(SqueezeNet.model_validate(DESIGN), 10, (3, 32, 32)) == candidate.plan()


def test_a_training_is_a_row_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    images = Images(rng.integers(0, 256, (40, 3, 16, 16), np.uint8), np.arange(40) % 10)
    parts = Splits("noise", images, images, images, (0.5,) * 3, (0.3,) * 3, tuple("abcdefghij"))
    plan = FAMILIES["squeezenet"].plan(SqueezeNet.model_validate(DESIGN), 10, (3, 16, 16))
    brief = budgets.Setting(
        {}, SETTINGS["few"].recipe | {"epochs": 1, "cnn_epochs": 1, "batch": 20}, budgets.SETTINGS["few"].variants
    )
    monkeypatch.setattr("snnkit.training.step.TrainStep.stops_at_chance", False)  # noise is not learned
    monkeypatch.setitem(budgets.SETTINGS, "few", brief)  # type: ignore[arg-type]
    name = "muon, distill: 0.7"
    row = Training(parts, plan, 0, tmp_path).run("few", name)
    append(tmp_path / "rows.csv", row)
    (stored,) = read(tmp_path / "rows.csv")
    assert (stored.setting, stored.variant, stored.seed) == ("few", name, 0)
    assert stored.macs == pytest.approx(row.macs, rel=1e-4)
    assert row.macs > 40 * 3 * plan.dense_macs * 3 * 0.9  # the twin, the network with T = 2, and the teacher
    assert f"| {name} |" in "\n".join(table("few", [stored]))
    assert isinstance(stored, Row)
