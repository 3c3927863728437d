"""The command ``count``: its table, its JSON, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from search.cli.app import app
from search.errors import InputError

CODE = """
import snntorch, torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), snntorch.Leaky(beta=0.9, threshold=0.3, init_hidden=True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(4 * 7 * 7, 10),
    )
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "counted_model.py").write_text(CODE)
    return f"{tmp_path / 'counted_model.py'}:build"


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["count", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_table_has_layers_totals_and_the_energy_of_each_model(model: str) -> None:
    text = run(model, "--dataset", "digits", "--timesteps", "4", "--images", "20")
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "20" in lines["images"]
    assert "MACs and" in lines["operations"]
    assert "T = 4, one call for each step" in text
    assert {"horowitz45/exact", "lemaire2022/exact", "horowitz45/paper2602"} <= set(lines)
    assert "7,056" in lines["0"]  # 9 weights x 4 channels x 14 x 14 positions
    assert "with neurons, stem every step" in text
    assert "not counted" not in text


def test_json_has_the_same_figures(model: str) -> None:
    found = json.loads(run(model, "--dataset", "digits", "--timesteps", "4", "--images", "20", "--json"))
    first, last = found["layers"]
    assert found["macs"] == first["macs"] == 7056
    assert found["acs"] == last["acs"] > 0
    assert found["energy_mj"]["horowitz45/exact"]["total"] == pytest.approx((7056 * 4.6 + last["acs"] * 0.9) * 1e-9)
    assert 0 <= found["accuracy"] <= 1
    assert (found["forward"], found["images"], found["uncounted"]) == ("step", 20, [])


def test_arrays_and_recordings_are_counted(model: str, tmp_path: Path) -> None:
    events = np.random.default_rng(0).integers(0, 2, (6, 3, 1, 16, 16)).astype(np.float32)
    np.savez(tmp_path / "events.npz", x=events)
    words = (model, "--npz", str(tmp_path / "events.npz"), "--timesteps", "3", "--json")
    found = json.loads(run(*words, "--recordings"))
    assert (found["macs"], found["accuracy"]) == (0, None)
    assert found["layers"][0]["acs"] > 0
    assert json.loads(run(*words, "--recordings", "--inputs", "real"))["macs"] == 3 * 7056


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--timesteps", "4"), "--dataset NAME or --npz"),
        (("--timesteps", "4", "--dataset", "digits", "--npz", "x.npz"), "--dataset NAME or --npz"),
        (("--timesteps", "4", "--npz", "absent.npz"), "not a readable .npz file"),
    ],
)
def test_missing_inputs_are_refused(model: str, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(model, *words)


def test_pickle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a pickle"):
        run(str(tmp_path / "net.pt"), "--timesteps", "4", "--dataset", "digits")
