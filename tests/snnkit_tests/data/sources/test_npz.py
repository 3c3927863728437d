"""An .npz file becomes a data set, and everything wrong with its arrays is reported."""

from pathlib import Path

import numpy as np
import pytest
from helpers.own_data import npz_file

from snnkit.data import DataProblems, DataSet, DataSource
from snnkit.data.sources import READERS


def read(path: Path, **options: object) -> DataSet:
    return READERS["npz"].read(DataSource(kind="npz", place=str(path), label="own", **options))


def written(tmp_path: Path, **changes: object) -> DataSet:
    return read(npz_file(tmp_path / "own.npz", **changes))


def problems_of(tmp_path: Path, **changes: object) -> str:
    with pytest.raises(DataProblems) as error:
        written(tmp_path, **changes)
    return "\n".join(error.value.problems)


def test_images_are_read_channels_first(tmp_path: Path) -> None:
    data = written(tmp_path)
    with np.load(tmp_path / "own.npz") as file:
        assert (data.train.array == file["x_train"].transpose(0, 3, 1, 2)).all()
    assert (len(data.train), len(data.test), data.classes, data.notes) == (12, 6, ("0", "1", "2"), ())


@pytest.mark.parametrize(
    ("shape", "layout", "read_as"),
    [
        ((12, 8, 8), None, (1, 8, 8)),
        ((12, 8, 8, 1), None, (1, 8, 8)),
        ((12, 1, 8, 8), None, (1, 8, 8)),
        ((12, 3, 8, 9), None, (3, 8, 9)),
        ((12, 3, 8, 3), "nchw", (3, 8, 3)),
        ((12, 3, 8, 3), "nhwc", (3, 3, 8)),
        ((12, 8, 8, 4), "nhwc", (4, 8, 8)),
    ],
)
def test_order_of_axes(tmp_path: Path, shape: tuple[int, ...], layout: str | None, read_as: tuple[int, ...]) -> None:
    path = npz_file(tmp_path / "own.npz", x_train=np.zeros(shape, np.uint8), x_test=None, y_test=None)
    assert read(path, layout=layout).train.shape == read_as


@pytest.mark.parametrize("shape", [(12, 3, 8, 3), (12, 8, 8, 4)])
def test_unclear_order_of_axes_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    found = problems_of(tmp_path, x_train=np.zeros(shape, np.uint8), x_test=None, y_test=None)
    assert f"x_train has shape {shape}" in found
    assert "write layout: nhwc or nchw" in found


def test_names_of_medmnist_and_own_validation(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"{part}_images": rng.integers(0, 256, (6, 8, 8), np.uint8) for part in ("train", "val", "test")}
    arrays |= {f"{part}_labels": (np.arange(6) % 3)[:, None] for part in ("train", "val", "test")}
    np.savez(tmp_path / "med.npz", **arrays)
    data = read(tmp_path / "med.npz")
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 6, "test": 6, "validation": 6}


def test_arrays_without_test_part_are_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 2)
    assert [len(part) for part in read(tmp_path / "whole.npz").parts.values()] == [16, 4]


def test_floats_from_0_to_1_become_bytes(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 12 * 64).reshape(12, 8, 8).astype(np.float32)
    data = written(tmp_path, x_train=x, x_test=None, y_test=None)
    assert int(max(part.array.max() for part in data.parts.values())) == 255
    assert data.notes == ("values from 0 to 1 are stored in steps of 1/255",)
    scaled = written(tmp_path, x_train=x * 255, x_test=None, y_test=None)
    assert (scaled.train.array == data.train.array).all()


def test_names_of_classes_are_kept_and_words_are_labels(tmp_path: Path) -> None:
    assert written(tmp_path, classes=np.array(["cat", "dog", "fox"])).classes == ("cat", "dog", "fox")
    words = np.array(["fox", "cat", "dog"] * 4)
    data = written(tmp_path, y_train=words, y_test=words[:6])
    assert (data.classes, data.train.labels[:3].tolist()) == (("cat", "dog", "fox"), [2, 0, 1])


NAN = np.zeros((12, 8, 8, 3), np.float32)
NAN[[2, 5], 0, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"x_train": None}, "it has y_train but no x_train"),
        ({"x_train": None, "y_train": None}, "it needs x_train, y_train"),
        ({"y_train": np.arange(11) % 3}, "x_train has 12 entries and y_train 11"),
        ({"x_train": NAN, "x_test": None, "y_test": None}, "2 values NaN or infinite, in 2 images (2, 5)"),
        ({"x_train": np.full((12, 8, 8, 3), -1.0), "x_test": None, "y_test": None}, "x = (x + 1) / 2"),
        ({"x_train": np.full((12, 8, 8, 3), 999)}, "go from 0 to 999; write 0 to 255"),
        ({"x_train": np.zeros((12, 8, 8, 3), complex)}, "x_train holds complex128; write numbers"),
        ({"x_train": np.zeros((12, 192), np.uint8)}, "x_train has shape (12, 192); write (N, H, W)"),
        ({"x_train": np.zeros((12, 9, 9, 3), np.uint8)}, "images of the parts differ in shape"),
        ({"y_train": np.eye(12, 3)}, "numpy.argmax(y_train, axis=1)"),
        ({"y_train": np.arange(12) / 2}, "y_train holds float64; write whole numbers from 0"),
        ({"y_train": np.arange(12) % 3 - 1}, "y_train has 4 labels outside 0 to 2 (-1)"),
        ({"y_train": np.arange(12) % 3 + 1, "y_test": np.arange(6) % 3 + 1}, "write labels from 0: y - 1"),
        ({"y_train": np.arange(12) + 10**12}, "the largest label is 1000000000011, more than there are images (18)"),
        ({"y_train": np.arange(12) % 3 * 2}, "the train part has no images of 2 classes: 1, 3"),
        ({"y_test": np.full(6, 7)}, "the train part has no images of 5 classes: 3, 4, 5 and 2 more"),
        ({"classes": np.array(["cat", "dog"])}, "y_train has 4 labels outside 0 to 1 (2)"),
        ({"y_test": np.array(["a"] * 6), "y_train": np.array(["b", "c"] * 6)}, "the training part has not: a"),
        ({"y_train": np.array([[1], [1, 2]] * 6, object)}, "holds Python objects"),
    ],
)
def test_wrong_arrays_are_explained(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    assert words in problems_of(tmp_path, **changes)


def test_file_that_is_no_npz_is_explained(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_bytes(b"PK no zip")
    with pytest.raises(DataProblems, match=r"is no \.npz file"):
        read(tmp_path / "own.npz")
    whole = npz_file(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "part.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataProblems, match="only a part of one"):
        read(tmp_path / "part.npz")
