"""Images in memory, the digests they are known by, and what is wrong with a file when it cannot be read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class DataError(Exception):
    """A data set that is absent, broken or too small; the message says which file and what to do."""


@dataclass(frozen=True, eq=False)
class Images:
    images: NDArray[np.uint8]  # (N, C, H, W)
    labels: NDArray[np.int64]  # (N,), 0 .. classes - 1

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> "Images":
        """A copy of the images at ``index``, in its order."""
        return Images(self.images[index], self.labels[index])


@dataclass(frozen=True, eq=False)
class DataSet:
    train: Images
    test: Images
    classes: tuple[str, ...]  # names, by label


def digests(data: DataSet) -> dict[str, str]:
    """SHA-256 of the images as uint8 (N, H, W, C) and of the labels as uint8, both in C order."""

    def sha256(array: NDArray[np.uint8]) -> str:
        return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()

    parts = {"train": data.train, "test": data.test}
    images = {f"{name} images": sha256(part.images.transpose(0, 2, 3, 1)) for name, part in parts.items()}
    return images | {f"{name} labels": sha256(part.labels.astype(np.uint8)) for name, part in parts.items()}


def mismatch(data: DataSet, expected: Mapping[str, str]) -> str | None:
    """Which part of ``data`` has not the expected digest, in words; None where all have, or none is expected."""
    found = digests(data) if expected else {}
    for part, digest in expected.items():
        if found[part] != digest:
            return f"SHA-256 of the {part} is {found[part]}, expected {digest}"
    return None
