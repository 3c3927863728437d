"""Resize the images of a data set."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snnkit.data.events import Recordings, merge_blocks
from snnkit.data.images import DataSet, Images


def resize_dataset(data: DataSet, side: int) -> DataSet:
    """Return ``data`` with images of ``side`` x ``side`` pixels, in memory.

    If the new side divides the old one, pixels are block means; otherwise they are antialiased bilinear. The events of
    a block are merged into one.
    """
    own = None if data.validation is None else _resize_part(data.validation, side)
    return replace(data, train=_resize_part(data.train, side), test=_resize_part(data.test, side), validation=own)


def _resize_part(part: Images, side: int) -> Images:
    resize = merge_blocks if isinstance(part, Recordings) else _resize_pixels
    return replace(part, array=resize(part.array, side))


def _resize_pixels(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    from PIL import Image

    height, width = images.shape[2:]
    whole_blocks = height % side == 0 and width % side == 0
    method = Image.Resampling.BOX if whole_blocks else Image.Resampling.BILINEAR
    resized = np.empty((*images.shape[:2], side, side), np.uint8)
    for target, source in zip(resized.reshape(-1, side, side), images.reshape(-1, height, width), strict=True):
        target[:] = Image.fromarray(source).resize((side, side), method)
    return resized
