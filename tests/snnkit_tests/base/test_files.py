"""Files are written whole or not at all, and the cache is where it always was."""

import os
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch

from snnkit.base import cache
from snnkit.base.cache import user_cache
from snnkit.base.files import atomic_write
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
