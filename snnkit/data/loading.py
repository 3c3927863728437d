"""Load a data set by name: from its store, from its original files or by download.

If all fail, one error says which files to put where.
"""

import contextlib
import itertools
import logging
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snnkit.base.files import remove_leftovers, scratch_folder
from snnkit.data.datasets import dataset_info
from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.described import load_described, store_of
from snnkit.data.images import DamagedError, DataError, DataSet, find_mismatch
from snnkit.data.resizing import resize_dataset
from snnkit.data.sources.source import DataSource
from snnkit.data.store import read_manifest, read_store, write_and_open
from snnkit.data.store_place import data_root, store_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """Whether a data set is on this machine."""

    name: str
    available: bool
    detail: str  # its folder, or which files to put where


def load_dataset(name: str | DataSource, root: Path | None = None, *, side: int | None = None) -> DataSet:
    """Return data set ``name`` with its arrays mapped from disk; download it if it is not below ``root``.

    If ``side`` differs from the original side, images of ``side`` x ``side`` pixels are made once and stored as well.
    The arrays of a described data set are always in this machine's data folder.

    Raises:
        DataError: the data set is unknown, unobtainable or corrupt.
    """
    if isinstance(name, DataSource):
        return _with_side(name.store_name, load_described(name), data_root(), side)
    info, root = dataset_info(name), data_root(root)
    try:
        return _load(name, info, root, side)
    except DamagedError as error:
        place = "" if root == data_root() else f" --data {shlex.quote(str(root))}"
        remedy = f"to move {error.folder} aside and make it again: snnsearch data fetch {name}{place}"
        raise DamagedError(f"{error}; {remedy}", error.folder) from error


def fetch_dataset(name: str, root: Path | None = None) -> str:
    """Make sure that data set ``name`` is intact on this machine, and return its folder as text.

    A folder with damaged files is renamed, and the data set is read or downloaded again. What killed processes left is
    removed.

    Raises:
        DataError: the data set is unknown or unobtainable; damaged files are then where they were.
    """
    info, root = dataset_info(name), data_root(root)
    if not info.layout.embedded:
        remove_leftovers(root, _scratch_prefix(name))
        _load_intact(name, info, root)
        for side in _stored_sides(name, root):
            remove_leftovers(store_folder(name, root, side).parent, name)
            _load_intact(name, info, root, side)
    return dataset_status(name, root).detail


def _load_intact(name: str, info: DatasetInfo, root: Path, side: int | None = None) -> None:
    """Load a data set. A folder with damaged files is moved aside before it is made again. Raises DataError."""
    moved: list[tuple[Path, Path]] = []
    while True:
        try:
            _load(name, info, root, side)
        except DamagedError as error:
            if error.folder in (folder for folder, _ in moved):  # what was made again is damaged too
                raise
            try:
                moved.append((error.folder, _move_aside(error.folder)))
            except OSError as failure:
                _move_back(moved)
                raise DataError(f"{error}, and it cannot be renamed: {failure.strerror}") from failure
            damage = error
        except DataError as error:
            _move_back(moved)
            if not moved:
                raise
            raise DataError(f"{damage}. It cannot be made again: {error}") from error
        else:
            break
    for folder, aside in moved:
        logger.warning("%s was damaged: it was made again, and the damaged files are in %s", folder, aside)


def _move_aside(folder: Path) -> Path:
    """Rename a folder, and return its new path. Raises OSError."""
    names = (f"{folder.name}.damaged{number or ''}" for number in itertools.count())
    aside = next(path for path in map(folder.with_name, names) if not path.exists())
    return folder.rename(aside)


def _move_back(moved: list[tuple[Path, Path]]) -> None:
    for folder, aside in reversed(moved):
        with contextlib.suppress(OSError):
            aside.rename(folder)


def _stored_sides(name: str, root: Path) -> list[int]:
    """Return the sides in pixels of the resized stores of a data set."""
    found = store_folder(name, root).parent.glob(f"*px/{name}")
    return sorted(int(side) for path in found if (side := path.parent.name.removesuffix("px")).isdigit())


def _load(name: str, info: DatasetInfo, root: Path, side: int | None) -> DataSet:
    """Load a data set as `load_dataset` does. Raises DamagedError if files have wrong content, else DataError."""
    if info.layout.embedded:
        data = info.layout.read(root)
    else:
        data = _open_store(name, info, root) or _build_store(name, info, root)
    return _with_side(name, data, root, side)


def _with_side(name: str, data: DataSet, root: Path, side: int | None) -> DataSet:
    return data if side is None or data.train.shape[-2:] == (side, side) else _load_resized(name, data, root, side)


def dataset_status(name: str | DataSource, root: Path | None = None) -> Status:
    """Return whether data set ``name`` is on this machine. Nothing is downloaded, verified or written.

    Raises:
        DataError: the data set is unknown.
    """
    if isinstance(name, DataSource):
        store = store_of(name)
        return Status(name.label, store.is_dir(), str(store))
    info, root = dataset_info(name), data_root(root)
    if info.layout.embedded:
        return Status(name, True, "comes with scikit-learn")
    if (store := store_folder(name, root)).is_dir():
        return Status(name, True, str(store))
    if (folder := info.layout.location(root)).is_dir():
        return Status(name, True, str(folder))
    fetching = f", or run: snnsearch data fetch {name}" if info.downloads else ""
    return Status(name, False, f"absent; {_remedy(info, root)}{fetching}")


def _open_store(name: str, info: DatasetInfo, root: Path) -> DataSet | None:
    """Open the store, unless there is none or the original files have changed since it was written."""
    folder = store_folder(name, root)
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    if info.layout.location(root).is_dir() and manifest.fingerprint != info.layout.fingerprint(root):
        return None
    return read_store(folder, manifest)


def _build_store(name: str, info: DatasetInfo, root: Path) -> DataSet:
    data, source = _read_or_download(name, info, root)
    fingerprint = info.layout.fingerprint(root) if info.layout.location(root).is_dir() else ""
    return write_and_open(store_folder(name, root), data, source=source, fingerprint=fingerprint)


def _load_resized(name: str, data: DataSet, root: Path, side: int) -> DataSet:
    """Return ``data`` at another resolution, from a store that is rebuilt if the original arrays have changed."""
    original = read_manifest(store_folder(name, root))
    if original is None:  # embedded, or the arrays could not be stored
        return resize_dataset(data, side)
    folder = store_folder(name, root, side)
    fingerprint = " ".join(file.sha256 for file in original.files.values())
    manifest = read_manifest(folder)
    if manifest is not None and manifest.fingerprint == fingerprint:
        return read_store(folder, manifest)
    logger.info("event=dataset_resize data=%s side=%d", name, side)
    resized = resize_dataset(data, side)
    return write_and_open(folder, resized, source=f"{name} at {side}x{side} pixels", fingerprint=fingerprint)


def _read_or_download(name: str, info: DatasetInfo, root: Path) -> tuple[DataSet, str]:
    """Return the data set and its source in words."""
    folder = info.layout.location(root)
    if folder.is_dir():
        logger.info("event=dataset_read data=%s folder=%s", name, folder)
        data = info.layout.read(root)
        if mismatch := find_mismatch(data, info.digests):
            raise DamagedError(f"{folder}: {mismatch}", folder)
        return data, str(folder)
    failures = []
    for label, download in info.downloads.items():
        logger.info("event=dataset_download data=%s source=%s", name, label)
        try:
            with _scratch_folder(name, root) as scratch:
                data = download(scratch)
            if mismatch := find_mismatch(data, info.digests):
                raise DataError(mismatch)
            return data, label
        except DataError as error:
            failures.append(f"{label}: {error}")
    attempts = f"could not be fetched ({'; '.join(failures)})" if failures else "has no download"
    raise DataError(f"{name} is not in {root} and {attempts}; {_remedy(info, root)}")


@contextlib.contextmanager
def _scratch_folder(name: str, root: Path) -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            scratch = stack.enter_context(scratch_folder(root, _scratch_prefix(name)))
        except OSError as error:
            raise DataError(f"cannot write to {root}: {error.strerror}") from error
        yield scratch


def _scratch_prefix(name: str) -> str:
    return f"fetch-{name}"


def _remedy(info: DatasetInfo, root: Path) -> str:
    return f"put {info.layout.description} into {root}, or name the folder that has them with --data"
