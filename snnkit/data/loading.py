"""From a data set's name to its images: what is there, else a download, else one error that says what to put where."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from snnkit.base.cache import user_cache
from snnkit.data.datasets import DATASETS
from snnkit.data.datasets.entry import Entry
from snnkit.data.images import DataError, DataSet, did_you_mean, mismatch
from snnkit.data.resizing import resized
from snnkit.data.store import read_manifest, read_store, write_store

ARRAYS = "snnsearch-arrays"  # below the data folder: what this package has read, checked and keeps as arrays

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    name: str
    there: bool
    detail: str  # where it lies, or what to put where


def data_root(root: Path | None = None) -> Path:
    """``root``, else SNNSEARCH_DATA, else the user's cache folder."""
    if root is not None:
        return root.expanduser()
    return Path(os.environ.get("SNNSEARCH_DATA") or user_cache()).expanduser()


def load(name: str, root: Path | None = None, *, side: int | None = None) -> DataSet:
    """The data set ``name``, fetched if it is not below ``root``, its arrays mapped from disk.

    Where ``side`` is not its own, images of ``side`` x ``side`` pixels are made once and kept as well.

    Raises:
        DataError: unknown, unobtainable or corrupt.
    """
    entry, root = dataset_entry(name), data_root(root)
    if entry.layout.embedded:
        data = entry.layout.read(root)
    else:
        data = _stored(name, entry, root) or _prepared(name, entry, root)
    return data if side is None or data.train.shape[1:] == (side, side) else _resized(name, data, root, side)


def fetch(name: str, root: Path | None = None) -> str:
    """Make sure that ``name`` is there, and say where.

    Raises:
        DataError: unknown, unobtainable or corrupt.
    """
    load(name, root)
    return status(name, root).detail


def status(name: str, root: Path | None = None) -> Status:
    """Whether ``name`` is there; nothing is downloaded, verified or written.

    Raises:
        DataError: unknown.
    """
    entry, root = dataset_entry(name), data_root(root)
    if entry.layout.embedded:
        return Status(name, True, "comes with scikit-learn")
    if (store := store_folder(name, root)).is_dir():
        return Status(name, True, str(store))
    if (folder := entry.layout.where(root)).is_dir():
        return Status(name, True, str(folder))
    fetching = f", or run: snnsearch data fetch {name}" if entry.downloads else ""
    return Status(name, False, f"absent; {_remedy(entry, root)}{fetching}")


def dataset_entry(name: str) -> Entry:
    if name not in DATASETS:
        raise DataError(f"no data set {name!r}; there are {', '.join(DATASETS)}{did_you_mean(name, DATASETS)}")
    return DATASETS[name]


def _stored(name: str, entry: Entry, root: Path) -> DataSet | None:
    """The arrays kept from an earlier reading, unless the files they were made from have changed since."""
    folder = store_folder(name, root)
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    if entry.layout.where(root).is_dir() and manifest.fingerprint != entry.layout.fingerprint(root):
        return None
    return read_store(folder, manifest)


def _prepared(name: str, entry: Entry, root: Path) -> DataSet:
    data, source = _obtained(name, entry, root)
    fingerprint = entry.layout.fingerprint(root) if entry.layout.where(root).is_dir() else ""
    return _kept(store_folder(name, root), data, source=source, fingerprint=fingerprint)


def _resized(name: str, data: DataSet, root: Path, side: int) -> DataSet:
    """``data`` at another resolution: kept from an earlier time, made again where the arrays are others since."""
    original = read_manifest(store_folder(name, root))
    if original is None:  # embedded, or the arrays could not be kept
        return resized(data, side)
    folder = store_folder(name, root, side)
    fingerprint = " ".join(file.sha256 for file in original.files.values())
    manifest = read_manifest(folder)
    if manifest is not None and manifest.fingerprint == fingerprint:
        return read_store(folder, manifest)
    logger.info("resizing data=%s side=%d", name, side)
    return _kept(folder, resized(data, side), source=f"{name} at {side}x{side} pixels", fingerprint=fingerprint)


def _kept(folder: Path, data: DataSet, *, source: str, fingerprint: str) -> DataSet:
    """``data`` written to ``folder`` and mapped from there."""
    try:
        write_store(folder, data, source=source, fingerprint=fingerprint)
    except OSError as error:  # slower from now on, not wrong: each trial makes them again
        logger.warning("arrays not kept folder=%s error=%s", folder, error)
        return data
    manifest = read_manifest(folder)
    return data if manifest is None else read_store(folder, manifest)


def _obtained(name: str, entry: Entry, root: Path) -> tuple[DataSet, str]:
    folder = entry.layout.where(root)
    if folder.is_dir():
        logger.info("reading data=%s folder=%s", name, folder)
        data = entry.layout.read(root)
        if wrong := mismatch(data, entry.digests):
            raise DataError(f"{folder}: {wrong}; delete it and run: snnsearch data fetch {name}")
        return data, str(folder)
    tried = []
    for label, download in entry.downloads.items():
        logger.info("fetching data=%s source=%s", name, label)
        try:
            with _scratch(name, root) as scratch:
                data = download(scratch)
            if wrong := mismatch(data, entry.digests):
                raise DataError(wrong)
            return data, label
        except DataError as error:
            tried.append(f"{label}: {error}")
    attempts = f"could not be fetched ({'; '.join(tried)})" if tried else "has no download"
    raise DataError(f"{name} is not in {root} and {attempts}; {_remedy(entry, root)}")


@contextmanager
def _scratch(name: str, root: Path) -> Iterator[Path]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".fetch-{name}-", dir=root, ignore_cleanup_errors=True)
    except OSError as error:
        raise DataError(f"cannot write to {root}: {error.strerror}") from error
    with folder as scratch:
        yield Path(scratch)


def _remedy(entry: Entry, root: Path) -> str:
    return f"put {entry.layout.description} into {root}, or name the folder that has them with --data"


def store_folder(name: str, root: Path, side: int | None = None) -> Path:
    """Of verified arrays: in the data folder, or in the cache folder where the data folder is shared and read-only."""
    below = Path(ARRAYS, name) if side is None else Path(ARRAYS, f"{side}px", name)
    beside = root / below
    return beside if beside.is_dir() or _writable(root) else user_cache() / below


def _writable(folder: Path) -> bool:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK)
