"""Data sets of torchvision and tonic are read by the name of their class, with or without parts."""

from pathlib import Path

import numpy as np
import pytest
from helpers.own_data import FIELDS
from PIL import Image

from snnkit.data import DataError, DataProblems, DataSet, DataSource
from snnkit.data.sources import READERS
from snnkit.data.sources.source import Kind


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path))


class ByTrain:
    """Like CIFAR10: a part by a boolean, labels in ``targets``, names in ``classes``."""

    classes = ("cat", "dog")

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        assert (Path(root).name, download) == ("torchvision", True)
        self.targets = [0, 1] * (4 if train else 2)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Image.Image, int]:
        return Image.fromarray(np.full((8, 8, 3), row, np.uint8)), self.targets[row]


class BySplit(ByTrain):
    """Like Flowers102: a part by a word, the training part named trainval."""

    def __init__(self, root: str, split: str = "trainval", download: bool = False) -> None:
        if split not in ("trainval", "test"):
            raise ValueError(f"unknown split {split}")
        super().__init__(root, train=split == "trainval", download=download)


class Whole(ByTrain):
    """Like EuroSAT: one part."""

    def __init__(self, root: str, download: bool = False) -> None:
        super().__init__(root, download=download)


class Absent:
    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        raise OSError("no network")


def read(kind: Kind, place: str, **options: object) -> DataSet:
    return READERS[kind].read(DataSource(kind=kind, place=place, label=place, **options))


@pytest.mark.parametrize(("made", "counts"), [(ByTrain, (8, 4)), (BySplit, (8, 4)), (Whole, (6, 2))])
def test_torchvision_classes_are_read(made: type, counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"torchvision.datasets.{made.__name__}", made, raising=False)
    data = read("torchvision", made.__name__)
    assert ((len(data.train), len(data.test)), data.classes) == (counts, ("cat", "dog"))
    if counts == (8, 4):
        assert data.train.array[:, 0, 0, 0].tolist() == list(range(8))


def test_absent_torchvision_files_say_where_to_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.Absent", Absent, raising=False)
    with pytest.raises(DataError, match="cannot provide Absent: no network; put the files that") as error:
        read("torchvision", "Absent")
    assert str(tmp_path / "torchvision") in str(error.value)


@pytest.mark.parametrize(
    ("kind", "word", "meant"), [("torchvision", "SVNH", "SVHN"), ("tonic", "DVSGestur", "DVSGesture")]
)
def test_unknown_class_is_refused_with_the_nearest(kind: Kind, word: str, meant: str) -> None:
    if kind == "tonic":
        pytest.importorskip("tonic")
    with pytest.raises(DataProblems, match=f"has no '{word}'; did you mean {meant}"):
        read(kind, word)


class Gestures:
    """Like DVSGesture: a sensor size, a part by a boolean, recordings as structured arrays."""

    sensor_size = (16, 16, 2)
    classes = ("wave", "clap")

    def __init__(self, save_to: str, train: bool = True) -> None:
        assert Path(save_to).name == "tonic"
        self.targets = [0, 1] * (3 if train else 1)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[np.ndarray, int]:
        return np.array([(row, 3, 10, 1), (5, 5, 900, 0)], FIELDS), self.targets[row]


class Objects(Gestures):
    """Like NCALTECH101: one part, no sensor size, names as labels."""

    sensor_size = None

    def __init__(self, save_to: str) -> None:
        super().__init__(save_to)
        self.targets = ["ant", "bee"] * 5  # type: ignore[list-item]


def test_tonic_classes_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tonic")
    for made in (Gestures, Objects):
        monkeypatch.setattr(f"tonic.datasets.{made.__name__}", made, raising=False)
    data = read("tonic", "Gestures")
    assert ((len(data.train), len(data.test)), data.classes) == ((6, 2), ("wave", "clap"))
    assert data.train.shape == (32, 2, 16, 16)
    data = read("tonic", "Objects", values="counts", window="count")
    assert ((len(data.train), len(data.test)), data.classes) == ((8, 2), ("ant", "bee"))
    assert data.train.shape == (32, 2, 6, 10)  # as far as the events reach
