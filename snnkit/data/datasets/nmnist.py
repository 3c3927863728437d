"""N-MNIST (Orchard et al. 2015, doi:10.3389/fnins.2015.00437): digits recorded by an event camera in three saccades.

A recording is a file of 5-byte events: x, y, then 1 bit of polarity and 23 bits of time in microseconds, big-endian.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnkit.architecture.plan import Shape
from snnkit.base.config import EVENT_BINS
from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.datasets.torchvision_download import archive_download
from snnkit.data.events import EventBits, Recordings, to_event_bits
from snnkit.data.images import DataError, DataSet

SHAPE: Shape = (2, 34, 34)  # channels: OFF and ON events
CLASSES = tuple("0123456789")
FILES = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files"
ARCHIVES = {  # address -> MD5, as in tonic 1.7: Train/ and Test/
    f"{FILES}/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded": "20959b8e626244a1b502305a9e6e2031",
    f"{FILES}/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded": "69ca8762b2fe404d9b9bad1103e97832",
}
EVENT_BYTES = 5
BIN_US = 10_000  # 32 bins last 320 ms; 1,100 recordings ended after 297 ms or more, all but one before 316 ms
OVERFLOW_Y = 240  # not a row of pixels: it marks a clock overflow, as in the authors' reader
OVERFLOW_US = 2**13  # the clock advances by this at each overflow


@dataclass(frozen=True)
class NMnistFiles:
    """The unpacked archives. The folder of a recording is its label, and any subset of the recordings works."""

    folder: str = "NMNIST"
    embedded: bool = False

    @property
    def description(self) -> str:
        archives = "the unpacked archives of https://www.garrickorchard.com/datasets/n-mnist"
        return f"{self.folder}/ with Train/<digit>/*.bin and Test/<digit>/*.bin ({archives})"

    def location(self, root: Path) -> Path:
        """Return the folder of Train/ and Test/: ``root`` itself if the archives were unpacked there."""
        return root if (root / "Train" / "0").is_dir() else root / self.folder

    def fingerprint(self, root: Path) -> str:
        """Hash the path and the modification time of every folder of recordings. No file is opened."""
        folder = self.location(root)
        watched = [folder / part / digit for part in ("Train", "Test") for digit in CLASSES]
        times = [f"{path.parent.name}/{path.name} {path.stat().st_mtime_ns}" for path in watched if path.exists()]
        return hashlib.sha256("\n".join([str(folder.resolve()), *times]).encode()).hexdigest()

    def read(self, root: Path) -> DataSet:
        return DataSet(_read_part(self.location(root) / "Train"), _read_part(self.location(root) / "Test"), CLASSES)


def _read_part(folder: Path) -> Recordings:
    files = [
        (path, label) for label, digit in enumerate(CLASSES) for path in sorted((folder / digit).glob("[!.]*.bin"))
    ]
    if not files:
        raise DataError(f"{folder}: no recordings 0/*.bin to 9/*.bin; unpack the archive again")
    recordings = np.empty((len(files), *SHAPE), np.uint32)
    for row, (path, _) in enumerate(files):
        recordings[row] = _read_recording(path)
    return Recordings(recordings, np.array([label for _, label in files], np.int64))


def read_events(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return x, y, time in microseconds and polarity of the events in a file of 5-byte events. Raises DataError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; unpack the archive again") from error
    if not content or len(content) % EVENT_BYTES:
        raise DataError(
            f"{path}: {len(content):,} bytes, expected a multiple of {EVENT_BYTES}, truncated; unpack the archive again"
        )
    x, y, high, middle, low = np.frombuffer(content, np.uint8).reshape(-1, EVENT_BYTES).T.astype(np.int64)
    times_us = ((high & 127) << 16 | middle << 8 | low) + OVERFLOW_US * np.cumsum(y == OVERFLOW_Y)
    is_event = y != OVERFLOW_Y
    return x[is_event], y[is_event], times_us[is_event], (high >> 7)[is_event]


def _read_recording(path: Path) -> EventBits:
    x, y, times_us, polarity = read_events(path)
    _, height, width = SHAPE
    if (x >= width).any() or (y >= height).any():
        raise DataError(f"{path}: events outside {width}x{height} pixels, not an N-MNIST recording; unpack it again")
    bins = np.minimum(times_us // BIN_US, EVENT_BINS - 1)
    return to_event_bits(bins, (polarity * height + y) * width + x, SHAPE)


NMNIST = DatasetInfo(
    classes=10,
    shape=SHAPE,
    train=60_000,
    test=10_000,
    layout=NMnistFiles(),
    events=True,
    downloads={"the authors' archives": archive_download(ARCHIVES, NMnistFiles())},
)
