"""Read a data set of tonic (recordings of event cameras) by the name of its class."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnkit.data.datasets.torchvision_download import quiet_download
from snnkit.data.images import DataError, DataSet
from snnkit.data.sources import events
from snnkit.data.sources.assembly import assemble
from snnkit.data.sources.library import class_named
from snnkit.data.sources.source import DataSource
from snnkit.data.store_place import data_root

FOLDER = "tonic"  # below the data folder


def scan(source: DataSource) -> dict[str, str]:
    """Return nothing: tonic checks its files, and the digest of the recordings tells one content from another."""
    return {}


def read(source: DataSource) -> DataSet:
    """Return the recordings of the data set, which is downloaded if its files are not there. Raises DataError."""
    try:
        from tonic import datasets
    except ImportError as error:
        raise DataError(f"data.tonic needs the library tonic, which is not installed: {events.INSTALL}") from error
    kind = class_named(source.place, datasets)
    has_parts = "train" in inspect.signature(kind.__init__).parameters
    parts = {"train": _open(kind, {"train": True} if has_parts else {}, source)}
    if has_parts:
        parts["test"] = _open(kind, {"train": False}, source)
    targets = {part: [_target(items, row) for row in range(len(items))] for part, items in parts.items()}
    classes, labels = _labels(kind, targets)
    size = getattr(kind, "sensor_size", None)
    listed = {
        part: [(f"{source.place} {part} recording {row}", _opener(items, row)) for row in range(len(items))]
        for part, items in parts.items()
    }
    sensor = None if size is None or None in size else (int(size[0]), int(size[1]))
    images, notes = events.decode(listed, labels, source, sensor)
    return assemble(images, classes, source, notes)


def _open(kind: type[Any], arguments: dict[str, Any], source: DataSource) -> Any:
    folder = data_root() / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with quiet_download():
            return kind(save_to=str(folder), **arguments)
    except Exception as error:  # of a download: errors of many types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"tonic cannot provide {source.place}: {reason}; put the archive that tonic.datasets.{source.place} reads "
            f"into {folder / source.place}"
        ) from error


def _target(items: Any, row: int) -> Any:
    targets = getattr(items, "targets", None)
    return items[row][1] if targets is None or len(targets) != len(items) else targets[row]


def _labels(kind: type[Any], targets: dict[str, list[Any]]) -> tuple[list[str], dict[str, NDArray[np.int64]]]:
    """Return the class names, and the label of each recording by part."""
    if any(isinstance(target, str) for each in targets.values() for target in each):
        classes = sorted({str(target) for each in targets.values() for target in each})
        label = {name: at for at, name in enumerate(classes)}
        return classes, {part: np.array([label[str(t)] for t in each], np.int64) for part, each in targets.items()}
    labels = {part: np.array([int(target) for target in each], np.int64) for part, each in targets.items()}
    n_classes = max(int(each.max()) for each in labels.values()) + 1
    named = [str(name) for name in getattr(kind, "classes", None) or ()]
    return named if len(named) == n_classes else [str(label) for label in range(n_classes)], labels


def _opener(items: Any, row: int) -> Callable[[], events.Events]:
    def opened() -> events.Events:
        found = items[row][0]
        return events.fields_of({name: found[name] for name in found.dtype.names})

    return opened
