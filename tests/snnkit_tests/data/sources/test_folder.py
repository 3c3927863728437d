"""A folder of pictures becomes a data set, and everything wrong with it is reported at once."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.own_data import CLASSES, picture, picture_folder
from PIL import Image

from snnkit.data import DataProblems, DataSet, DataSource
from snnkit.data.sources import READERS


def read(root: Path, **options: object) -> DataSet:
    return READERS["folder"].read(DataSource(kind="folder", place=str(root), label="own", **options))


def problems_of(root: Path, **options: object) -> tuple[str, ...]:
    with pytest.raises(DataProblems) as error:
        read(root, **options)
    return error.value.problems


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_parts_are_read_as_they_are(tmp_path: Path, validation: str) -> None:
    data = read(picture_folder(tmp_path, {"train": 4, validation: 2, "test": 1}))
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 12, "validation": 6, "test": 3}
    assert (data.classes, data.notes) == (CLASSES, ())
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    with Image.open(tmp_path / "train" / "dog" / "001.png") as image:
        assert (data.train.array[5] == np.asarray(image).transpose(2, 0, 1)).all()


def test_validation_pictures_are_the_test_pictures_if_there_are_none(tmp_path: Path) -> None:
    data = read(picture_folder(tmp_path, {"train": 4, "val": 2}))
    assert (len(data.train), len(data.test), data.validation) == (12, 6, None)
    assert "its validation images are the test images" in data.notes[0]


def test_class_folders_alone_are_split_by_seed(tmp_path: Path) -> None:
    root = picture_folder(tmp_path, {"": 10})
    data, same, other = read(root), read(root), read(root, split_seed=1)
    assert [np.bincount(part.labels).tolist() for part in data.parts.values()] == [[8, 8, 8], [2, 2, 2]]
    assert (data.test.array == same.test.array).all()
    assert (data.test.array != other.test.array).any()
    assert len(read(root, test_share=0.5).test) == 15
    rows = {part.tobytes() for part in (*data.train.array, *data.test.array)}
    assert len(rows) == 30  # no picture is in both


def test_class_with_one_picture_cannot_be_split(tmp_path: Path) -> None:
    picture_folder(tmp_path, {"": 2})
    picture(tmp_path / "wolf" / "only.png")
    assert "1 class has one image only (wolf)" in problems_of(tmp_path)[0]


def test_every_problem_is_reported_with_a_count_and_names(tmp_path: Path) -> None:
    picture_folder(tmp_path, {"train": 5, "test": 1})
    for row in range(5):
        (tmp_path / "train" / "cat" / f"{row:03}.png").write_bytes(b"no picture")
    picture(tmp_path / "train" / "dog" / "odd.png", size=(20, 16))
    corrupt, sizes = problems_of(tmp_path)
    assert corrupt.startswith("5 pictures cannot be read: train/cat/000.png (it is no picture), ")
    assert "and 2 more" in corrupt
    assert "2 sizes (16x16: 13, 20x16: 1), such as train/dog/odd.png (20x16); write resolution" in sizes


def test_truncated_picture_is_corrupt(tmp_path: Path) -> None:
    picture_folder(tmp_path, {"": 3})
    path = picture(tmp_path / "cat" / "half.jpg", size=(16, 16))
    path.write_bytes(path.read_bytes()[:-200])
    assert problems_of(tmp_path)[0].startswith("1 picture cannot be read: cat/half.jpg (")


def test_parts_need_the_same_classes_and_no_class_is_empty(tmp_path: Path) -> None:
    picture_folder(tmp_path, {"train": 1, "test": 1})
    picture(tmp_path / "test" / "wolf" / "0.png")
    (tmp_path / "test" / "cat" / "000.png").unlink()
    (tmp_path / "train" / "elk").mkdir()
    empty, classes = problems_of(tmp_path)
    assert "2 class folders hold no picture or recording" in empty
    assert empty.endswith("train/elk, test/cat; add some, or remove the folder")
    assert "test lacks 1 class of train (elk) and has 1 class that train lacks (wolf)" in classes


def test_sizes_are_brought_to_one_if_it_is_given(tmp_path: Path) -> None:
    picture_folder(tmp_path, {"": 2})
    picture(tmp_path / "cat" / "wide.png", size=(64, 32))
    data = read(tmp_path, size=8)
    assert data.train.shape == (3, 8, 8)
    assert data.notes == ("7 pictures were resized and cropped to 8x8 pixels",)


def test_middle_of_a_wide_picture_is_kept(tmp_path: Path) -> None:
    pixels = np.zeros((8, 24), np.uint8)
    pixels[:, 8:16] = 200
    for label in ("a", "b"):
        for name in ("0.png", "1.png"):
            (tmp_path / label).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / label / name)
    assert (read(tmp_path, size=8).train.array == 200).all()


def test_large_pictures_need_a_size(tmp_path: Path) -> None:
    picture_folder(tmp_path, {"": 2}, size=(300, 300))
    assert "300x300 pixels, more than 256 a side; write resolution" in problems_of(tmp_path)[0]


def test_grey_pictures_among_colour_ones_become_colour_ones_and_are_counted(tmp_path: Path) -> None:
    picture_folder(tmp_path, {"": 3})
    picture(tmp_path / "cat" / "grey.png", mode="L")
    data = read(tmp_path)
    assert data.train.shape[0] == 3
    assert data.notes == ("1 grey picture was turned into colour ones: cat/grey.png",)


def test_pictures_are_grey_if_all_are(tmp_path: Path) -> None:
    for label in ("a", "b"):
        for row, mode in enumerate(("L", "1", "I;16")):
            picture(tmp_path / label / f"{row}.png", mode="L" if mode == "I;16" else mode, seed=row)
        deep = np.full((16, 16), 40_000, np.uint16)
        Image.fromarray(deep).save(tmp_path / label / "deep.png")
    data = read(tmp_path)
    assert data.train.shape == (1, 16, 16)
    assert (np.concatenate([data.train.array, data.test.array]) == 40_000 >> 8).all(axis=(1, 2, 3)).sum() == 2


def test_other_files_are_ignored_and_counted_but_not_those_of_systems(tmp_path: Path) -> None:
    picture_folder(tmp_path, {"": 2})
    for name in ("cat/labels.csv", "cat/.DS_Store", "dog/Thumbs.db"):
        (tmp_path / name).write_text("x")
    (tmp_path / "__MACOSX").mkdir()
    data = read(tmp_path)
    assert (data.classes, data.notes) == (CLASSES, ("1 other file ignored: cat/labels.csv",))


def test_links_are_followed_and_a_circle_ends(tmp_path: Path) -> None:
    root = picture_folder(tmp_path / "own", {"": 2})
    (root / "cat").rename(tmp_path / "elsewhere")
    (root / "cat").symlink_to(tmp_path / "elsewhere")
    (root / "dog" / "circle").symlink_to(root / "dog")
    data = read(root)
    assert (data.classes, len(data.train) + len(data.test)) == (CLASSES, 6)


def test_pictures_in_two_parts_or_under_two_classes_are_counted(tmp_path: Path) -> None:
    root = picture_folder(tmp_path, {"train": 3, "test": 2})
    shutil.copy(root / "train" / "cat" / "000.png", root / "test" / "cat" / "copy.png")
    shutil.copy(root / "train" / "cat" / "001.png", root / "train" / "fox" / "copy.png")
    assert read(root).notes == (
        "1 training image occurs under several classes",
        "1 test image equals a training image",
    )


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        ((), "has no sub-folders; put the files of each class into a folder with its name"),
        (("val/a", "test/a"), "but no train"),
        (("train/a", "cat"), "has cat beside train"),
        (("train/a", "Training/a"), "are the same part twice"),
        (("only",), "1 class"),
    ],
)
def test_folders_that_are_no_data_set_are_explained(tmp_path: Path, folders: tuple[str, ...], words: str) -> None:
    for name in folders:
        picture(tmp_path / name / "0.png")
    assert words in problems_of(tmp_path)[0]
