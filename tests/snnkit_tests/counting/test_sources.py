"""Models and inputs that a command line names."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snnkit.counting.errors import CountError
from snnkit.counting.sources import load_model, read_arrays, read_dataset

CODE = """
from torch import nn
from beside import WIDTH

net = nn.Linear(WIDTH, 2)
number = 3

def build():
    return nn.Linear(WIDTH, 3)

def broken(width):
    return nn.Linear(width, 3)
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WIDTH = 4")
    (tmp_path / "some_model.py").write_text(CODE)
    return tmp_path / "some_model.py"


def test_module_and_factory_in_a_file_are_loaded(module: Path) -> None:
    assert load_model(f"{module}:net").out_features == 2
    assert load_model(f"{module}:build").out_features == 3


def test_module_is_imported_by_name(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(module.parent)
    assert load_model("some_model:net").out_features == 2
    assert isinstance(load_model("torch.nn:Identity"), nn.Identity)


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        (":absent", "has no absent; it has net"),
        (":number", "is a int, not a torch module; write module:attribute"),
        (":broken", "cannot be called without arguments"),
        ("", "Give a NIR file"),
        (":", "Give a NIR file"),
    ],
)
def test_wrong_reference_is_refused(module: Path, attribute: str, said: str) -> None:
    with pytest.raises(CountError, match=said):
        load_model(f"{module}{attribute}")


@pytest.mark.parametrize("name", ["absent.py:net", "absent.nir", "no_such_module:net"])
def test_absent_model_is_refused(name: str) -> None:
    with pytest.raises(CountError, match=r"no such file|cannot import"):
        load_model(name)


def test_error_of_the_code_is_shown(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(CountError, match=r"cannot import .*ZeroDivisionError"):
        load_model(f"{tmp_path / 'bad.py'}:net")


def test_pickled_module_is_refused_with_a_remedy(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "net.pt")
    with pytest.raises(CountError, match=r"is a pickle: .*any code.*weights_only=True.*model.py:build"):
        load_model(str(tmp_path / "net.pt"))


def test_arrays_are_batched_with_their_labels(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).random((120, 2, 3), np.float32), np.arange(120)
    np.savez(tmp_path / "both.npz", x=x, y=y)
    np.savez(tmp_path / "inputs.npz", x=x)
    batches = list(read_arrays(tmp_path / "both.npz", 70))
    assert [len(images) for images, _ in batches] == [50, 20]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(70))
    assert torch.equal(torch.cat(list(read_arrays(tmp_path / "inputs.npz", 500))), torch.from_numpy(x))


def test_wrong_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros(3))
    with pytest.raises(CountError, match="holds images; it should hold inputs x"):
        read_arrays(tmp_path / "a.npz", 5)
    np.savez(tmp_path / "b.npz", x=np.zeros((3, 2)), y=np.zeros(4, dtype=int))
    with pytest.raises(CountError, match="one label for each input"):
        read_arrays(tmp_path / "b.npz", 5)
    for name, arrays in {"x": {"x": np.array(["a"])}, "y": {"x": np.zeros((2, 2)), "y": np.array([0.5, 1])}}.items():
        np.savez(tmp_path / "c.npz", **arrays)
        with pytest.raises(CountError, match=rf"c\.npz: {name} has the type .*; it should hold .*numbers"):
            read_arrays(tmp_path / "c.npz", 5)
    with pytest.raises(CountError, match=r"not a readable \.npz file"):
        read_arrays(tmp_path / "absent.npz", 5)


def test_data_set_gives_test_images(tmp_path: Path) -> None:
    batches, time_axis = read_dataset("digits", tmp_path, 60, 4, "unit")
    images, labels = (torch.cat(each) for each in zip(*batches, strict=True))
    assert (len(images), len(labels), time_axis) == (60, 60, None)
    assert images.min() == 0
    assert images.max() <= 1
    normalised = torch.cat([each for each, _ in read_dataset("digits", tmp_path, 60, 4, "normalised")[0]])
    assert normalised.min() < 0
