"""The multi-step LIF neuron, with what stands around it in a network, as one differentiable function.

Which implementation runs is decided here and only here: the fused kernels of the device where they can be used, else
the reference, which is said in the log, once. ``SNNSEARCH_KERNEL=reference`` in the environment asks for the reference.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from snnkit.base.config import NeuronConfig
from snnkit.kernels import cuda, fused, native, reference
from snnkit.kernels.current import Current, Spikes

__all__ = ["Current", "Spikes", "arrivals", "autocast_dtype", "convolve", "drive", "fire", "lif", "prepare"]


def prepare(device: str) -> str:
    """Compiles what ``device`` needs, where that was not done before; what will run: native, triton or reference."""
    if device == "cpu":
        return "native" if native.ready() else "reference"
    return "triton" if cuda.usable() is not None else "reference"


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C', H', W'), in autocast's dtype where that is on."""
    if native.depthwise.runs(conv, x):
        return native.depthwise.convolve(conv, x, autocast_dtype(x))
    return reference.convolve(conv, x)


def drive(values: Tensor, norm: nn.BatchNorm2d | None) -> Current:
    """A convolution's output (T', B, C, H, W) as a current, with what its BatchNorm does to it.

    While the BatchNorm trains that follows the statistics of the batch, and its running ones follow as in torch. Raises
    ``ValueError`` where it is to train on one value per channel.
    """
    kernels = _fused(values)
    return reference.drive(values, norm) if kernels is None else fused.drive(kernels, values, norm)


def fire(
    currents: Sequence[Current],
    neuron: NeuronConfig,
    timesteps: int,
    *,
    pool: int = 1,
    of_currents: bool = False,
    dtype: torch.dtype | None = None,
    counted: bool = False,
) -> Spikes:
    """The spikes of several layers side by side, after max pooling in windows of ``pool`` x ``pool``; or, where it is
    ``of_currents``, the spikes of one neuron a window, which its largest current drives at each step.

    Each current is (T', B, C, H, W), T' being ``timesteps``, or 1 where it is the same at every step; a ``leak`` of its
    own stands for the neuron's and gets a gradient. Spikes are (T, B, sum of C, H / pool, W / pool), in ``dtype`` or
    else the dtype of the first current, and ``counted`` where asked for. The membrane starts at 0 and is integrated in
    float32 at least.

    Raises ``ValueError`` where ``pool`` does not divide H and W.
    """
    first = currents[0].values
    height, width = first.shape[-2:]
    if height % pool or width % pool:
        raise ValueError(f"windows of {pool}x{pool} do not divide {height}x{width}; pool the spikes by themselves")
    kernels = _fused(*(each.values for each in currents), timesteps=timesteps, pool=pool)
    run = reference.fire if kernels is None else partial(fused.fire, kernels)
    dtype = dtype or first.dtype
    return run(currents, neuron, timesteps, pool=pool, dtype=dtype, counted=counted, of_currents=of_currents)


def lif(values: Tensor, neuron: NeuronConfig, timesteps: int, leak: Tensor | None = None) -> Tensor:
    """Spikes (T, ...) in the dtype of the current, which is (T, ...), or (1, ...) where it is the same at every step.

    ``leak``, a number, stands for the neuron's where it is given, and gets a gradient. The membrane starts at 0 and is
    integrated in float32 at least.
    """
    kernels = _fused(values, timesteps=timesteps)
    run = reference.lif if kernels is None else partial(fused.lif, kernels)
    return run(values, neuron, timesteps, leak)


def arrivals(values: Tensor, scale: int = 1, most: int = 1) -> Tensor:
    """How many spikes arrive at each position, (H, W), exact in float64: each of the values (T, B, C, H, W) is a sum of
    up to ``most`` spikes, divided by ``scale``. With ``scale`` 0: how many of the values are not 0.

    From bfloat16 too, as long as no value sums more than 255 spikes.
    """
    run = native.arrivals if native.runs(values) else reference.arrivals
    return run(values, scale, most)


def _fused(*values: Tensor, timesteps: int = 1, pool: int = 1) -> fused.Kernels | None:
    """Those that can take all of ``values``; None: the reference must."""
    if all(native.runs(each) for each in values):
        return native
    found = [cuda.kernels(each, timesteps, pool) for each in values]
    return None if None in found else found[0]


def autocast_dtype(x: Tensor) -> torch.dtype:
    """What a convolution of ``x`` works in."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
