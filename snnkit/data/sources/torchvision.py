"""Read a data set of torchvision by the name of its class."""

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from snnkit.data.datasets.torchvision_download import quiet_download
from snnkit.data.images import DataError, DataProblems, DataSet
from snnkit.data.sources import pictures
from snnkit.data.sources.assembly import assemble
from snnkit.data.sources.library import class_named
from snnkit.data.sources.source import DataSource
from snnkit.data.store_place import data_root

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = "torchvision"  # below the data folder
TRAIN_SPLITS, TEST_SPLITS = ("train", "trainval"), ("test", "val", "valid")


def scan(source: DataSource) -> dict[str, str]:
    """Return nothing: torchvision checks its files, and the digest of the images tells one content from another."""
    return {}


def read(source: DataSource) -> DataSet:
    """Return the images of the data set, which is downloaded if its files are not there. Raises DataError."""
    from torchvision import datasets  # type: ignore[import-untyped]  # it has no stubs

    kind = class_named(source.place, datasets)
    parts = {part: _open(kind, arguments, source) for part, arguments in _splits(kind).items()}
    labels = {part: _labels(items, source) for part, items in parts.items()}
    n_classes = max(int(each.max()) for each in labels.values()) + 1
    listed = {
        part: [(f"{source.place} {part} image {row}", _opener(items, row)) for row in range(len(items))]
        for part, items in parts.items()
    }
    images, notes = pictures.decode(listed, labels, source)
    return assemble(images, _class_names(parts["train"], n_classes), source, notes)


def _splits(kind: type[Any]) -> dict[str, dict[str, Any]]:
    """Return the arguments of the constructor for each part that the class has."""
    parameters = inspect.signature(kind.__init__).parameters
    if "train" in parameters:
        return {"train": {"train": True}, "test": {"train": False}}
    if "split" not in parameters:
        return {"train": {}}
    return {"train": {"split": TRAIN_SPLITS}, "test": {"split": TEST_SPLITS}}


def _open(kind: type[Any], arguments: dict[str, Any], source: DataSource) -> Any:
    """Return an opened part. Raises DataError."""
    folder = data_root() / FOLDER
    download = {"download": True} if "download" in inspect.signature(kind.__init__).parameters else {}
    names = arguments.get("split", (None,))
    for at, name in enumerate(names):
        chosen = {**arguments, "split": name} if name is not None else arguments
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with quiet_download():
                return kind(str(folder), **chosen, **download)
        except ValueError as error:  # no such split
            if at + 1 == len(names):
                raise DataError(f"torchvision cannot open {source.place}: {' '.join(str(error).split())}") from error
        except Exception as error:  # of a download: errors of many types
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(
                f"torchvision cannot provide {source.place}: {reason}; put the files that "
                f"torchvision.datasets.{source.place} reads into {folder}"
            ) from error
    raise AssertionError("no split to open")


def _labels(items: Any, source: DataSource) -> Any:
    found = next((getattr(items, name) for name in ("targets", "labels", "_labels") if hasattr(items, name)), None)
    found = [items[row][1] for row in range(len(items))] if found is None or len(found) != len(items) else found
    labels = np.asarray([int(label) if np.ndim(label) == 0 else -1 for label in found], np.int64)
    if not len(labels) or (labels < 0).any():
        raise DataProblems([f"{source.place} has no class for each image; choose a data set for classification"])
    return labels


def _opener(items: Any, row: int) -> "Callable[[], Image]":
    def opened() -> "Image":
        from PIL import Image

        found = items[row][0]
        return found if isinstance(found, Image.Image) else Image.fromarray(np.asarray(found))

    return opened


def _class_names(items: Any, n_classes: int) -> Sequence[str]:
    found = getattr(items, "classes", None) or getattr(items, "categories", None)
    if found is not None and len(found) == n_classes:
        return [" ".join(map(str, name)) if isinstance(name, tuple | list) else str(name) for name in found]
    return [str(label) for label in range(n_classes)]
