"""A described data set is read once, found wherever its files are, and never silently another one."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.own_data import npz_file, picture, picture_folder

from snnkit.data import (
    DataError,
    DataSource,
    dataset_status,
    describe_change,
    identify,
    list_described,
    load_dataset,
    pack_dataset,
    receive_dataset,
)
from snnkit.data import described as module
from snnkit.data.described import store_of
from snnkit.data.images import content_digest
from snnkit.data.sources import READERS, Reader
from snnkit.data.transfer import Files


@pytest.fixture(autouse=True)
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count how often files are read, and keep arrays in a folder of the test."""
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path / "data"))
    found: list[str] = []
    for kind, reader in list(READERS.items()):

        def read(source: DataSource, reader: Reader = reader):
            found.append(source.place)
            return reader.read(source)

        monkeypatch.setitem(READERS, kind, Reader(reader.scan, read))
    return found


@pytest.fixture
def source(tmp_path: Path) -> DataSource:
    picture_folder(tmp_path / "pets", {"train": 4, "val": 1, "test": 1})
    return DataSource(kind="folder", place=str(tmp_path / "pets"), label="pets")


def test_files_are_read_once_and_mapped(source: DataSource, reads: list[str]) -> None:
    found = identify(source)
    assert identify(source) == found
    data = load_dataset(found)
    assert isinstance(data.train.array, np.memmap)
    assert (content_digest(data), len(reads)) == (found.content.digest, 1)
    assert (found.content.shape, found.content.train, found.content.validation) == ((3, 16, 16), 12, 3)


def test_other_options_are_another_data_set(source: DataSource) -> None:
    small = identify(source.model_copy(update={"size": 8}))
    assert small.content.shape == (3, 8, 8)
    assert store_of(small) != store_of(identify(source))


def test_resized_images_are_kept_too(source: DataSource) -> None:
    data = load_dataset(identify(source), side=8)
    assert (data.train.shape, data.validation.shape, len(data.validation)) == ((3, 8, 8), (3, 8, 8), 3)
    assert isinstance(load_dataset(identify(source), side=8).train.array, np.memmap)


def test_study_keeps_its_images_when_files_change_or_go(source: DataSource, tmp_path: Path) -> None:
    found = identify(source)
    before = load_dataset(found)
    picture(tmp_path / "pets" / "train" / "cat" / "new.png", seed=99)
    assert content_digest(load_dataset(found)) == content_digest(before)
    shutil.rmtree(tmp_path / "pets")
    assert content_digest(load_dataset(found)) == content_digest(before)


def test_changed_files_are_another_data_set_and_the_change_is_described(source: DataSource, tmp_path: Path) -> None:
    found = identify(source)
    assert describe_change(found) == ""
    picture(tmp_path / "pets" / "train" / "cat" / "new.png", seed=99)
    picture(tmp_path / "pets" / "train" / "dog" / "000.png", seed=98)
    (tmp_path / "pets" / "train" / "fox" / "003.png").unlink()
    change = describe_change(found)
    assert "1 file added (train/cat/new.png); 1 file removed (train/fox/003.png); 1 file changed" in change
    assert identify(source).content.digest != found.content.digest
    (tmp_path / "pets" / "train" / "cat" / "new.png").write_text("none")
    assert "cannot be read any more: 1 picture cannot be read" in describe_change(found)


def test_touched_and_moved_files_have_not_changed(source: DataSource, tmp_path: Path, reads: list[str]) -> None:
    found = identify(source)
    os.utime(tmp_path / "pets" / "train" / "cat" / "000.png", (1, 1))
    assert describe_change(found) == ""
    (tmp_path / "pets").rename(tmp_path / "animals")
    assert describe_change(found) == ""
    moved = identify(source.model_copy(update={"place": str(tmp_path / "animals"), "label": "animals"}))
    assert store_of(moved) == store_of(found)


def test_lost_arrays_are_made_again_of_the_same_files_only(source: DataSource, tmp_path: Path) -> None:
    found = identify(source)
    shutil.rmtree(store_of(found))
    assert content_digest(load_dataset(found)) == found.content.digest
    shutil.rmtree(store_of(found))
    picture(tmp_path / "pets" / "train" / "cat" / "new.png", seed=99)
    with pytest.raises(DataError, match=r"no longer holds what the study was launched with \(train 12 then, 13 now\)"):
        load_dataset(found)
    shutil.rmtree(tmp_path / "pets")
    with pytest.raises(DataError, match=r"cannot be made: .* does not exist.*data show --folder NEW-PLACE$"):
        load_dataset(found)
    other = DataSource(kind="folder", place="/nowhere", label="x", size=8, sensor=(40, 30))
    with pytest.raises(DataError, match=r"--folder NEW-PLACE --set size=8 --set 'sensor=\[40, 30\]'$"):
        identify(other)


def test_damaged_arrays_are_made_again(source: DataSource) -> None:
    found = identify(source)
    path = store_of(found) / "train_images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert content_digest(load_dataset(found)) == found.content.digest


def test_unwritable_cache_only_costs_time(
    source: DataSource, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr("snnkit.data.store.write_store", refuse)
    monkeypatch.setattr(module, "atomic_write", refuse)
    found = identify(source)
    assert content_digest(load_dataset(found)) == found.content.digest
    assert len(reads) == 2


def test_another_machine_receives_the_arrays_without_the_files(
    source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = identify(source)
    packed = pack_dataset(found)
    shutil.rmtree(tmp_path / "pets")
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path / "other"))
    sent: list[Files] = []

    def send() -> Files:
        sent.append(packed)
        return packed

    assert not dataset_status(found).available
    root, received = receive_dataset(found, tmp_path / "data", 8, send)
    assert (root, received > 0, len(sent)) == (tmp_path / "other", True, 1)
    assert receive_dataset(found, None, None, send)[1] == 0
    assert content_digest(load_dataset(found)) == found.content.digest


def test_list_names_what_is_kept(source: DataSource, tmp_path: Path) -> None:
    assert list_described() == []
    identify(source)
    identify(DataSource(kind="npz", place=str(npz_file(tmp_path / "own.npz")), label="own"))
    own, pets = (each.describe() for each in list_described())
    assert own.startswith(f"npz: {tmp_path / 'own.npz'}; 12 + 6 images, 3x8x8, ")
    assert pets.startswith(f"folder: {tmp_path / 'pets'}; 15 + 3 images, 3x16x16, ")
    shutil.rmtree(store_of(identify(source)))
    assert len(list_described()) == 1


@pytest.mark.parametrize("place", ["/" + "long" * 100, "/nul\0", "/proc/1/mem/x"])
def test_paths_that_cannot_be_are_refused(place: str) -> None:
    with pytest.raises(DataError):
        identify(DataSource(kind="folder", place=place, label="x"))


def test_unreadable_folder_is_named(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied", f"{source.place}/train")

    monkeypatch.setattr("snnkit.data.sources.folder._part_folders", refuse)
    with pytest.raises(DataError, match=r"pets/train: Permission denied; make it readable"):
        identify(source)


@pytest.mark.parametrize(
    ("kind", "place", "words"),
    [("folder", "own.npz", "is a file; write npz:"), ("npz", "pets", "is a folder; write folder:")],
)
def test_file_in_place_of_a_folder_is_explained(tmp_path: Path, kind: str, place: str, words: str) -> None:
    npz_file(tmp_path / "own.npz")
    (tmp_path / "pets").mkdir()
    with pytest.raises(DataError, match=words):
        identify(DataSource(kind=kind, place=str(tmp_path / place), label="x"))
