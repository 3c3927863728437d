"""Labelled images, data sets, their digests, and the error for data that cannot be read."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class DataError(Exception):
    """A data set is missing, corrupt or too small. The message names the file and says what to do."""


class DataProblems(DataError):  # noqa: N818  # several errors in one
    """All that is wrong with a data set of the user: one sentence for each kind of problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class DamagedError(DataError):
    """Files of a data set have wrong content, and ``folder`` holds them. `fetch_dataset` moves that folder aside."""

    def __init__(self, message: str, folder: Path) -> None:
        super().__init__(message)
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.folder)


def unreadable(folder: Path, error: OSError) -> DataError:
    """Return the error for files in ``folder`` that cannot be read. They may be intact."""
    name = folder if error.filename is None else error.filename
    return DataError(f"{name}: {error.strerror}; make {folder} readable for this user, or choose another with --data")


@dataclass(frozen=True, eq=False)
class Images:
    """A view of labelled images. The array is usually mapped from disk and shared; images are copied when read."""

    array: NDArray[Any]  # (M, C, H, W), uint8; uint32 in `events.Recordings`
    labels: NDArray[np.int64]  # (N,), 0 .. classes - 1
    index: NDArray[np.int64] | None = None  # (N,), the row of each image in the array; None: all rows in order

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (C, H, W) of one image as `rows` returns it."""
        return self.array.shape[1:]

    def rows(self, which: slice | NDArray[np.int64] = slice(None)) -> NDArray[np.uint8]:
        """Return a copy (B, C, H, W) of the images at ``which``."""
        return self._array_rows(which)

    def take(self, which: NDArray[np.int64]) -> Self:
        """Return a view of the images at ``which``, in that order. No image is copied."""
        index = which if self.index is None else self.index[which]
        return replace(self, labels=self.labels[which], index=index)

    def _array_rows(self, which: slice | NDArray[np.int64]) -> NDArray[Any]:
        index = np.arange(len(self)) if self.index is None else self.index
        return np.take(np.asarray(self.array), index[which], axis=0)


@dataclass(frozen=True, eq=False)
class DataSet:
    """The training and test images of a data set, and the names of its classes."""

    train: Images
    test: Images
    classes: tuple[str, ...]  # class names by label
    ids: tuple[str, ...] = ()  # unique class ids by label, such as "n01443537"; empty if the names are unique
    validation: Images | None = None  # if the data set comes with validation images of its own
    notes: tuple[str, ...] = ()  # what was changed or ignored when the files were read, in words

    @property
    def parts(self) -> dict[str, Images]:
        """The images by the name of their part: train, test and, if there are any, validation."""
        own = {} if self.validation is None else {"validation": self.validation}
        return {"train": self.train, "test": self.test, **own}


def content_digest(data: DataSet) -> str:
    """Return 32 hexadecimal digits that identify all images, labels and class names of ``data``, whatever its files."""
    found = hashlib.sha256("\n".join(data.classes).encode())
    for name, part in data.parts.items():
        for array in (part.array, part.labels):
            found.update(f"{name} {array.dtype} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:32]


def compute_digests(data: DataSet) -> dict[str, str]:
    """Return SHA-256 digests of the images as uint8 (N, H, W, C) and of the labels as uint8, both in C order."""

    def sha256(array: NDArray[np.uint8]) -> str:
        return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()

    parts = {"train": data.train, "test": data.test}
    images = {f"{name} images": sha256(part.array.transpose(0, 2, 3, 1)) for name, part in parts.items()}
    return images | {f"{name} labels": sha256(part.labels.astype(np.uint8)) for name, part in parts.items()}


def find_mismatch(data: DataSet, expected: Mapping[str, str]) -> str | None:
    """Describe the first part of ``data`` whose digest differs from the expected one, or return None."""
    found = compute_digests(data) if expected else {}
    for part, digest in expected.items():
        if found[part] != digest:
            return f"SHA-256 of the {part} is {found[part]}, expected {digest}"
    return None
