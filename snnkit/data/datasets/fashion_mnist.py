"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747) as idx files, raw or gzipped, where torchvision keeps them."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnkit.data.images import DataError, DataSet, Images

MOST_BYTES = 64 * 2**20  # unpacked: the largest file has 47,040,016
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


@dataclass(frozen=True)
class IdxFiles:
    folder: str = "FashionMNIST/raw"
    classes: tuple[str, ...] = CLASSES
    embedded: bool = False

    @property
    def description(self) -> str:
        return f"{self.folder}/ with train- and t10k-, images-idx3-ubyte and labels-idx1-ubyte, gzipped or not"

    def where(self, root: Path) -> Path:
        return root / self.folder

    def fingerprint(self, root: Path) -> str:
        return ""

    def read(self, root: Path) -> DataSet:
        return DataSet(self._images(root, "train"), self._images(root, "t10k"), self.classes)

    def _images(self, root: Path, part: str) -> Images:
        images = _idx(self.where(root) / f"{part}-images-idx3-ubyte", dims=3)
        labels = _idx(self.where(root) / f"{part}-labels-idx1-ubyte", dims=1)
        if len(images) != len(labels):
            raise DataError(f"{self.where(root)}: {len(images)} {part} images and {len(labels)} labels; fetch again")
        return Images(images[:, None], labels.astype(np.int64))


def _idx(path: Path, *, dims: int) -> NDArray[np.uint8]:
    """An idx file of bytes: zero, zero, 0x08, number of dimensions, each as big-endian uint32, then the values."""
    content = _content(path)
    header = 4 + 4 * dims
    if content[:4] != bytes([0, 0, 8, dims]) or len(content) < header:
        raise DataError(f"{path}: not an idx file of {dims} dimensions; delete it and fetch again")
    shape = struct.unpack(f">{dims}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise DataError(f"{path}: {len(content):,} bytes, expected {expected:,}; delete it and fetch again")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _content(path: Path) -> bytes:
    gzipped = path.with_name(path.name + ".gz")
    try:
        if path.exists():
            return path.read_bytes()
        with gzip.open(gzipped) as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: neither it nor {gzipped.name} is there; fetch again") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{gzipped if not path.exists() else path}: {error}; delete it and fetch again") from error
    if len(content) > MOST_BYTES:
        raise DataError(f"{gzipped}: more than {MOST_BYTES:,} bytes unpacked; delete it and fetch again")
    return content
