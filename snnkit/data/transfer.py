"""Send a data set to another machine as the files of its store; the receiver verifies their digests."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from snnkit.base.cache import user_cache
from snnkit.data.described import store_of
from snnkit.data.images import DataError
from snnkit.data.loading import dataset_status, load_dataset
from snnkit.data.sources.source import DataSource
from snnkit.data.store import read_files, write_files
from snnkit.data.store_place import data_root, store_folder

Files = Mapping[str, NDArray[np.uint8]]  # file name -> content


def pack_dataset(name: str | DataSource, root: Path | None = None) -> Files:
    """Return the store files of data set ``name`` on this machine, ready to send.

    Raises:
        DataError: the data set is unknown, unobtainable or corrupt, or its files cannot be read.
    """
    load_dataset(name, root)
    try:
        return read_files(_store(name, data_root(root)))
    except OSError as error:
        raise DataError(f"{_label(name)} cannot be sent: {error}") from error


def receive_dataset(
    name: str | DataSource, root: Path | None, side: int | None, send: Callable[[], Files]
) -> tuple[Path, int]:
    """Make data set ``name`` available on this machine, at ``side`` x ``side`` pixels if given.

    Use the copy below ``root`` if there is one; otherwise use this machine's data folder and call ``send`` if the data
    set is missing there. Only one process per user and machine receives or resizes at a time; the others wait.

    Returns:
        The data folder, and the number of bytes received (0 if the data set was already here).

    Raises:
        DataError: the files cannot be written, or they are not what was sent.
    """
    is_below = root is not None and isinstance(name, str) and dataset_status(name, root).available
    folder = root if root is not None and is_below else data_root(None)
    received = 0
    with _one_process_at_a_time(name.store_name if isinstance(name, DataSource) else name):
        if not dataset_status(name, folder).available:
            files = send()
            try:
                write_files(_store(name, folder), files)
            except OSError as error:
                raise DataError(
                    f"{_label(name)} cannot be stored in {folder} of {os.uname().nodename}: {error}"
                ) from error
            received = sum(file.nbytes for file in files.values())
        load_dataset(name, folder, side=side)
    return folder, received


def _store(name: str | DataSource, root: Path) -> Path:
    return store_of(name) if isinstance(name, DataSource) else store_folder(name, root)


def _label(name: str | DataSource) -> str:
    return name.label if isinstance(name, DataSource) else name


@contextlib.contextmanager
def _one_process_at_a_time(name: str) -> Iterator[None]:
    """Hold a lock in the user's cache folder. If no file can be created there, run unlocked: it only costs work."""
    lock = FileLock(user_cache() / f"{name}.lock")
    try:
        user_cache().mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()
