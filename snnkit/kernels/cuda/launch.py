"""Calls of the Triton programs on torch's tensors."""

import torch
from torch import Tensor

from snnkit.kernels.cuda import programs
from snnkit.kernels.fused import Part

ELEMENTS = 1024  # of a program's tile
PIXELS = 512  # of a program that adds up channels


def channel_sums(values: Tensor) -> Tensor:
    channels = values.shape[2]
    pixels = values.numel() // channels
    rows, columns = _tile(channels)
    of_each = min(PIXELS, pixels)
    grid = (-(-pixels // of_each), -(-channels // columns))
    each = values.new_empty(grid[0], 2, channels, dtype=torch.float64)
    programs.channel_sums[grid](values, each, pixels, channels, of_each, ROWS=rows, COLUMNS=columns)
    return each.sum(0)


def fire(part: Part, spikes: Tensor, *, counted: bool) -> Tensor | None:
    grid, sizes, kinds = _shape(part, spikes)
    counts = spikes.new_empty(grid if counted else 0, dtype=torch.int32)
    programs.fire[grid](
        part.values, *_norm(part, "scale", "shift"), _channels_of(part, spikes), counts, *sizes,
        part.neuron.leak, part.neuron.threshold, COUNTED=counted, enable_fp_fusion=False, **kinds,
    )  # fmt: skip
    return counts.sum(dtype=torch.float64) if counted else None


def fire_back(part: Part, grad_spikes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    grid, sizes, kinds = _shape(part, grad_spikes)
    neuron, channels = part.neuron, part.values.shape[2]
    grad = torch.empty_like(part.values)
    each = grad.new_empty(grid[0], 2, channels, dtype=torch.float32)
    leaks = grad.new_empty(grid if part.learns else 0, dtype=torch.float32)
    programs.fire_back[grid](
        part.values, *_norm(part, "mean", "invstd", "scale", "shift"), _channels_of(part, grad_spikes), grad, each,
        leaks, *sizes, neuron.leak, neuron.threshold, neuron.slope,
        LEARNS=part.learns, SURROGATE=neuron.surrogate, enable_fp_fusion=False, **kinds,
    )  # fmt: skip
    return grad, each.sum(0, dtype=torch.float64), leaks.sum(dtype=torch.float64) if part.learns else None


def norm_back(part: Part, grad: Tensor, means: Tensor) -> None:
    channels = grad.shape[2]
    pixels = grad.numel() // channels
    rows, columns = _tile(channels)
    programs.norm_back[-(-pixels // rows), -(-channels // columns)](
        part.values, grad, *_norm(part, "mean", "invstd", "scale"), means.contiguous(), pixels, channels,
        ROWS=rows, COLUMNS=columns,
    )  # fmt: skip


def _shape(part: Part, spikes: Tensor) -> tuple[tuple[int, int], tuple[int, ...], dict[str, object]]:
    """The grid, the sizes that a program is given, and what it is compiled for."""
    _, images, pitch, height, width = spikes.shape
    channels, pixels = part.values.shape[2], images * height * width
    rows, columns = _tile(channels, places=part.pool**2)
    grid = (-(-pixels // rows), -(-channels // columns))
    in_step, out_step = part.values[0].numel(), pixels * pitch
    delayed = " delayed" if part.neuron.reset_delay else ""
    kinds = {
        "NORMED": part.norm is not None, "STILL": len(part.values) == 1, "T": part.timesteps, "POOL": part.pool,
        "NEURONS": 1 if part.of_currents else part.pool**2, "RESET": part.neuron.reset + delayed,
        "ROWS": rows, "COLUMNS": columns,
    }  # fmt: skip
    return grid, (pixels, channels, height, width, pitch, in_step, out_step), kinds


def _tile(channels: int, places: int = 1) -> tuple[int, int]:
    """Rows and columns, both powers of two, of at most ELEMENTS with all places of a window."""
    columns = min(128, 1 << (channels - 1).bit_length())
    return max(1, ELEMENTS // (columns * places)), columns


def _norm(part: Part, *names: str) -> tuple[Tensor | None, ...]:
    return tuple(None if part.norm is None else getattr(part.norm, name) for name in names)


def _channels_of(part: Part, spikes: Tensor) -> Tensor:
    """From the part's first channel on, to the end of memory: a program knows the pitch."""
    return spikes.as_strided((spikes.numel() - part.start,), (1,), spikes.storage_offset() + part.start)
