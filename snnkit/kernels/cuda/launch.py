"""Call the Triton programs on torch's tensors."""

import torch
from torch import Tensor

from snnkit.kernels.cuda import programs
from snnkit.kernels.fused import FusedLayer

TILE_ELEMENTS = 1024  # neurons per program
PIXELS_PER_PROGRAM = 512  # in channel_sums


def channel_sums(values: Tensor) -> Tensor:
    """Implement `Kernels.channel_sums`."""
    channels = values.shape[2]
    pixels = values.numel() // channels
    rows, columns = _tile(channels)
    of_each = min(PIXELS_PER_PROGRAM, pixels)
    grid = (-(-pixels // of_each), -(-channels // columns))
    each = values.new_empty(grid[0], 2, channels, dtype=torch.float64)
    programs.channel_sums[grid](values, each, pixels, channels, of_each, ROWS=rows, COLUMNS=columns)
    return each.sum(0)


def lif_forward(layer: FusedLayer, spikes: Tensor, *, count_spikes: bool) -> Tensor | None:
    """Implement `Kernels.lif_forward`."""
    grid, sizes, kinds = _shape(layer, spikes)
    counts = spikes.new_empty(grid if count_spikes else 0, dtype=torch.int32)
    programs.lif_forward[grid](
        layer.values, *_norm(layer, "scale", "shift"), _channels_of(layer, spikes), counts, *sizes,
        layer.neuron.leak, layer.neuron.threshold, COUNTED=count_spikes, enable_fp_fusion=False, **kinds,
    )  # fmt: skip
    return counts.sum(dtype=torch.float64) if count_spikes else None


def lif_backward(layer: FusedLayer, grad_spikes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Implement `Kernels.lif_backward`."""
    grid, sizes, kinds = _shape(layer, grad_spikes)
    neuron, channels = layer.neuron, layer.values.shape[2]
    grad = torch.empty_like(layer.values)
    each = grad.new_empty(grid[0], 2, channels, dtype=torch.float32)
    leaks = grad.new_empty(grid if layer.learns else 0, dtype=torch.float32)
    programs.lif_backward[grid](
        layer.values, *_norm(layer, "mean", "invstd", "scale", "shift"), _channels_of(layer, grad_spikes), grad, each,
        leaks, *sizes, neuron.leak, neuron.threshold, neuron.slope,
        LEARNS=layer.learns, SURROGATE=neuron.surrogate, enable_fp_fusion=False, **kinds,
    )  # fmt: skip
    return grad, each.sum(0, dtype=torch.float64), leaks.sum(dtype=torch.float64) if layer.learns else None


def batchnorm_backward(layer: FusedLayer, grad: Tensor, means: Tensor) -> None:
    """Implement `Kernels.batchnorm_backward`."""
    channels = grad.shape[2]
    pixels = grad.numel() // channels
    rows, columns = _tile(channels)
    programs.batchnorm_backward[-(-pixels // rows), -(-channels // columns)](
        layer.values, grad, *_norm(layer, "mean", "invstd", "scale"), means.contiguous(), pixels, channels,
        ROWS=rows, COLUMNS=columns,
    )  # fmt: skip


def _shape(layer: FusedLayer, spikes: Tensor) -> tuple[tuple[int, int], tuple[int, ...], dict[str, object]]:
    """The grid, the sizes passed to a program, and the constants that it is compiled for."""
    _, images, pitch, height, width = spikes.shape
    channels, pixels = layer.values.shape[2], images * height * width
    rows, columns = _tile(channels, places=layer.pool**2)
    grid = (-(-pixels // rows), -(-channels // columns))
    in_step, out_step = layer.values[0].numel(), pixels * pitch
    delayed = " delayed" if layer.neuron.reset_delay else ""
    kinds = {
        "NORMED": layer.norm is not None, "STILL": len(layer.values) == 1, "T": layer.timesteps, "POOL": layer.pool,
        "NEURONS": 1 if layer.pool_currents else layer.pool**2, "RESET": layer.neuron.reset + delayed,
        "ROWS": rows, "COLUMNS": columns,
    }  # fmt: skip
    return grid, (pixels, channels, height, width, pitch, in_step, out_step), kinds


def _tile(channels: int, places: int = 1) -> tuple[int, int]:
    """Rows and columns of a tile, powers of two; with all places of a window at most TILE_ELEMENTS elements."""
    columns = min(128, 1 << (channels - 1).bit_length())
    return max(1, TILE_ELEMENTS // (columns * places)), columns


def _norm(layer: FusedLayer, *names: str) -> tuple[Tensor | None, ...]:
    return tuple(None if layer.norm is None else getattr(layer.norm, name) for name in names)


def _channels_of(layer: FusedLayer, spikes: Tensor) -> Tensor:
    """The memory from the layer's first channel to the end; a program steps through it by the pitch."""
    return spikes.as_strided((spikes.numel() - layer.start,), (1,), spikes.storage_offset() + layer.start)
