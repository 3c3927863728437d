"""The file layout of CIFAR-10 and CIFAR-100 (Krizhevsky 2009): pickled batches, as torchvision downloads them."""

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnkit.data.images import DamagedError, DataSet, Images, unreadable


@dataclass(frozen=True)
class CifarFiles:
    """Pickled batches. Each file's MD5 (as in torchvision) is checked before a byte is unpickled."""

    folder: str
    train: Mapping[str, str]  # file name -> MD5
    test: Mapping[str, str]  # file name -> MD5
    labels: str  # key of the labels in a batch
    classes: tuple[str, ...] | None = None  # class names; None: read ``fine_label_names`` from the meta file
    meta: Mapping[str, str] | None = None  # file name -> MD5
    embedded: bool = False

    @property
    def description(self) -> str:
        return f"{self.folder}/ with {', '.join([*self.train, *self.test, *(self.meta or {})])}"

    def location(self, root: Path) -> Path:
        return root / self.folder

    def fingerprint(self, root: Path) -> str:
        return ""

    def read(self, root: Path) -> DataSet:
        folder = self.location(root)
        train, test = (self._read_images(folder, files) for files in (self.train, self.test))
        return DataSet(train, test, self._class_names(folder))

    def _read_images(self, folder: Path, files: Mapping[str, str]) -> Images:
        batches = [_read_batch(folder / name, md5, self.labels) for name, md5 in files.items()]
        return Images(*(np.concatenate(arrays) for arrays in zip(*batches, strict=True)))

    def _class_names(self, folder: Path) -> tuple[str, ...]:
        if self.classes is not None:
            return self.classes
        ((name, md5),) = (self.meta or {}).items()
        return tuple(_load_pickle(folder / name, md5)["fine_label_names"])


def _read_batch(path: Path, md5: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    batch = _load_pickle(path, md5)
    try:
        images = np.asarray(batch["data"], np.uint8).reshape(-1, 3, 32, 32)
        return images, np.asarray(batch[labels], np.int64)
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedError(f"{path}: not a CIFAR batch ({error!r})", path.parent) from error


def _load_pickle(path: Path, md5: str) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DamagedError(f"{path}: {error.strerror}", path.parent) from error
    except OSError as error:
        raise unreadable(path.parent, error) from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DamagedError(f"{path}: MD5 of its {len(content):,} bytes is {found}, expected {md5}", path.parent)
    try:
        return dict(_ArrayUnpickler(io.BytesIO(content), encoding="latin1").load())
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise DamagedError(f"{path}: not a pickle of arrays ({error})", path.parent) from error


class _ArrayUnpickler(pickle.Unpickler):
    """Build numpy arrays and built-in containers only. A pickle that asks for anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _empty_array
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _empty_array(*_: object) -> NDArray[np.uint8]:
    """Stand in for numpy's ``_reconstruct``, which returns an empty array before the pickle sets its state."""
    return np.ndarray((0,), np.uint8)
