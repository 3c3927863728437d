"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): 70,000 grey images of clothing, 28x28 pixels in 10 classes.

Its idx files may be raw or gzipped, in the folder that torchvision uses.
"""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.datasets.torchvision_download import torchvision_download
from snnkit.data.images import DamagedError, DataSet, Images, unreadable

MAX_FILE_BYTES = 64 * 2**20  # limit for an unpacked file; the largest one has 47,040,016 bytes
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


@dataclass(frozen=True)
class IdxFiles:
    """Images and labels of the training (``train``) and test (``t10k``) part, one idx file each."""

    folder: str = "FashionMNIST/raw"
    classes: tuple[str, ...] = CLASSES
    embedded: bool = False

    @property
    def description(self) -> str:
        return f"{self.folder}/ with train- and t10k-, images-idx3-ubyte and labels-idx1-ubyte, gzipped or not"

    def location(self, root: Path) -> Path:
        return root / self.folder

    def fingerprint(self, root: Path) -> str:
        return ""

    def read(self, root: Path) -> DataSet:
        return DataSet(self._read_part(root, "train"), self._read_part(root, "t10k"), self.classes)

    def _read_part(self, root: Path, part: str) -> Images:
        images = _read_idx(self.location(root) / f"{part}-images-idx3-ubyte", dims=3)
        labels = _read_idx(self.location(root) / f"{part}-labels-idx1-ubyte", dims=1)
        if len(images) != len(labels):
            folder = self.location(root)
            raise DamagedError(f"{folder}: {len(images)} {part} images and {len(labels)} labels", folder)
        return Images(images[:, None], labels.astype(np.int64))


def _read_idx(path: Path, *, dims: int) -> NDArray[np.uint8]:
    """Read an idx file of bytes: 0, 0, 8, the number of dimensions, each dimension as big-endian uint32, the values."""
    content = _read_content(path)
    header = 4 + 4 * dims
    if content[:4] != bytes([0, 0, 8, dims]) or len(content) < header:
        raise DamagedError(f"{path}: not an idx file of {dims} dimensions", path.parent)
    shape = struct.unpack(f">{dims}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise DamagedError(f"{path}: {len(content):,} bytes, expected {expected:,}", path.parent)
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read_content(path: Path) -> bytes:
    gzipped = path.with_name(path.name + ".gz")
    try:
        if path.exists():
            return path.read_bytes()
        with gzip.open(gzipped) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise DamagedError(f"{path}: not found, and no {gzipped.name} either", path.parent) from error
    except (gzip.BadGzipFile, IsADirectoryError, EOFError, zlib.error) as error:
        raise DamagedError(f"{gzipped if not path.exists() else path}: {error}", path.parent) from error
    except OSError as error:
        raise unreadable(path.parent, error) from error
    if len(content) > MAX_FILE_BYTES:
        raise DamagedError(f"{gzipped}: more than {MAX_FILE_BYTES:,} bytes unpacked", path.parent)
    return content


FASHION_MNIST = DatasetInfo(
    classes=10,
    shape=(1, 28, 28),
    train=60_000,
    test=10_000,
    layout=IdxFiles(),
    digests={
        "train images": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        "train labels": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        "test images": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
        "test labels": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    },
    downloads={"torchvision's download": torchvision_download("FashionMNIST", IdxFiles())},
)
