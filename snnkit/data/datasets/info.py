"""The description of a data set: its figures, the reader of its files and its source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from snnkit.architecture.plan import Shape
from snnkit.data.images import DataSet


class Layout(Protocol):
    """The files in which a data set is distributed."""

    @property
    def description(self) -> str:
        """Say which files to put where, below the data folder."""

    @property
    def embedded(self) -> bool:
        """True if an installed package contains the data set: it has no files, and reading takes milliseconds."""

    def location(self, root: Path) -> Path:
        """Return the folder below ``root`` that holds the files. The data set is present if this folder exists."""

    def fingerprint(self, root: Path) -> str:
        """Return a text that changes when the files change. It may be constant if digests fix the content."""

    def read(self, root: Path) -> DataSet:
        """Read the files below ``root``. Raises DataError that names a missing or corrupt file."""


Download = Callable[[Path], DataSet]  # takes an empty scratch folder; raises DataError with the reason if it fails


@dataclass(frozen=True)
class DatasetInfo:
    """All that a search knows about a data set before it opens it."""

    classes: int
    shape: Shape  # (C, H, W)
    train: int  # number of images
    test: int  # number of images
    layout: Layout
    events: bool = False  # recordings of an event camera, not still images
    digests: Mapping[str, str] = field(default_factory=dict)  # from `images.compute_digests`
    downloads: Mapping[str, Download] = field(default_factory=dict)  # label -> download, tried in this order
