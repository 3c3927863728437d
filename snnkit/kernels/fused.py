"""BatchNorm, LIF over T steps, concatenation and max pooling as one differentiable function, on any device's kernels.

The forward pass keeps only the convolutions' outputs; the backward pass integrates the membranes again.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snnkit.base.config import NeuronConfig
from snnkit.kernels.current import Current, Spikes, Statistics, current_with_statistics, with_leak
from snnkit.kernels.layout import dense, dense_order, flat, full


class FoldedBatchNorm(NamedTuple):
    """BatchNorm in the form that the kernels read, (C,) each, in float32."""

    mean: Tensor
    invstd: Tensor
    scale: Tensor
    shift: Tensor

    @classmethod
    def of(cls, found: Statistics, weight: Tensor, bias: Tensor) -> "FoldedBatchNorm":
        """Fold statistics, weight and bias (C,)."""
        return cls(found.mean, found.invstd, *found.scale_and_shift(weight.detach(), bias.detach()))


class FusedLayer(NamedTuple):
    """One of the layers whose spikes are concatenated."""

    values: Tensor  # (T', B, C, H, W), in the layout of ``dense``
    norm: FoldedBatchNorm | None
    neuron: NeuronConfig  # with the layer's leak
    learns: bool  # whether the leak gets a gradient
    timesteps: int
    pool: int
    pool_currents: bool  # pool the currents of a window, for one neuron; otherwise pool spikes
    start: int  # index of its first channel in the spikes


class Kernels(Protocol):
    """The kernels of a device. Spikes and their gradients are (T, B, channels, H / pool, W / pool), dense."""

    def channel_sums(self, values: Tensor) -> Tensor:
        """Sum and sum of squares of each channel, (2, C) in float64."""

    def lif_forward(self, layer: FusedLayer, spikes: Tensor, *, count_spikes: bool) -> Tensor | None:
        """Write the layer's channels of ``spikes``. Return their number before pooling if ``count_spikes``."""

    def lif_backward(self, layer: FusedLayer, grad_spikes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Gradients of the normalised values; of BatchNorm's weight and bias, (2, C) in float64; and of the leak, a
        float64 scalar, if the layer learns it."""

    def batchnorm_backward(self, layer: FusedLayer, grad: Tensor, means: Tensor) -> None:
        """Propagate ``grad`` through BatchNorm with the batch's statistics, in place. ``means``, (2, C) in float32: the
        batch means of gradient * normalised value and of the gradient."""


def input_current(kernels: Kernels, values: Tensor, norm: nn.BatchNorm2d | None) -> Current:
    """Implement ``snnkit.kernels.input_current``, in channels_last."""
    return current_with_statistics(dense(values), norm, kernels.channel_sums)


def fused_lif(
    kernels: Kernels, currents: Sequence[Current], neuron: NeuronConfig, timesteps: int, *, pool: int,
    dtype: torch.dtype, count_spikes: bool, pool_currents: bool = False,
) -> Spikes:  # fmt: skip
    """Implement ``snnkit.kernels.fused_lif``; the spikes are in channels_last."""
    tensors: list[Tensor | None] = []
    for values, norm, leak in currents:
        tensors += [dense(values), None if norm is None else norm.weight, None if norm is None else norm.bias, leak]
    statistics = tuple(None if current.norm is None else current.norm.statistics for current in currents)
    given = _Arguments(kernels, neuron, timesteps, pool, pool_currents and pool > 1, dtype, count_spikes, statistics)
    spikes, counts = _FusedLIF.apply(given, *tensors)
    return Spikes(spikes, counts)


def lif(kernels: Kernels, values: Tensor, neuron: NeuronConfig, timesteps: int, leak: Tensor | None = None) -> Tensor:
    """Implement ``snnkit.kernels.lif``, in the memory layout of the current."""
    order = dense_order(values[0])
    pixels = flat(values, order)[:, None, None, :, None]  # one image of one channel
    current = Current(pixels, leak=leak)
    spikes, _ = fused_lif(kernels, [current], neuron, timesteps, pool=1, dtype=values.dtype, count_spikes=False)
    return full(spikes[:, 0, 0, :, 0], torch.Size((timesteps, *values.shape[1:])), order)


class _Arguments(NamedTuple):
    """Arguments of the differentiable function that are not tensors."""

    kernels: Kernels
    neuron: NeuronConfig
    timesteps: int
    pool: int
    pool_currents: bool
    dtype: torch.dtype
    count_spikes: bool
    statistics: tuple[Statistics | None, ...]  # by layer; None without BatchNorm


class _FusedLIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: _Arguments, *tensors: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """``tensors``: values, weight, bias and leak of each layer; None without a BatchNorm or a learned leak."""
        ctx.given = given
        ctx.save_for_backward(*tensors)
        layers = list(_fused_layers(given, tensors))
        _, images, _, height, width = layers[0].values.shape
        channels = sum(layer.values.shape[2] for layer in layers)
        shape = (channels, height // given.pool, width // given.pool)
        spikes = torch.empty(
            given.timesteps * images, *shape,
            dtype=given.dtype, device=layers[0].values.device, memory_format=torch.channels_last,
        ).view(given.timesteps, images, *shape)  # fmt: skip
        counts = [given.kernels.lif_forward(layer, spikes, count_spikes=given.count_spikes) for layer in layers]
        if not given.count_spikes:
            return spikes, None
        stacked = torch.stack([count for count in counts if count is not None])
        ctx.mark_non_differentiable(stacked)
        return spikes, stacked

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spikes: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        given: _Arguments = ctx.given
        grad_spikes = dense(grad_spikes)
        grads: list[Tensor | None] = [None]
        for layer, found in zip(_fused_layers(given, ctx.saved_tensors), given.statistics, strict=True):
            grad, sums, leak = given.kernels.lif_backward(layer, grad_spikes)
            weight = bias = None
            if found is not None:
                if found.of_batch:
                    count = layer.values.numel() // layer.values.shape[2]
                    given.kernels.batchnorm_backward(layer, grad, (sums / count).float())
                else:
                    assert layer.norm is not None
                    grad.mul_(layer.norm.scale[:, None, None])
                weight, bias = sums.float()
            grads += [grad, weight, bias, None if leak is None else leak.float()]
        return tuple(grads)


def _fused_layers(given: _Arguments, tensors: Sequence[Tensor | None]) -> Iterator[FusedLayer]:
    start = 0
    for values, weight, bias, leak, found in zip(*(tensors[at::4] for at in range(4)), given.statistics, strict=True):
        assert values is not None
        neuron = with_leak(given.neuron, leak)
        norm = None
        if weight is not None and bias is not None and found is not None:
            norm = FoldedBatchNorm.of(found, weight, bias)
        yield FusedLayer(
            values, norm, neuron, leak is not None, given.timesteps, given.pool, given.pool_currents, start
        )
        start += values.shape[2]
