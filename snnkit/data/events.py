"""Recordings of an event camera: kept as one word of time bins for each pixel, read as frames."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from snnkit.architecture.plan import Shape
from snnkit.base.config import EVENT_BINS
from snnkit.data.images import Images

Words = NDArray[np.uint32]  # bit b, the first bin is bit 0: whether an event fell into time bin b


@dataclass(frozen=True, eq=False)
class Recordings(Images):
    """``array`` holds words (M, C, H, W), a channel for each polarity. Frames are made when they are read, so that
    every number of them shares one array; a pixel of a frame is 1 where an event fell into the frame's bins, else 0."""

    timesteps: int = EVENT_BINS  # frames of a recording

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, C, H, W)"""
        return (self.timesteps, *self.array.shape[1:])

    def rows(self, which: slice | NDArray[np.int64] = slice(None)) -> NDArray[np.uint8]:
        """The frames of the recordings at ``which``: (B, T, C, H, W)."""
        return frames(self._stored(which), self.timesteps)


def words(bins: NDArray[np.int64], pixels: NDArray[np.int64], shape: Shape) -> Words:
    """One recording of (C, H, W): its events' time bins, and their pixels as places in the flat array."""
    recording = np.zeros(shape, np.uint32)
    np.bitwise_or.at(recording.reshape(-1), pixels, np.left_shift(1, bins).astype(np.uint32))
    return recording


def frames(recordings: Words, timesteps: int) -> NDArray[np.uint8]:
    """(B, C, H, W) to (B, T, C, H, W). Each bin is in one frame; frames differ by a bin where T does not divide 32."""
    edges = (step * EVENT_BINS // timesteps for step in range(timesteps + 1))
    masks = np.array([(1 << end) - (1 << start) for start, end in pairwise(edges)], np.uint32)
    seen: NDArray[np.bool_] = (recordings[:, None] & masks[:, None, None, None]) != 0
    return seen.view(np.uint8)


def joined(recordings: Words, side: int) -> Words:
    """(N, C, H, W) to (N, C, side, side), where ``side`` divides H and W: an event where the block has one."""
    count, channels, height, width = recordings.shape
    blocks = recordings.reshape(count, channels, side, height // side, side, width // side)
    smaller: Words = np.bitwise_or.reduce(blocks, axis=(3, 5))
    return smaller
