"""A data set is read or downloaded, stored as verified arrays, and never used if it is corrupt."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from helpers.waiting import wait_for

from snnkit.data import (
    DATASETS,
    DataError,
    DataSet,
    Images,
    dataset_status,
    fetch_dataset,
    load_dataset,
    pack_dataset,
    receive_dataset,
)
from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.images import DamagedError, compute_digests
from snnkit.data.resizing import resize_dataset
from snnkit.data.store import read_manifest, read_store, write_store
from snnkit.data.store_place import STORES_FOLDER, data_root
from snnkit.data.transfer import Files

DATA = DataSet(
    Images(np.arange(4 * 3 * 8 * 8, dtype=np.uint8).reshape(4, 3, 8, 8), np.array([0, 1, 0, 1])),
    Images(np.full((2, 3, 8, 8), 9, np.uint8), np.array([1, 0])),
    ("cat", "dog"),
    ("n01", "n02"),
)


@dataclass
class Folder:
    """A layout whose files are one folder; counts how often it is read."""

    description: str = "usual/ with the files"
    embedded: bool = False
    mark: str = ""
    reads: list[Path] = field(default_factory=list)

    def location(self, root: Path) -> Path:
        return root / "usual"

    def fingerprint(self, root: Path) -> str:
        return self.mark

    def read(self, root: Path) -> DataSet:
        self.reads.append(root)
        return DATA


@pytest.fixture
def info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetInfo:
    info = DatasetInfo(classes=2, shape=(3, 8, 8), train=4, test=2, layout=Folder(), digests=compute_digests(DATA))
    monkeypatch.setitem(DATASETS, "small", info)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return info


def use(monkeypatch: pytest.MonkeyPatch, info: DatasetInfo, **downloads: Callable[[Path], DataSet]) -> None:
    monkeypatch.setitem(DATASETS, "small", replace(info, downloads=downloads))


def same(found: DataSet, expected: DataSet = DATA) -> bool:
    return compute_digests(found) == compute_digests(expected) and (found.classes, found.ids) == (
        expected.classes,
        expected.ids,
    )


def test_existing_files_are_read_once(info: DatasetInfo, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    assert same(load_dataset("small", tmp_path))
    assert same(load_dataset("small", tmp_path))
    assert info.layout.reads == [tmp_path]  # type: ignore[attr-defined]
    assert isinstance(load_dataset("small", tmp_path).train.array, np.memmap)


def test_files_with_other_content_are_refused(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usual").mkdir()
    monkeypatch.setitem(DATASETS, "small", replace(info, digests={"test images": "0" * 64}))
    with pytest.raises(DataError) as error:
        load_dataset("small", tmp_path)
    found = compute_digests(DATA)["test images"]
    assert all(part in str(error.value) for part in (str(tmp_path / "usual"), found, "0" * 64, "data fetch small"))
    assert not (tmp_path / STORES_FOLDER).exists()


def test_changed_files_are_read_again(info: DatasetInfo, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    load_dataset("small", tmp_path)
    info.layout.mark = "one more class"  # type: ignore[attr-defined]
    assert same(load_dataset("small", tmp_path))
    assert same(load_dataset("small", tmp_path))
    assert len(info.layout.reads) == 2  # type: ignore[attr-defined]


def _begin_download(root: Path, began: Path) -> None:
    def slow(scratch: Path) -> DataSet:
        (scratch / "archive").write_text("half of it")
        began.touch()
        time.sleep(600)
        return DATA

    DATASETS["small"] = replace(DATASETS["small"], downloads={"slow": slow})
    load_dataset("small", root)


def test_next_fetch_removes_what_a_killed_download_left_and_no_live_one(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, processes = tmp_path / "data", []
    for number in range(2):
        began = tmp_path / f"began {number}"
        processes.append(get_context("fork").Process(target=_begin_download, args=(root, began), daemon=True))
        processes[-1].start()
        wait_for(began.exists)
    killed, live = processes
    try:
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
        assert len(os.listdir(root)) == 2
        use(monkeypatch, info, mirror=lambda scratch: DATA)
        fetch_dataset("small", root)
        assert live.is_alive()
        left = [name for name in os.listdir(root) if name.startswith(".fetch-small-")]
        assert len(left) == 1
        assert (root / left[0] / "archive").read_text() == "half of it"
    finally:
        live.kill()
        live.join()
    fetch_dataset("small", root)  # the data set is there by now, and the leftover of the second download goes too
    assert os.listdir(root) == [STORES_FOLDER]


def test_second_source_is_used_when_the_first_fails(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(scratch: Path) -> DataSet:
        (scratch / "half").write_text("of it")
        raise DataError("connection lost")

    use(monkeypatch, info, first=broken, second=lambda scratch: DATA)
    assert fetch_dataset("small", tmp_path) == str(tmp_path / STORES_FOLDER / "small")
    assert same(load_dataset("small", tmp_path))
    assert os.listdir(tmp_path) == [STORES_FOLDER]  # nothing left of the failed download


def test_download_with_other_content_is_not_kept(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, info, mirror=lambda scratch: replace(DATA, test=DATA.train))
    with pytest.raises(DataError, match=r"mirror: SHA-256 of the test images is .*, expected"):
        fetch_dataset("small", tmp_path)
    assert os.listdir(tmp_path) == []


def test_one_error_says_what_was_tried_and_what_to_do(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(scratch: Path) -> DataSet:
        raise DataError("no network")

    use(monkeypatch, info, one=offline, two=offline)
    with pytest.raises(DataError) as error:
        load_dataset("small", tmp_path)
    parts = ("one: no network", "two: no network", "put usual/ with the files into", str(tmp_path), "--data")
    assert all(part in str(error.value) for part in parts)


def test_status_looks_and_does_nothing(info: DatasetInfo, tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert not dataset_status("small", root).available
    assert not root.exists()
    (root / "usual").mkdir(parents=True)
    assert dataset_status("small", root).detail == str(root / "usual")
    load_dataset("small", root)
    assert dataset_status("small", root).detail == str(root / STORES_FOLDER / "small")
    assert dataset_status("digits", root).available


def test_unknown_name_is_answered_with_the_near_one() -> None:
    with pytest.raises(DataError, match=r"no data set 'cifar-10'; choose one of digits, .*; did you mean cifar10\?"):
        load_dataset("cifar-10")


def test_data_folder_that_cannot_be_written_is_named(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, info, mirror=lambda scratch: DATA)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"cannot write to {tmp_path}/file/data: Not a directory"):
        load_dataset("small", tmp_path / "file" / "data")


def test_read_only_data_folder_keeps_its_arrays_in_the_cache(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared" / "usual").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: "shared" not in str(path))
    assert same(load_dataset("small", tmp_path / "shared"))
    assert os.listdir(tmp_path / "shared") == ["usual"]
    assert dataset_status("small", tmp_path / "shared").detail == str(
        tmp_path / "cache" / "snnsearch" / STORES_FOLDER / "small"
    )


def test_full_disk_prevents_the_store_but_not_loading(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "usual").mkdir()
    monkeypatch.setattr(np, "save", full)
    assert same(load_dataset("small", tmp_path))
    assert os.listdir(tmp_path / STORES_FOLDER) == []


def test_folder_comes_from_the_argument_then_the_environment_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.delenv("SNNSEARCH_DATA", raising=False)
    assert data_root() == Path("/cache/snnsearch")
    monkeypatch.setenv("SNNSEARCH_DATA", "/env")
    assert data_root() == Path("/env")
    assert data_root(tmp_path) == tmp_path


def test_resized_images_are_made_once_and_shared(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usual").mkdir()
    first = load_dataset("small", tmp_path, side=4)
    monkeypatch.setattr("snnkit.data.loading.resize_dataset", lambda *_: pytest.fail("made again"))
    second = load_dataset("small", tmp_path, side=4)
    assert isinstance(second.train.array, np.memmap)
    assert second.train.shape == (3, 4, 4)
    assert same(second, first)
    assert same(first, resize_dataset(DATA, 4))
    assert same(load_dataset("small", tmp_path, side=8))  # its own side


def test_resized_images_follow_the_files(info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "usual").mkdir()
    load_dataset("small", tmp_path, side=4)
    other = replace(DATA, train=DATA.test, test=DATA.train)
    monkeypatch.setitem(DATASETS, "small", replace(info, digests={}))
    monkeypatch.setattr(Folder, "read", lambda *_: other)
    info.layout.mark = "changed"  # type: ignore[attr-defined]
    assert same(load_dataset("small", tmp_path, side=4), resize_dataset(other, 4))


def test_corrupt_resized_array_is_named_with_the_remedy(info: DatasetInfo, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    load_dataset("small", tmp_path, side=4)
    folder = tmp_path / STORES_FOLDER / "4px" / "small"
    damage_tail(folder / "test_images.npy")
    with pytest.raises(DataError, match=r"test_images\.npy: SHA-256 is") as error:
        load_dataset("small", tmp_path, side=4)
    assert f"to move {folder} aside and make it again: snnsearch data fetch small --data {tmp_path}" in str(error.value)
    fetch_dataset("small", tmp_path)
    assert same(load_dataset("small", tmp_path, side=4), resize_dataset(DATA, 4))
    assert (folder.parent / "small.damaged" / "test_images.npy").exists()


@pytest.fixture
def store(info: DatasetInfo, tmp_path: Path) -> Path:
    folder = tmp_path / STORES_FOLDER / "small"
    write_store(folder, DATA, source="test", fingerprint="")
    return folder


def damage_tail(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train_images.npy", lambda path: path.write_bytes(path.read_bytes()[:-1]), "895 bytes, expected 896"),
        ("train_images.npy", damage_tail, "SHA-256 is .*, expected"),
        ("test_labels.npy", lambda path: path.unlink(), "test_labels.npy"),
        ("manifest.json", lambda path: path.write_text("{"), "manifest.json: not readable"),
        ("manifest.json", lambda path: path.write_bytes(b"\xff"), "manifest.json: not readable"),
    ],
)
def test_corrupt_array_is_named_with_the_remedy(
    store: Path, tmp_path: Path, name: str, damage: Callable[[Path], object], message: str
) -> None:
    damage(store / name)
    with pytest.raises(DataError, match=message) as error:
        load_dataset("small", tmp_path)
    assert f"to move {store} aside and make it again: snnsearch data fetch small --data {tmp_path}" in str(error.value)


def test_message_names_the_data_folder_only_if_it_is_not_the_usual_one(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store / "manifest.json").write_text("{")
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"make it again: snnsearch data fetch small$"):
        load_dataset("small")


def test_fetch_keeps_a_damaged_store_and_downloads_again(
    store: Path, info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, info, mirror=lambda scratch: DATA)
    for number in ("", "1"):
        damage_tail(store / "train_images.npy")
        damaged = (store / "train_images.npy").read_bytes()
        assert fetch_dataset("small", tmp_path) == str(store)
        assert same(load_dataset("small", tmp_path))
        assert (store.parent / f"small.damaged{number}" / "train_images.npy").read_bytes() == damaged


def test_fetch_keeps_damaged_original_files_and_downloads_again(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual" / "mine").write_text("content")

    def damaged(layout: Folder, root: Path) -> DataSet:
        raise DamagedError(f"{root / 'usual' / 'mine'}: cut short", root / "usual")

    monkeypatch.setattr(Folder, "read", damaged)
    use(monkeypatch, info, mirror=lambda scratch: DATA)
    with pytest.raises(DataError, match=f"mine: cut short; to move {tmp_path / 'usual'} aside and make it again"):
        load_dataset("small", tmp_path)
    fetch_dataset("small", tmp_path)
    assert same(load_dataset("small", tmp_path))
    assert (tmp_path / "usual.damaged" / "mine").read_text() == "content"
    assert not (tmp_path / "usual").exists()


def test_damaged_files_stay_where_they_are_if_nothing_replaces_them(
    store: Path, info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(scratch: Path) -> DataSet:
        raise DataError("no network")

    use(monkeypatch, info, mirror=offline)
    damage_tail(store / "train_images.npy")
    with pytest.raises(DataError, match=r"train_images.npy: SHA-256 is .* It cannot be made again: .*no network"):
        fetch_dataset("small", tmp_path)
    assert os.listdir(store.parent) == ["small"]


@pytest.mark.parametrize("method", ["read_text", "stat"], ids=["manifest", "arrays"])
def test_store_that_may_not_be_read_is_not_to_be_deleted(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    right = getattr(Path, method)

    def refuse(path: Path, *args: object, **options: object) -> object:
        if path.is_relative_to(store) and path != store:
            raise PermissionError(13, "Permission denied", str(path))
        return right(path, *args, **options)

    monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(DataError, match=r"small/.*: Permission denied; make .* readable") as error:
        load_dataset("small", tmp_path)
    assert "delete" not in str(error.value)


def test_copied_store_is_read_through_once(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / STORES_FOLDER / "small"
    shutil.copytree(store, copy, copy_function=shutil.copy)  # new times
    assert same(load_dataset("small", tmp_path / "copy"))
    manifest = read_manifest(copy)
    assert manifest is not None
    assert all((copy / name).stat().st_mtime_ns == file.mtime_ns for name, file in manifest.files.items())
    assert sorted(os.listdir(copy)) == sorted([*manifest.files, "manifest.json"])


def _three_at_once(target: Callable[..., None], *args: object) -> None:
    context = get_context("fork")
    processes = [context.Process(target=target, args=args) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]


def _write(folder: Path) -> None:
    for _ in range(20):
        write_store(folder, DATA, source="race", fingerprint="")


def test_processes_that_write_the_same_store_do_not_clash(store: Path) -> None:
    _three_at_once(_write, store)
    manifest = read_manifest(store)
    assert manifest is not None
    assert same(read_store(store, manifest))
    assert os.listdir(store.parent) == ["small"]


def test_data_set_is_sent_whole_and_checked_where_it_arrives(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "usual").mkdir(parents=True)
    files = pack_dataset("small", tmp_path / "here")
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path / "there"))
    where, received = receive_dataset("small", tmp_path / "no such folder", 4, lambda: files)
    assert where == tmp_path / "there"
    assert received == sum(file.nbytes for file in files.values())
    assert same(load_dataset("small", where))
    assert (where / STORES_FOLDER / "4px" / "small").is_dir()
    assert receive_dataset("small", None, None, lambda: pytest.fail("sent a second time")) == (where, 0)


def test_data_set_in_the_given_folder_is_not_sent(info: DatasetInfo, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    assert receive_dataset("small", tmp_path, None, lambda: pytest.fail("sent")) == (tmp_path, 0)


def test_data_set_damaged_in_transfer_is_refused(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "usual").mkdir(parents=True)
    files = pack_dataset("small", tmp_path / "here")
    files["train_images.npy"][-1] ^= 1
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path / "there"))
    with pytest.raises(DataError, match="SHA-256"):
        receive_dataset("small", None, None, lambda: files)


def _receive(root: Path, sent: Path, files: Files) -> None:
    def send() -> Files:
        time.sleep(0.2)  # the others come meanwhile
        with sent.open("a") as file:
            file.write("sent\n")
        return files

    receive_dataset("small", root, None, send)


def test_only_one_of_several_processes_receives_a_data_set(
    info: DatasetInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "usual").mkdir(parents=True)
    files = pack_dataset("small", tmp_path / "here")
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path / "there"))
    _three_at_once(_receive, tmp_path, tmp_path / "sent", files)
    assert (tmp_path / "sent").read_text() == "sent\n"
