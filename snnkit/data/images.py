"""Labelled images, the digests they are known by, and what is wrong with a file when it cannot be read."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class DataError(Exception):
    """A data set that is absent, broken or too small; the message says which file and what to do."""


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """``; did you mean X?`` where an allowed word is close; else nothing."""
    near = get_close_matches(word, list(allowed), n=1)
    return f"; did you mean {near[0]}?" if near else ""


@dataclass(frozen=True, eq=False)
class Images:
    """A view: the images are rows of an array that is often mapped from disk and shared, and are copied when read."""

    array: NDArray[Any]  # (M, C, H, W) of uint8; of uint32 in `events.Recordings`
    labels: NDArray[np.int64]  # (N,), 0 .. classes - 1
    index: NDArray[np.int64] | None = None  # (N,), the row of each image; None: all rows in order

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image as `rows` makes it: (C, H, W)."""
        return self.array.shape[1:]

    def rows(self, which: slice | NDArray[np.int64] = slice(None)) -> NDArray[np.uint8]:
        """A copy of the images at ``which``: (B, C, H, W)."""
        return self._stored(which)

    def take(self, which: NDArray[np.int64]) -> Self:
        """The images at ``which``, in its order; no image is copied."""
        index = which if self.index is None else self.index[which]
        return replace(self, labels=self.labels[which], index=index)

    def _stored(self, which: slice | NDArray[np.int64]) -> NDArray[Any]:
        index = np.arange(len(self)) if self.index is None else self.index
        return np.take(np.asarray(self.array), index[which], axis=0)


@dataclass(frozen=True, eq=False)
class DataSet:
    train: Images
    test: Images
    classes: tuple[str, ...]  # names, by label
    ids: tuple[str, ...] = ()  # by label too, where classes have a second name that no other has: "n01443537"


def digests(data: DataSet) -> dict[str, str]:
    """SHA-256 of the images as uint8 (N, H, W, C) and of the labels as uint8, both in C order."""

    def sha256(array: NDArray[np.uint8]) -> str:
        return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()

    parts = {"train": data.train, "test": data.test}
    images = {f"{name} images": sha256(part.array.transpose(0, 2, 3, 1)) for name, part in parts.items()}
    return images | {f"{name} labels": sha256(part.labels.astype(np.uint8)) for name, part in parts.items()}


def mismatch(data: DataSet, expected: Mapping[str, str]) -> str | None:
    """Which part of ``data`` has not the expected digest, in words; None where all have, or none is expected."""
    found = digests(data) if expected else {}
    for part, digest in expected.items():
        if found[part] != digest:
            return f"SHA-256 of the {part} is {found[part]}, expected {digest}"
    return None
