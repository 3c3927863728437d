"""A data set of the user's own: a `DatasetInfo`, or a function that returns arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.plugins.sources import PluginError
from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.images import DataSet, Images

KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class FromFunction:
    """The layout of a data set that a function returns. Every process calls the function once."""

    function: Callable[[], Any]
    name: str
    embedded: bool = True

    @property
    def description(self) -> str:
        return f"nothing: {self.name} makes it"

    def location(self, root: Path) -> Path:
        return root

    def fingerprint(self, root: Path) -> str:
        return ""

    def read(self, root: Path) -> DataSet:
        return _data_of(self.name, self.function)


def as_dataset(name: str, given: Any) -> DatasetInfo:
    """Return the description of a data set. A function is called to learn its sizes. Raises PluginError."""
    if isinstance(given, DatasetInfo):
        return given
    if not callable(given):
        raise PluginError(
            f"{name} is a {type(given).__name__}; a data set is a function that returns {{{', '.join(KEYS)}}}, or a "
            "snnsearch.DatasetInfo"
        )
    try:
        data = _data_of(name, given)
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"{name} failed: {type(error).__name__}: {error}") from error
    channels, height, width = data.train.shape
    return DatasetInfo(
        classes=len(data.classes),
        shape=(channels, height, width),
        train=len(data.train),
        test=len(data.test),
        layout=FromFunction(given, name),
    )


@lru_cache(maxsize=4)
def _data_of(name: str, function: Callable[[], Any]) -> DataSet:
    """Call ``function``, once in a process: jobs, candidates and trainings ask for its images again and again."""
    return _as_data(name, function())


def _as_data(name: str, given: Any) -> DataSet:
    """Check what a function returned: a DataSet, or a mapping of arrays with the keys of ``KEYS``, and ``classes``."""
    if isinstance(given, DataSet):
        return given
    if not isinstance(given, Mapping) or not set(KEYS) <= set(given):
        raise PluginError(
            f"{name} returned a {type(given).__name__}; return a mapping with {', '.join(KEYS)}, and with classes if "
            "they have names"
        )
    parts = [_images(name, part, given[f"x_{part}"], given[f"y_{part}"]) for part in ("train", "test")]
    labels = np.concatenate([part.labels for part in parts])
    names = given.get("classes")
    classes = tuple(map(str, names)) if names is not None else tuple(str(label) for label in range(labels.max() + 1))
    if labels.min() < 0 or labels.max() >= len(classes):
        raise PluginError(
            f"{name}: labels are {labels.min()} to {labels.max()}; with {len(classes)} classes, write 0 to "
            f"{len(classes) - 1}"
        )
    if parts[0].shape != parts[1].shape:
        raise PluginError(f"{name}: x_train has images of shape {parts[0].shape}, x_test of {parts[1].shape}")
    return DataSet(train=parts[0], test=parts[1], classes=classes)


def _images(name: str, part: str, images: Any, labels: Any) -> Images:
    x: NDArray[Any] = np.asarray(images)
    y: NDArray[Any] = np.asarray(labels)
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1] not in (1, 2, 3):
        raise PluginError(
            f"{name}: x_{part} has the type {x.dtype} and the shape {x.shape}; it must be uint8, 0..255, of shape "
            "(images, channels, height, width) with 1 to 3 channels"
        )
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer) or len(y) != len(x) or not len(y):
        raise PluginError(
            f"{name}: y_{part} has the type {y.dtype} and the shape {y.shape}; it must hold {len(x)} integers"
        )
    return Images(np.ascontiguousarray(x), y.astype(np.int64))
