"""View tensors over time as rows of neurons in memory order, for any memory layout of a step."""

import torch
from torch import Tensor


def dense_order(step: Tensor) -> tuple[int, ...]:
    """The axes of one step, from the slowest to the fastest in memory."""
    return tuple(sorted(range(step.dim()), key=step.stride, reverse=True))


def flat(x: Tensor, order: tuple[int, ...]) -> Tensor:
    """Reshape (T, ...) to (T, N) in memory order; a view if the memory has that order."""
    return x.permute(0, *(axis + 1 for axis in order)).reshape(len(x), -1)


def full(flat: Tensor, shape: torch.Size, order: tuple[int, ...]) -> Tensor:
    """Undo ``flat``: (T, N) to (T, ...)."""
    back = sorted(range(len(order)), key=order.__getitem__)
    dense = flat.view(len(flat), *(shape[axis + 1] for axis in order))
    return dense.permute(0, *(axis + 1 for axis in back))


def dense(values: Tensor) -> Tensor:
    """Return (T, B, C, H, W) with each image in channels_last and all images contiguous."""
    return values.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(values.shape)


def is_strip(values: Tensor) -> bool:
    """Whether ``values`` are adjacent channels of a tensor in the layout of ``dense``."""
    _, images, channels, height, width = values.shape
    pitch = values.stride(4)
    pixels = (images * height * width * pitch, height * width * pitch, 1, width * pitch, pitch)
    return pitch >= channels and values.stride() == pixels
