"""What is known about a data set without opening it, and how it is read and fetched."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from snnkit.architecture.plan import Shape
from snnkit.data.images import DataSet


class Layout(Protocol):
    """The files a data set usually lies in."""

    @property
    def description(self) -> str:
        """What to put where, below the data folder."""

    @property
    def embedded(self) -> bool:
        """No files: it comes with a package, and reading it takes milliseconds."""

    def where(self, root: Path) -> Path:
        """The folder that holds the files: they are there when it is."""

    def fingerprint(self, root: Path) -> str:
        """Changes when the files do; constant where digests fix what they hold."""

    def read(self, root: Path) -> DataSet:
        """Raises DataError that names the file which is absent or broken."""


Download = Callable[[Path], DataSet]  # an empty scratch folder in, the data set out; DataError says why not


@dataclass(frozen=True)
class Entry:
    classes: int
    shape: Shape  # (C, H, W)
    train: int  # images
    test: int  # images
    layout: Layout
    events: bool = False  # recordings of an event camera, not still images
    digests: Mapping[str, str] = field(default_factory=dict)  # as `images.digests` makes them
    downloads: Mapping[str, Download] = field(default_factory=dict)  # tried in this order
