"""Compiled kernels are found, verified, compiled again if damaged, and kept where they can run."""

import ctypes
import errno
import logging
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.waiting import PATIENCE_S

from snnkit.kernels.native import compiling, library

needs_compiler = pytest.mark.skipif(library.library("depthwise") is None, reason="no C compiler on this machine")


def reloaded(name: str = "depthwise") -> library.Library | None:
    """Load the library without this process's cache."""
    return library.library.__wrapped__(name)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The folders that are tried in turn, each on its own, and what a fresh process has warned about: nothing."""
    found = {name: tmp_path / name for name in ("cache", "temporary", "memory")}
    for path in found.values():
        path.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(found["cache"]))
    monkeypatch.setattr(tempfile, "tempdir", str(found["temporary"]))
    monkeypatch.setattr(compiling, "SHARED_MEMORY", found["memory"])
    library._warn_once.cache_clear()
    return found | {"kernels": found["cache"] / "snnsearch" / "kernels"}


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels of "depthwise", compiled for this machine."""
    compiler = compiling.find_compiler()
    key = compiling.build_key(compiler)
    return compiling.compiled(compiler, "depthwise", key, tmp_path_factory.mktemp("compiled"))


@pytest.fixture
def quick(compiled_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler that copies what was compiled before. Return the list of its outputs."""
    outputs, script = tmp_path / "outputs", tmp_path / "quick-cc"
    script.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exit\nwhile [ "$1" != -o ]; do shift; done\n'
        f'cp "{compiled_once}" "$2" && echo "$2" >> "{outputs}"\n'
    )
    script.chmod(0o755)
    outputs.touch()
    monkeypatch.setenv("CC", str(script))
    return outputs


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def path_of(loaded: library.Library | None) -> Path:
    assert loaded is not None
    shape = (ctypes.c_int64 * 8)(1, 4, 4, 3, 3, 1, 1, 0)  # Depthwise: 3 channels, kernel 3
    assert loaded.snn_depthwise_weights(ctypes.byref(shape)) == 9 * loaded.lanes
    return Path(loaded._name)


@needs_compiler
def test_a_library_is_compiled_once(places: dict[str, Path]) -> None:
    path = path_of(reloaded())
    assert files(places["cache"]) == [path]
    assert path.parent == places["kernels"]
    written = path.stat()
    assert path_of(reloaded()) == path
    assert [each.stat().st_mtime_ns for each in files(places["cache"])] == [written.st_mtime_ns]


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def replaced(path: Path) -> None:
    path.write_text("#!/bin/sh\n")


@needs_compiler
@pytest.mark.parametrize("damage", [cut_short, emptied, changed, replaced])
def test_damaged_library_is_compiled_again(
    places: dict[str, Path], quick: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    path = path_of(reloaded())
    content = path.read_bytes()
    path.unlink()  # this process has mapped it: a new file, as after a crash
    path.write_bytes(content)
    damage(path)
    assert path_of(reloaded()) == path
    assert path.read_bytes() == content
    assert files(places["cache"]) == [path]
    assert len(quick.read_text().splitlines()) == 2
    assert f"event=kernel_damaged path={path}" in caplog.text


@needs_compiler
def test_damaged_library_that_is_named_otherwise_is_removed(places: dict[str, Path], quick: Path) -> None:
    path = path_of(reloaded())
    other = path.with_name(path.name.rpartition("-")[0] + "-0123456789abcdef.so")
    path.rename(other)
    assert path_of(reloaded()) == path
    assert files(places["cache"]) == [path]


@needs_compiler
def test_intact_library_in_a_folder_that_is_read_only_is_used(
    places: dict[str, Path], quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(reloaded())
    monkeypatch.setattr(compiling, "_compile_into", lambda *_: pytest.fail("compiled again"))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("written to"))
    assert path_of(reloaded()) == path


def without_home(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Path:
        raise PermissionError(errno.EPERM, "another user owns it; set HOME or XDG_CACHE_HOME", "/tmp/snnsearch-0")

    monkeypatch.setattr(compiling, "user_cache", unknown)


def with_a_file_in_its_place(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    (places["cache"] / "snnsearch").touch()


def on_a_full_disk(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    script = places["cache"].parent / "full-cc"
    script.write_text(
        f'#!/bin/sh\ncase "$TMPDIR" in {places["cache"]}*) echo "as: No space left on device" >&2; exit 1;; esac\n'
        f'exec "{os.environ["CC"]}" "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))


def mounted_noexec(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    mark(monkeypatch, places["cache"])


def where_the_loader_refuses(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: str) -> library.Library:
        if path.startswith(str(places["cache"])):
            raise OSError(f"{path}: failed to map segment from shared object")
        return right(path)

    right = library.Library
    monkeypatch.setattr(library, "Library", load)


def mark(monkeypatch: pytest.MonkeyPatch, *noexec: Path) -> None:
    """Let the folders look as if they were mounted noexec."""

    class Mount:
        def __init__(self, path: Path) -> None:
            self.f_flag = os.ST_NOEXEC if any(path.is_relative_to(each) for each in noexec) else 0

    monkeypatch.setattr(os, "statvfs", Mount)
    monkeypatch.setattr(compiling, "_free_bytes", lambda _: 2**30)


@needs_compiler
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without_home, "another user owns it"),
        (with_a_file_in_its_place, "Not a directory|File exists"),
        (on_a_full_disk, "No space left on device"),
        (mounted_noexec, "mounted noexec"),
        (where_the_loader_refuses, "failed to map segment"),
    ],
)
def test_cache_that_cannot_be_used_is_replaced_by_a_private_folder_that_is_kept(
    places: dict[str, Path], quick: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    spoil: Callable[[dict[str, Path], pytest.MonkeyPatch], None], says: str,
) -> None:  # fmt: skip
    spoil(places, monkeypatch)
    with caplog.at_level(logging.INFO):
        path = path_of(reloaded())
    assert path.parent == places["temporary"] / f"snnsearch-kernels-{os.getuid()}"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    (reason,) = [line for line in caplog.messages if "event=kernel_folder_unusable" in line]
    assert any(part in reason for part in says.split("|"))
    compilations = quick.read_text()
    assert path_of(reloaded()) == path
    assert quick.read_text().count(str(places["temporary"])) == compilations.count(str(places["temporary"])) == 1


@needs_compiler
@pytest.mark.parametrize("fault", ["others may write", "link", "file"])
def test_shared_folder_that_others_control_is_not_used(
    places: dict[str, Path], quick: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    mark(monkeypatch, places["cache"])
    folder = places["temporary"] / f"snnsearch-kernels-{os.getuid()}"
    if fault == "file":
        folder.touch()
    elif fault == "link":
        (places["temporary"] / "theirs").mkdir()
        folder.symlink_to("theirs")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    assert path_of(reloaded()).is_relative_to(places["memory"])


@needs_compiler
def test_without_a_usable_folder_the_log_names_each_and_the_remedy(
    places: dict[str, Path], quick: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mark(monkeypatch, places["cache"], places["memory"])
    (places["temporary"] / f"snnsearch-kernels-{os.getuid()}").touch()
    assert reloaded() is None
    assert reloaded() is None
    (line,) = caplog.messages
    assert "kernel=reference" in line
    assert f"{places['kernels']}: on a file system that is mounted noexec" in line
    assert f"{places['temporary']}/snnsearch-kernels-{os.getuid()}: File exists" in line
    assert f"{places['memory']}/snnsearch-kernels-{os.getuid()}: on a file system that is mounted noexec" in line
    assert "set XDG_CACHE_HOME to a folder that is writable, has free space and is not mounted noexec" in line
    assert "install gcc" not in line


@needs_compiler
def test_a_library_that_needs_another_one_says_so(
    places: dict[str, Path], quick: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(path: str) -> library.Library:
        raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(library, "Library", load)
    assert reloaded() is None
    assert "libgomp.so.1" in caplog.text
    assert "install the missing library" in caplog.text


def test_compiler_is_not_started_where_it_would_find_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_free_bytes", lambda _: compiling.COMPILING_BYTES - 1)
    with pytest.raises(OSError, match="No space left on device"):
        compiling.compiled("no compiler", "lif", "key", tmp_path)
    assert list(tmp_path.iterdir()) == []


@needs_compiler
@pytest.mark.parametrize("options", ["noexec,size=64m", "size=16k"], ids=["noexec", "full"])
def test_cache_on_a_real_mount_that_cannot_hold_programs(tmp_path: Path, options: str) -> None:
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    cache.mkdir()
    temporary.mkdir()
    namespace = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    mount = f"mount -t tmpfs -o {options} none {cache}"
    if not shutil.which("unshare") or subprocess.run([*namespace, mount], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    script = "from snnkit.kernels.native import library; print(library.library('depthwise')._name)"
    done = subprocess.run(
        [*namespace, f'{mount} && exec {sys.executable} -c "{script}"'],
        capture_output=True, text=True, check=True, timeout=PATIENCE_S,
        env=os.environ | {"XDG_CACHE_HOME": str(cache), "TMPDIR": str(temporary)},
    )  # fmt: skip
    assert Path(done.stdout.strip()).parent == temporary / "snnsearch-kernels-0"  # root in the namespace


def test_without_a_compiler_the_reference_runs_and_the_log_says_what_to_do(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert reloaded("lif") is None
    assert reloaded("depthwise") is None
    (line,) = caplog.messages
    assert "kernel=reference" in line
    assert "install gcc or clang" in line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("#!/bin/sh\necho no licence >&2\nexit 1\n", "no licence"),
        ("no program", "cannot be started: Exec format error"),
    ],
)
def test_a_compiler_that_fails_is_quoted(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    text: str, says: str,
) -> None:  # fmt: skip
    broken = tmp_path / "cc"
    broken.write_text(text)
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    assert reloaded("lif") is None
    assert says in caplog.text
    assert "name another C compiler in CC" in caplog.text
    assert not any(files(place) for place in places.values())


def test_environment_selects_the_reference(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SNNSEARCH_KERNEL", "reference")
    with caplog.at_level(logging.INFO):
        assert reloaded("lif") is None
    assert "SNNSEARCH_KERNEL" in caplog.text


def test_kernels_in_the_temporary_folder_are_removed_at_the_end(tmp_path: Path) -> None:
    """A user whose cache cannot be written to has nothing left in the temporary folder after a run."""
    (tmp_path / "no-folder").touch()
    (tmp_path / "tmp").mkdir()
    code = (
        "from snnkit.kernels.native import compiling; compiling.folders()[1](); "
        "import os, tempfile; print(os.listdir(tempfile.gettempdir()))"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(tmp_path / "no-folder")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "snnsearch-kernels-" in done.stdout
    assert list((tmp_path / "tmp").iterdir()) == []
