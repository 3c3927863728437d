"""A data set from one machine to another: the files of its store, which are verified where they arrive."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnkit.base.cache import user_cache
from snnkit.data.images import DataError
from snnkit.data.loading import data_root, load, status, store_folder
from snnkit.data.store import read_files, write_files

Files = Mapping[str, NDArray[np.uint8]]


def packed(name: str, root: Path | None = None) -> Files:
    """The files of ``name`` as this machine has them. Raises DataError."""
    load(name, root)
    try:
        return read_files(store_folder(name, data_root(root)))
    except OSError as error:
        raise DataError(f"{name} cannot be sent: {error}") from error


def receive(name: str, root: Path | None, side: int | None, send: Callable[[], Files]) -> tuple[Path, int]:
    """Where this machine has ``name``: below ``root`` or, where it is not there, below its own data folder, sent by
    another machine if need be. The bytes that were sent for it stand beside it.

    Of the processes of a machine one asks and the others wait; so it is for making images of ``side`` pixels.

    Raises:
        DataError: it cannot be written, or what arrived is not what was sent.
    """
    where = root if root is not None and status(name, root).there else data_root(None)
    received = 0
    with _one_at_a_time(name):
        if not status(name, where).there:
            files = send()
            try:
                write_files(store_folder(name, where), files)
            except OSError as error:
                raise DataError(f"{name} cannot be kept in {where} of {os.uname().nodename}: {error}") from error
            received = sum(file.nbytes for file in files.values())
        load(name, where, side=side)
    return where, received


@contextlib.contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Of this user's processes; all at once where the cache folder takes no file, which costs work alone."""
    try:
        user_cache().mkdir(parents=True, exist_ok=True)
        lock = (user_cache() / f"{name}.lock").open("w")
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
