"""Images at another resolution."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snnkit.data.events import Recordings, joined
from snnkit.data.images import DataSet, Images


def resized(data: DataSet, side: int) -> DataSet:
    """``data`` with images of ``side`` x ``side`` pixels, in memory.

    Means of blocks where the new side divides the old, else antialiased bilinear; events of a block are joined.
    """
    return replace(data, train=_at(side, data.train), test=_at(side, data.test))


def _at(side: int, part: Images) -> Images:
    return replace(part, array=(joined if isinstance(part, Recordings) else _pixels)(part.array, side))


def _pixels(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = images.shape[2:]
    blocks = height % side == 0 and width % side == 0
    kind = Image.Resampling.BOX if blocks else Image.Resampling.BILINEAR
    small = np.empty((*images.shape[:2], side, side), np.uint8)
    for target, source in zip(small.reshape(-1, side, side), images.reshape(-1, height, width), strict=True):
        target[:] = Image.fromarray(source).resize((side, side), kind)
    return small
