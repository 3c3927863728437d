"""A data set as verified arrays on disk, mapped into memory: a trial opens it in milliseconds and shares its pages.

``<folder>/`` holds four ``.npy`` files and ``manifest.json`` with the size, time and SHA-256 of each. It is written
under a temporary name and renamed, so a folder that is there is whole, and several processes may write it at once.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError, field_validator

from snnkit.base.config import Config
from snnkit.data.events import Recordings
from snnkit.data.images import DataError, DataSet, Images

MANIFEST = "manifest.json"
FILES = ("train_images.npy", "train_labels.npy", "test_images.npy", "test_labels.npy")


class ArrayFile(Config):
    bytes: int
    mtime_ns: int
    sha256: str


class Manifest(Config):
    version: Literal[1] = 1
    source: str  # where the arrays come from, in words
    fingerprint: str  # of the files they were made from, `Layout.fingerprint`
    classes: tuple[str, ...]
    ids: tuple[str, ...] = ()
    files: dict[str, ArrayFile]

    @field_validator("files")
    @classmethod
    def _these_alone(cls, files: dict[str, ArrayFile]) -> dict[str, ArrayFile]:
        if set(files) != set(FILES):
            raise ValueError(f"files are {', '.join(FILES)}")
        return files


def write_store(folder: Path, data: DataSet, *, source: str, fingerprint: str) -> None:
    """Write the arrays to ``folder``, in place of those that are there. Raises OSError where that is impossible."""
    assert all(part.index is None for part in (data.train, data.test)), "a view: its array holds other images too"
    with _in_place_of(folder) as scratch:
        arrays = (data.train.array, data.train.labels, data.test.array, data.test.labels)
        files = {name: _write_array(scratch / name, array) for name, array in zip(FILES, arrays, strict=True)}
        manifest = Manifest(source=source, fingerprint=fingerprint, classes=data.classes, ids=data.ids, files=files)
        (scratch / MANIFEST).write_text(manifest.model_dump_json(indent=1))


def read_files(folder: Path) -> dict[str, NDArray[np.uint8]]:
    """The bytes of a store's files, to be sent elsewhere. Raises OSError."""
    return {name: np.fromfile(folder / name, np.uint8) for name in (*FILES, MANIFEST)}


def write_files(folder: Path, files: Mapping[str, NDArray[np.uint8]]) -> None:
    """What `read_files` gave elsewhere; `read_store` then holds it against its digests. Raises OSError."""
    with _in_place_of(folder) as scratch:
        for name in (*FILES, MANIFEST):
            files[name].tofile(scratch / name)


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest, or None where there is no store."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        return Manifest.model_validate_json(path.read_text())
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable ({type(error).__name__}); {_remedy(folder)}") from error


def read_store(folder: Path, manifest: Manifest) -> DataSet:
    """The arrays, mapped read-only; a digest is computed only for a file whose time is not the recorded one.

    Raises:
        DataError: a file is absent, or its size or content is not what was written.
    """
    try:
        changed = [name for name, file in manifest.files.items() if _is_touched(folder / name, file)]
        for name in changed:
            _check_digest(folder / name, manifest.files[name])
        if changed:
            _refresh(folder, manifest)
        arrays = {name: np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in manifest.files}
        train, test = (_part(*(arrays[name] for name in pair)) for pair in (FILES[:2], FILES[2:]))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: {error}; {_remedy(folder)}") from error
    return DataSet(train, test, manifest.classes, manifest.ids)


def _part(array: NDArray[Any], labels: NDArray[np.int64]) -> Images:
    if array.ndim != 4 or array.dtype not in (np.uint8, np.uint32) or labels.shape != array.shape[:1]:
        raise ValueError(f"{array.dtype} {array.shape} with labels {labels.shape} are no images")
    return (Recordings if array.dtype == np.uint32 else Images)(array, np.asarray(labels))


def _write_array(path: Path, array: NDArray[Any]) -> ArrayFile:
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    stat = path.stat()
    return ArrayFile(bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=_sha256(path))


@contextlib.contextmanager
def _in_place_of(folder: Path) -> Iterator[Path]:
    """An empty folder, which takes the place of ``folder`` when the block is done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield scratch
        _replace_folder(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _replace_folder(scratch: Path, folder: Path) -> None:
    aside = scratch.with_name(scratch.name + "-old")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(aside)
    try:
        scratch.rename(folder)
    except OSError:
        if not (folder / MANIFEST).exists():  # else another process was first: its arrays are as good
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_touched(path: Path, file: ArrayFile) -> bool:
    stat = path.stat()
    if stat.st_size != file.bytes:
        raise DataError(f"{path}: {stat.st_size:,} bytes, expected {file.bytes:,}; {_remedy(path.parent)}")
    return stat.st_mtime_ns != file.mtime_ns


def _check_digest(path: Path, file: ArrayFile) -> None:
    found = _sha256(path)
    if found != file.sha256:
        raise DataError(f"{path}: SHA-256 is {found}, expected {file.sha256}; {_remedy(path.parent)}")


def _refresh(folder: Path, manifest: Manifest) -> None:
    """Record the new times, so that a copied folder is read through once; not possible is not a fault."""
    files = {
        name: file.model_copy(update={"mtime_ns": (folder / name).stat().st_mtime_ns})
        for name, file in manifest.files.items()
    }
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as scratch:
        scratch.write(manifest.model_copy(update={"files": files}).model_dump_json(indent=1))
        scratch.close()
        os.replace(scratch.name, folder / MANIFEST)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remedy(folder: Path) -> str:
    return f"delete {folder} and run: snnsearch data fetch {folder.name}"
