"""Recordings of an event camera, stored as one 32-bit word of time bins per pixel and read as frames."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from snnkit.architecture.plan import Shape
from snnkit.base.config import EVENT_BINS
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


def merge_blocks(recordings: EventBits, side: int) -> EventBits:
    """Shrink recordings (N, C, H, W) to (N, C, side, side): a pixel has an event if its block has one.

    ``side`` must divide H and W.
    """
    count, channels, height, width = recordings.shape
    blocks = recordings.reshape(count, channels, side, height // side, side, width // side)
    smaller: EventBits = np.bitwise_or.reduce(blocks, axis=(3, 5))
    return smaller
