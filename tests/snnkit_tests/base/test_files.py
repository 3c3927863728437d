"""Files are written whole or not at all, and the cache is where it always was."""

import errno
import os
import sys
import tempfile
import time
import zipfile
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from helpers.waiting import wait_for

from snnkit.base import cache
from snnkit.base.cache import user_cache
from snnkit.base.files import atomic_write, remove_leftovers, scratch_folder
from snnkit.base.torch_files import StoredError, load_stored


def test_block_that_ends_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with atomic_write(path) as partial:
        partial.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_block_that_raises_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def write_half() -> None:
        with atomic_write(path) as partial:
            partial.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def _write_and_wait(path: Path, began: Path) -> None:
    with atomic_write(path) as partial:
        partial.write_text("half")
        began.touch()
        time.sleep(600)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A file whose writer was killed."""
    path, began = tmp_path / "folder" / "file", tmp_path / "began"
    path.parent.mkdir()
    writer = get_context("fork").Process(target=_write_and_wait, args=(path, began), daemon=True)
    writer.start()
    wait_for(began.exists)
    writer.kill()
    writer.join()
    return path


def test_next_write_removes_what_a_killed_one_left(killed: Path) -> None:
    assert len(list(killed.parent.iterdir())) == 1
    with atomic_write(killed) as partial:
        partial.write_text("whole")
    assert list(killed.parent.iterdir()) == [killed]


def test_folder_in_use_is_no_leftover(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "mine") as first:
        (first / "part").touch()
        with scratch_folder(tmp_path, "mine") as second:
            assert first != second
        assert (first / "part").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".mine-0123abcd-abcd_123", ".mine-abcd1234", ".mine.abcd1234", ".mine-abcd1234-old"])
def test_folder_of_another_machine_or_version_is_left_for_a_day(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    (folder / "inner").mkdir(parents=True)
    remove_leftovers(tmp_path, "mine")
    assert folder.exists()
    then = time.time() - 25 * 3600
    os.utime(folder, (then, then))
    remove_leftovers(tmp_path, "mine")
    assert folder.exists()  # something in it is new
    os.utime(folder / "inner", (then, then))
    remove_leftovers(tmp_path, "mine")
    assert not folder.exists()


@pytest.mark.parametrize("name", [".mine-abcd123", ".mine", "mine-abcd1234", ".other-abcd1234", ".mine-abcd1234-x"])
def test_other_folders_are_no_leftovers(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    os.utime(tmp_path / name, (0, 0))
    remove_leftovers(tmp_path, "mine")
    assert (tmp_path / name).exists()


def test_leftovers_on_a_file_system_without_locks_are_left_for_a_day(
    killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with atomic_write(killed) as partial:
        partial.write_text("whole")
    assert len(list(killed.parent.iterdir())) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the folder differs by operating system")
def test_cache_is_the_folder_that_earlier_versions_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "snnsearch"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert user_cache() == tmp_path / "cache" / "snnsearch"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that a user without a home gets: one that a container runs as."""

    def unknown(*_: object, **__: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(cache, "user_cache_path", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"snnsearch-{os.getuid()}"


def test_user_without_a_home_has_a_private_cache_in_the_temporary_folder(homeless: Path) -> None:
    assert user_cache() == user_cache() == homeless
    assert homeless.stat().st_mode & 0o777 == 0o700


def test_cache_that_others_may_write_to_is_refused(homeless: Path, tmp_path: Path) -> None:
    """Compiled code is loaded from it."""
    homeless.mkdir()
    homeless.chmod(0o777)
    with pytest.raises(PermissionError, match="set HOME or XDG_CACHE_HOME"):
        user_cache()
    homeless.rmdir()
    homeless.symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="set HOME or XDG_CACHE_HOME"):
        user_cache()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    torch.save({"weights": {"stem": torch.arange(1000.0)}}, path)
    return path


def test_weights_with_a_changed_value_are_refused(weights: Path) -> None:
    """torch loads the wrong value."""
    content = bytearray(weights.read_bytes())
    content[content.index(torch.arange(500.0, 510.0).numpy().tobytes())] ^= 0xFF
    weights.write_bytes(content)
    assert not torch.equal(torch.load(weights)["weights"]["stem"], torch.arange(1000.0))
    with pytest.raises(StoredError, match=r"data/0 is damaged: its CRC is not the recorded one"):
        load_stored(weights)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_weights_that_were_cut_short_are_refused(weights: Path, kept: float) -> None:
    content = weights.read_bytes()
    weights.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(StoredError):
        load_stored(weights)


def test_archive_that_would_unpack_to_more_than_itself_is_refused(weights: Path) -> None:
    with zipfile.ZipFile(weights, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**6))
    with pytest.raises(StoredError, match="its parts are larger than the file"):
        load_stored(weights)
