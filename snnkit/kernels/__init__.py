"""The multi-step LIF neuron, with what stands around it in a network, as one differentiable function.

Which implementation runs is decided here and only here: the fused kernels of the device where they can be used, else
the reference, which is said in the log, once. ``SNNSEARCH_KERNEL=reference`` in the environment asks for the reference.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from snnkit.kernels import native, reference
from snnkit.kernels.current import Current
from snnkit.values import Neuron

__all__ = ["Current", "convolve", "fire", "lif"]


def fire(
    currents: Sequence[Current],
    neuron: Neuron,
    timesteps: int,
    *,
    pool: int = 1,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """The spikes of several layers side by side, after max pooling in windows of ``pool`` x ``pool``.

    Each current is (T', B, C, H, W), T' being ``timesteps``, or 1 where it is the same at every step; its BatchNorm is
    applied first, with the statistics of the batch while that trains. Spikes are (T, B, sum of C, H / pool, W / pool),
    in ``dtype`` or else the dtype of the first current. The membrane starts at 0 and is integrated in float32 at least.

    Raises:
        ValueError: ``pool`` does not divide H and W, or a BatchNorm is trained on one value per channel.
    """
    height, width = currents[0].values.shape[-2:]
    if height % pool or width % pool:
        raise ValueError(f"windows of {pool}x{pool} do not divide {height}x{width}; pool the spikes by themselves")
    dtype = dtype or currents[0].values.dtype
    run = native.fire if native.runs(currents, dtype) else reference.fire
    return run(currents, neuron, timesteps, pool=pool, dtype=dtype)


def lif(current: Tensor, neuron: Neuron, timesteps: int) -> Tensor:
    """Spikes (T, ...) in the dtype of the current, which is (T, ...), or (1, ...) where it is the same at every step.

    The membrane starts at 0 and is integrated in float32 at least.
    """
    run = native.lif if native.runs([Current(current)], current.dtype) else reference.lif
    return run(current, neuron, timesteps)


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C', H', W'), in autocast's dtype where that is on."""
    if native.depthwise.runs(conv, x):
        return native.depthwise.convolve(conv, x, autocast_dtype(x))
    return reference.convolve(conv, x)


def autocast_dtype(x: Tensor) -> torch.dtype:
    """What a convolution of ``x`` works in."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
