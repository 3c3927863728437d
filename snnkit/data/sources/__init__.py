"""Data sets that a space describes: a folder, an .npz file, or a data set of torchvision or tonic by its name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from snnkit.data.images import DataSet
from snnkit.data.sources import folder, npz, tonic, torchvision
from snnkit.data.sources.source import DataSource, Kind


@dataclass(frozen=True)
class Reader:
    """How the files of one kind of source are read.

    ``scan`` returns a text for each file that changes when the file does, by its name; it raises OSError. ``read``
    decodes all files; it raises DataError.
    """

    scan: Callable[[DataSource], Mapping[str, str]]
    read: Callable[[DataSource], DataSet]


READERS: dict[Kind, Reader] = {
    "folder": Reader(folder.scan, folder.read),
    "npz": Reader(npz.scan, npz.read),
    "torchvision": Reader(torchvision.scan, torchvision.read),
    "tonic": Reader(tonic.scan, tonic.read),
}
