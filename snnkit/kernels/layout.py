"""Tensors over time as neurons in order of memory, whatever the layout of a step."""

import torch
from torch import Tensor


def dense_order(step: Tensor) -> tuple[int, ...]:
    """The axes of one step from the slowest to the fastest in memory: channels_last stays channels_last."""
    return tuple(sorted(range(step.dim()), key=step.stride, reverse=True))


def flat(x: Tensor, order: tuple[int, ...]) -> Tensor:
    """(T, ...) as (T, N) in order of memory: a view wherever the layout is that one."""
    return x.permute(0, *(axis + 1 for axis in order)).reshape(len(x), -1)


def full(flat: Tensor, shape: torch.Size, order: tuple[int, ...]) -> Tensor:
    """What ``flat`` took apart: (T, N) as (T, ...)."""
    back = sorted(range(len(order)), key=order.__getitem__)
    dense = flat.view(len(flat), *(shape[axis + 1] for axis in order))
    return dense.permute(0, *(axis + 1 for axis in back))


def dense(values: Tensor) -> Tensor:
    """(T, B, C, H, W), each image in channels_last and all of them one after the other."""
    return values.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(values.shape)


def is_strip(values: Tensor) -> bool:
    """Whether it is some channels of a tensor as ``dense`` makes it."""
    _, images, channels, height, width = values.shape
    pitch = values.stride(4)
    pixels = (images * height * width * pitch, height * width * pitch, 1, width * pitch, pitch)
    return pitch >= channels and values.stride() == pixels
