"""The multi-step LIF neuron, fused with the BatchNorm before it and the concatenation and pooling after it; and the
BatchNorm of CNNs.

This module alone selects the implementation: the device's fused kernels if they can be used, otherwise the reference.
The log names the selection once. ``SNNSEARCH_KERNEL=reference`` in the environment forces the reference.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from snnkit.base.config import NeuronConfig
from snnkit.kernels import cuda, fused, native, reference
from snnkit.kernels.current import Current, Spikes

__all__ = [
    "Current",
    "Spikes",
    "autocast_dtype",
    "batchnorm",
    "convolve",
    "fused_lif",
    "input_current",
    "lif",
    "prepare",
    "spikes_per_position",
]


def prepare(device: str) -> str:
    """Compile the kernels of ``device`` if necessary. Return what will run: native, triton or reference."""
    if device == "cpu":
        return "native" if native.ready() else "reference"
    return "triton" if cuda.usable() is not None else "reference"


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve (N, C, H, W) to (N, C', H', W'), in autocast's dtype if it is enabled."""
    if native.depthwise.runs(conv, x):
        return native.depthwise.convolve(conv, x, autocast_dtype(x))
    return reference.convolve(conv, x)


def batchnorm(values: Tensor, norm: nn.BatchNorm2d, *, relu: bool) -> Tensor:
    """Normalise a convolution's output (T', B, C, H, W) as ``norm`` does, and apply a ReLU if ``relu``.

    In training mode, the running statistics are updated as in torch. Raises ``ValueError`` if a batch has only one
    value per channel.
    """
    if norm.training and native.runs(values):
        return native.batchnorm(values, norm, relu=relu)
    y: Tensor = norm(values.flatten(0, 1)).view(values.shape)
    return y.relu() if relu else y


def input_current(values: Tensor, norm: nn.BatchNorm2d | None) -> Current:
    """Return a convolution's output (T', B, C, H, W) as an input current, with the statistics of its BatchNorm.

    In training mode they are the batch's, and the running statistics are updated as in torch. Raises ``ValueError`` if
    a batch has only one value per channel.
    """
    kernels = _fused(values)
    return reference.input_current(values, norm) if kernels is None else fused.input_current(kernels, values, norm)


def fused_lif(
    currents: Sequence[Current],
    neuron: NeuronConfig,
    timesteps: int,
    *,
    pool: int = 1,
    pool_currents: bool = False,
    dtype: torch.dtype | None = None,
    count_spikes: bool = False,
) -> Spikes:
    """Return the spikes of several layers, concatenated and max-pooled in windows of ``pool`` x ``pool``.

    With ``pool_currents``, the currents are pooled instead: each window has one neuron, and its largest current drives
    the neuron at each step. A current is (T', B, C, H, W); T' is ``timesteps``, or 1 if it is the same at every step. A
    current's own ``leak`` replaces the neuron's and gets a gradient. Spikes are (T, B, sum of C, H / pool, W / pool) in
    ``dtype``, by default the dtype of the first current. ``count_spikes`` also counts them per layer, before pooling.
    The membrane starts at 0 and is integrated at least in float32.

    Raises ``ValueError`` if ``pool`` does not divide H and W.
    """
    first = currents[0].values
    height, width = first.shape[-2:]
    if height % pool or width % pool:
        raise ValueError(f"given pool {pool} for {height}x{width}, which it does not divide; pool the spikes instead")
    kernels = _fused(*(each.values for each in currents), timesteps=timesteps, pool=pool)
    run = reference.fused_lif if kernels is None else partial(fused.fused_lif, kernels)
    dtype = dtype or first.dtype
    return run(
        currents, neuron, timesteps, pool=pool, dtype=dtype, count_spikes=count_spikes, pool_currents=pool_currents
    )


def lif(values: Tensor, neuron: NeuronConfig, timesteps: int, leak: Tensor | None = None) -> Tensor:
    """Return the spikes (T, ...) for currents (T, ...), or for a current (1, ...) that is the same at every step.

    A given ``leak``, a scalar, replaces the neuron's and gets a gradient. Spikes have the dtype of the current. The
    membrane starts at 0 and is integrated at least in float32.
    """
    kernels = _fused(values, timesteps=timesteps)
    run = reference.lif if kernels is None else partial(fused.lif, kernels)
    return run(values, neuron, timesteps, leak)


def spikes_per_position(values: Tensor, scale: int = 1, most: int = 1) -> Tensor:
    """Count the spikes at each position: (T, B, C, H, W) to (H, W), exact, in float64.

    Each value is a sum of up to ``most`` spikes, divided by ``scale``. A ``scale`` of 0 counts nonzero values instead.
    bfloat16 is exact as long as no value sums more than 255 spikes.
    """
    run = native.spikes_per_position if native.runs(values) else reference.spikes_per_position
    return run(values, scale, most)


def _fused(*values: Tensor, timesteps: int = 1, pool: int = 1) -> fused.Kernels | None:
    """The fused kernels that accept all of ``values``; None if the reference must run."""
    if all(native.runs(each) for each in values):
        return native
    found = [cuda.kernels(each, timesteps, pool) for each in values]
    return None if None in found else found[0]


def autocast_dtype(x: Tensor) -> torch.dtype:
    """The dtype in which a convolution of ``x`` computes."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
