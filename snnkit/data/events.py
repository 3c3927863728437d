"""Recordings of an event camera, stored in 32 time bins and read as frames: one bit or one count per bin and pixel."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnkit.architecture.plan import Shape
from snnkit.base.config import EVENT_BINS, MAX_COUNT
from snnkit.data.images import Images

EventBits = NDArray[np.uint32]  # bit b is set if an event fell into time bin b; the first bin is bit 0


@dataclass(frozen=True, eq=False)
class Recordings(Images):
    """Recordings as a view: ``array`` holds event bits (M, C, H, W), one channel per polarity.

    Frames are built when they are read, so any number of time steps shares one array. A pixel of a frame is 1 if an
    event fell into the frame's time bins, and 0 otherwise.
    """

    timesteps: int = EVENT_BINS  # frames per recording

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (T, C, H, W) of one recording."""
        return (self.timesteps, *self.array.shape[1:])

    def rows(self, which: slice | NDArray[np.int64] = slice(None)) -> NDArray[np.uint8]:
        """Return the frames (B, T, C, H, W) of the recordings at ``which``."""
        return to_frames(self._array_rows(which), self.timesteps)


@dataclass(frozen=True, eq=False)
class CountedRecordings(Recordings):
    """Recordings as a view: ``array`` holds counts (M, B, C, H, W) of uint8 in ``B`` = 32 time bins.

    A pixel of a frame is the number of events in the frame's time bins, at most 255.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (T, C, H, W) of one recording."""
        return (self.timesteps, *self.array.shape[2:])

    def rows(self, which: slice | NDArray[np.int64] = slice(None)) -> NDArray[np.uint8]:
        """Return the frames (B, T, C, H, W) of the recordings at ``which``."""
        starts = [step * EVENT_BINS // self.timesteps for step in range(self.timesteps)]
        return _limited(np.add.reduceat(self._array_rows(which), starts, axis=1, dtype=np.uint32))


def to_event_bits(bins: NDArray[np.int64], pixels: NDArray[np.int64], shape: Shape) -> EventBits:
    """Return one recording (C, H, W), given each event's time bin and its index in the flattened array."""
    recording = np.zeros(shape, np.uint32)
    np.bitwise_or.at(recording.reshape(-1), pixels, np.left_shift(1, bins).astype(np.uint32))
    return recording


def to_frames(recordings: EventBits, timesteps: int) -> NDArray[np.uint8]:
    """Turn event bits (B, C, H, W) into frames (B, T, C, H, W) of zeros and ones.

    Each time bin belongs to one frame. If T does not divide 32, frames differ in length by one bin.
    """
    edges = (step * EVENT_BINS // timesteps for step in range(timesteps + 1))
    masks = np.array([(1 << end) - (1 << start) for start, end in pairwise(edges)], np.uint32)
    has_event: NDArray[np.bool_] = (recordings[:, None] & masks[:, None, None, None]) != 0
    return has_event.view(np.uint8)


def to_event_counts(bins: NDArray[np.int64], pixels: NDArray[np.int64], shape: Shape) -> NDArray[np.uint8]:
    """Return one recording (B, C, H, W), given each event's time bin and its index in the flattened (C, H, W)."""
    size = math.prod(shape)
    counts = np.bincount(bins * size + pixels, minlength=EVENT_BINS * size)
    return _limited(counts).reshape(EVENT_BINS, *shape)


def merge_blocks(recordings: NDArray[Any], side: int) -> NDArray[Any]:
    """Shrink recordings (..., H, W) to (..., side, side).

    Of bits (uint32), a pixel has an event if its block has one; counts (uint8) are added, up to 255. Pixel x falls into
    block ``x * side // W``, so blocks differ in size by one pixel if ``side`` does not divide W. ``side`` is at most H
    and W.
    """
    height, width = recordings.shape[-2:]
    rows, columns = ([-(-block * length // side) for block in range(side)] for length in (height, width))
    smaller = np.empty((*recordings.shape[:-2], side, side), recordings.dtype)
    for target, source in zip(smaller, recordings, strict=True):
        if recordings.dtype == np.uint32:
            target[:] = np.bitwise_or.reduceat(np.bitwise_or.reduceat(source, rows, axis=-2), columns, axis=-1)
        else:
            merged = np.add.reduceat(source, rows, axis=-2, dtype=np.uint32)
            target[:] = _limited(np.add.reduceat(merged, columns, axis=-1))
    return smaller


def _limited(counts: NDArray[Any]) -> NDArray[np.uint8]:
    limited: NDArray[np.uint8] = np.minimum(counts, MAX_COUNT).astype(np.uint8)
    return limited
