"""Keep a data set as verified arrays on disk. A trial maps them into memory within milliseconds and shares the pages.

A store is a folder of four ``.npy`` files (six, if there are validation images) and ``manifest.json``, which records
the size, modification time and SHA-256 of each. It is written under a temporary name and renamed, so a store is always
complete, and several processes may write it at the same time.
"""

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError, field_validator

from snnkit.base.config import Config
from snnkit.base.files import OLD, atomic_write, scratch_folder
from snnkit.data.events import CountedRecordings, Recordings
from snnkit.data.images import DamagedError, DataSet, Images, unreadable

MANIFEST = "manifest.json"
ARRAY_FILES = ("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy")
VALIDATION_FILES = ("validation_images.npy", "validation_labels.npy")

logger = logging.getLogger(__name__)


class ArrayFile(Config):
    """Size, modification time and digest of one array file."""

    bytes: int
    mtime_ns: int
    sha256: str


class Manifest(Config):
    """The content of a store, and its source."""

    version: Literal[1] = 1
    source: str  # in words: the original folder or the download
    fingerprint: str  # `Layout.fingerprint` of the original files when the store was written
    classes: tuple[str, ...]
    ids: tuple[str, ...] = ()
    files: dict[str, ArrayFile]
    notes: tuple[str, ...] = ()

    @field_validator("files")
    @classmethod
    def _require_all_arrays(cls, files: dict[str, ArrayFile]) -> dict[str, ArrayFile]:
        if set(files) - set(VALIDATION_FILES) != set(ARRAY_FILES):
            raise ValueError(f"the files must be {', '.join(ARRAY_FILES)}")
        return files


def write_store(
    folder: Path, data: DataSet, *, source: str, fingerprint: str, beside: Mapping[str, str] | None = None
) -> None:
    """Write the arrays of ``data`` to ``folder``, replacing an older store. Raises OSError if that fails.

    ``beside`` (name -> text) are files to keep in the folder that only this machine needs.
    """
    assert all(part.index is None for part in data.parts.values()), "data is a view; its array holds other images too"
    with _replacing(folder) as scratch:
        arrays = [array for part in data.parts.values() for array in (part.array, part.labels)]
        names = (*ARRAY_FILES, *VALIDATION_FILES)[: len(arrays)]
        files = {name: _write_array(scratch / name, array) for name, array in zip(names, arrays, strict=True)}
        manifest = Manifest(
            source=source, fingerprint=fingerprint, classes=data.classes, ids=data.ids, files=files, notes=data.notes
        )
        for name, text in (beside or {}).items():
            (scratch / name).write_text(text)
        (scratch / MANIFEST).write_text(manifest.model_dump_json(indent=1))


def write_and_open(
    folder: Path, data: DataSet, *, source: str, fingerprint: str, beside: Mapping[str, str] | None = None
) -> DataSet:
    """Write ``data`` to ``folder`` and return it mapped from there. If it cannot be written, return ``data`` itself."""
    try:
        write_store(folder, data, source=source, fingerprint=fingerprint, beside=beside)
    except OSError as error:  # slower but correct: each trial reads the original files again
        logger.warning("event=dataset_not_stored folder=%s error=%s", folder, error)
        return data
    manifest = read_manifest(folder)
    return data if manifest is None else read_store(folder, manifest)


def read_files(folder: Path) -> dict[str, NDArray[np.uint8]]:
    """Return the bytes of the store's files, ready to send to another machine. Raises OSError."""
    names = [*ARRAY_FILES, *(name for name in VALIDATION_FILES if (folder / name).exists()), MANIFEST]
    return {name: np.fromfile(folder / name, np.uint8) for name in names}


def write_files(folder: Path, files: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write the files that `read_files` returned elsewhere; `read_store` then checks their digests. Raises OSError."""
    with _replacing(folder) as scratch:
        for name, content in files.items():
            content.tofile(scratch / Path(name).name)


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest, or None if there is no store.

    Raises DamagedError if it is damaged, DataError if it may not be read.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(folder, error) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise DamagedError(f"{path}: not readable ({type(error).__name__})", folder) from error


def read_store(folder: Path, manifest: Manifest) -> DataSet:
    """Map the arrays read-only. A digest is computed only if a file's modification time differs from the recorded one.

    Raises:
        DamagedError: a file is missing, or its size or content differs from the manifest.
        DataError: a file may not be read.
    """
    try:
        changed = [name for name, file in manifest.files.items() if _is_modified(folder / name, file)]
        for name in changed:
            _check_digest(folder / name, manifest.files[name])
        if changed:
            _record_times(folder, manifest)
        arrays = {name: np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in manifest.files}
        pairs = (ARRAY_FILES[:2], ARRAY_FILES[2:], VALIDATION_FILES)
        parts = [_to_images(*(arrays[name] for name in pair)) for pair in pairs if pair[0] in arrays]
    except (FileNotFoundError, ValueError) as error:
        raise DamagedError(f"{folder}: {error}", folder) from error
    except OSError as error:
        raise unreadable(folder, error) from error
    train, test, *own = parts
    return DataSet(train, test, manifest.classes, manifest.ids, own[0] if own else None, manifest.notes)


def _to_images(array: NDArray[Any], labels: NDArray[np.int64]) -> Images:
    kinds = {(4, "uint8"): Images, (4, "uint32"): Recordings, (5, "uint8"): CountedRecordings}
    kind = kinds.get((array.ndim, array.dtype.name))
    if kind is None or labels.shape != array.shape[:1]:
        raise ValueError(f"{array.dtype} {array.shape} with labels {labels.shape} are not images")
    return kind(array, np.asarray(labels))


def _write_array(path: Path, array: NDArray[Any]) -> ArrayFile:
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    stat = path.stat()
    return ArrayFile(bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=_sha256(path))


@contextlib.contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces ``folder`` when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder.parent, folder.name) as scratch:
        yield scratch
        _replace_folder(scratch, folder)


def _replace_folder(scratch: Path, folder: Path) -> None:
    aside = scratch.with_name(scratch.name + OLD)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
    try:
        scratch.rename(folder)
    except OSError:
        if not (folder / MANIFEST).exists():  # another process was faster: its arrays are equally good
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_modified(path: Path, file: ArrayFile) -> bool:
    """Return whether the modification time differs. Raises DamagedError if the size does."""
    stat = path.stat()
    if stat.st_size != file.bytes:
        raise DamagedError(f"{path}: {stat.st_size:,} bytes, expected {file.bytes:,}", path.parent)
    return stat.st_mtime_ns != file.mtime_ns


def _check_digest(path: Path, file: ArrayFile) -> None:
    found = _sha256(path)
    if found != file.sha256:
        raise DamagedError(f"{path}: SHA-256 is {found}, expected {file.sha256}", path.parent)


def _record_times(folder: Path, manifest: Manifest) -> None:
    """Record the new modification times, so that a copied store is verified only once. A read-only folder is fine."""
    files = {
        name: file.model_copy(update={"mtime_ns": (folder / name).stat().st_mtime_ns})
        for name, file in manifest.files.items()
    }
    with contextlib.suppress(OSError), atomic_write(folder / MANIFEST) as partial:
        partial.write_text(manifest.model_copy(update={"files": files}).model_dump_json(indent=1))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
