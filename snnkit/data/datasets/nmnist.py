"""N-MNIST (Orchard et al. 2015, doi:10.3389/fnins.2015.00437): digits filmed by an event camera in three saccades.

A recording is a file of 5-byte events: x, y, then one bit of polarity and 23 of time in microseconds, big-endian.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snnkit.architecture.plan import Shape
from snnkit.base.config import EVENT_BINS
from snnkit.data.events import Recordings, Words, words
from snnkit.data.images import DataError, DataSet

SHAPE: Shape = (2, 34, 34)  # OFF and ON events
CLASSES = tuple("0123456789")
EVENT_BYTES = 5
BIN_US = 10_000  # 32 bins are 320 ms; of 1,100 recordings the first ends after 297 ms, all but one before 316 ms
OVERFLOW_Y = 240  # no pixel's row: a mark that the clock went on by 2**13 us, as the authors' own reader takes it
OVERFLOW_US = 2**13


@dataclass(frozen=True)
class NMnistFiles:
    """Any part of the recordings works; what lies in a digit's folder is of that digit."""

    folder: str = "NMNIST"
    embedded: bool = False

    @property
    def description(self) -> str:
        archives = "the unpacked archives of https://www.garrickorchard.com/datasets/n-mnist"
        return f"{self.folder}/ with Train/<digit>/*.bin and Test/<digit>/*.bin ({archives})"

    def where(self, root: Path) -> Path:
        """The folder with Train/ and Test/; the data folder itself where the archives were unpacked right there."""
        return root if (root / "Train" / "0").is_dir() else root / self.folder

    def fingerprint(self, root: Path) -> str:
        """Path, and time of change of every folder of recordings: no file is opened."""
        folder = self.where(root)
        watched = [folder / part / digit for part in ("Train", "Test") for digit in CLASSES]
        times = [f"{path.parent.name}/{path.name} {path.stat().st_mtime_ns}" for path in watched if path.exists()]
        return hashlib.sha256("\n".join([str(folder.resolve()), *times]).encode()).hexdigest()

    def read(self, root: Path) -> DataSet:
        return DataSet(_part(self.where(root) / "Train"), _part(self.where(root) / "Test"), CLASSES)


def _part(folder: Path) -> Recordings:
    files = [(path, label) for label, digit in enumerate(CLASSES) for path in sorted((folder / digit).glob("*.bin"))]
    if not files:
        raise DataError(f"{folder}: no recordings 0/*.bin to 9/*.bin; unpack the archive again")
    recordings = np.empty((len(files), *SHAPE), np.uint32)
    for row, (path, _) in enumerate(files):
        recordings[row] = _recording(path)
    return Recordings(recordings, np.array([label for _, label in files], np.int64))


def _recording(path: Path) -> Words:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; unpack the archive again") from error
    if not content or len(content) % EVENT_BYTES:
        raise DataError(
            f"{path}: {len(content):,} bytes, expected a multiple of {EVENT_BYTES}, truncated; unpack the archive again"
        )
    x, y, high, middle, low = np.frombuffer(content, np.uint8).reshape(-1, EVENT_BYTES).T.astype(np.int64)
    time_us = ((high & 127) << 16 | middle << 8 | low) + OVERFLOW_US * np.cumsum(y == OVERFLOW_Y)
    polarity = high >> 7
    real = y != OVERFLOW_Y
    _, height, width = SHAPE
    if (x[real] >= width).any() or (y[real] >= height).any():
        raise DataError(f"{path}: events outside {width}x{height} pixels, no recording of N-MNIST; unpack it again")
    bins = np.minimum(time_us // BIN_US, EVENT_BINS - 1)
    return words(bins[real], ((polarity * height + y) * width + x)[real], SHAPE)
