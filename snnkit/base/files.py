"""Write a file or a folder in one step, so that no reader ever sees half of it."""

import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
RANDOM = "[a-z0-9_]{8}"  # what `tempfile` adds to a name
OLD = "-old"  # ends the name of a folder that is being replaced
STALE_S = 24 * 3600  # another machine's leftovers are removed if nothing in them has changed for so long


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; after the block the file written there replaces ``path``.

    The file is on disk when the block ends. If the block raises, ``path`` is left as it was and the temporary file is
    removed. Several processes may write the same path at once. Raises OSError if the folder is full or not writable.
    """
    with scratch_folder(path.parent, path.name) as folder:
        partial = folder / path.name
        yield partial
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        partial.replace(path)


@contextlib.contextmanager
def atomic_folder(path: Path, files: Collection[str]) -> Iterator[Path]:
    """Yield an empty folder beside ``path``; after the block it takes the place of ``path``, which may hold ``files``.

    If the block raises, ``path`` is left as it was. Raises OSError if ``path`` is a file, or a folder with other files.
    """
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is a file, and a folder is to be written", str(path))
    others = sorted(each.name for each in path.iterdir() if each.name not in files) if path.exists() else []
    if others:
        raise FileExistsError(errno.EEXIST, f"it is a folder with other files, for example {others[0]}", str(path))
    with scratch_folder(path.parent, path.name) as folder:
        written = folder / path.name
        written.mkdir()
        yield written
        if path.exists():
            path.rename(folder / "before")
        written.rename(path)


@contextlib.contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in ``parent`` that is removed after the block, unless the block has renamed it.

    Folders with the same prefix that killed processes left there are removed first. The process holds a lock on its
    folder, so that others know that it is in use. Raises OSError if the folder cannot be created.
    """
    remove_leftovers(parent, prefix)
    folder, lock = _locked_folder(parent, f".{prefix}-{_machine()}-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the scratch folders in ``parent`` whose processes were killed. Folders in use stay.

    A lock says whether a process of this machine still uses a folder. Folders of other machines, which share the file
    system, and of earlier versions are removed if nothing in them has changed for a day.
    """
    name = re.compile(rf"\.{re.escape(prefix)}[-.](?:(?P<machine>[0-9a-f]{{8}})-)?{RANDOM}({OLD})?")
    with contextlib.suppress(OSError):
        with os.scandir(parent) as entries:
            found = [(entry.path, name.fullmatch(entry.name)) for entry in entries]
        for path, match in found:
            if match is not None and os.path.isdir(path) and not os.path.islink(path):
                _remove_if_left(Path(path), here=match["machine"] == _machine())


def _remove_if_left(folder: Path, *, here: bool) -> None:
    with contextlib.suppress(OSError):  # somebody else removed it, or it belongs to another user
        handle = os.open(folder, os.O_RDONLY)
        try:
            locked = _lock(handle)
            if locked is not False and ((here and locked) or _is_stale(folder)):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


def _locked_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """Return a new folder and a handle that locks it until it is closed or the process ends. Raises OSError."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # another process took it for a leftover before it was locked
            handle = os.open(folder, os.O_RDONLY)
            if _lock(handle) is not False and folder.exists():
                return folder, handle
            os.close(handle)


def _lock(handle: int) -> bool | None:
    """Lock an open folder. Return False if another process holds the lock, None if the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_stale(folder: Path) -> bool:
    """Return whether nothing in ``folder`` has changed for a day. Raises OSError."""
    latest = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    return time.time() - latest > STALE_S


@functools.cache
def _machine() -> str:
    """Return eight hexadecimal digits that identify this machine since it was started."""
    try:
        text = BOOT_ID.read_text()
    except OSError:
        text = platform.node()
    return hashlib.sha256(text.encode()).hexdigest()[:8]
