"""BatchNorm, LIF over T steps, concatenation and max pooling as one differentiable function, whoever computes it.

Of a forward pass only the convolutions' outputs are kept: the backward pass integrates the membranes anew.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snnkit.base.config import NeuronConfig
from snnkit.kernels.current import Current, Spikes, Statistics, driven, learned
from snnkit.kernels.layout import dense, dense_order, flat, full


class Folded(NamedTuple):
    """BatchNorm as the kernels read it, (C,) each, in float32."""

    mean: Tensor
    invstd: Tensor
    scale: Tensor
    shift: Tensor


class Part(NamedTuple):
    """One layer of those whose spikes lie side by side."""

    values: Tensor  # (T', B, C, H, W), as ``dense`` makes it
    norm: Folded | None
    neuron: NeuronConfig  # with the layer's leak
    learns: bool  # whether that gets a gradient
    timesteps: int
    pool: int
    of_currents: bool  # whether the maximum is of a window's currents, which drive one neuron
    start: int  # of its channels among those of the spikes


class Kernels(Protocol):
    """What a device's kernels do; spikes and their gradients are (T, B, channels, H / pool, W / pool), dense."""

    def channel_sums(self, values: Tensor) -> Tensor:
        """Of each channel the sum and the sum of squares (2, C) in float64."""

    def fire(self, part: Part, spikes: Tensor, *, counted: bool) -> Tensor | None:
        """Writes the part's channels of ``spikes``: how many there were before pooling, where asked for."""

    def fire_back(self, part: Part, grad_spikes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The gradients of the normalised values, and in float64 what BatchNorm's weight and bias get (2, C), and what
        the leak gets, a number, where the part learns it."""

    def norm_back(self, part: Part, grad: Tensor, means: Tensor) -> None:
        """Through BatchNorm, in place. ``means`` (2, C) in float32: over the batch, of gradient * normalised value and
        of the gradient; 0 where the statistics were not the batch's."""


def drive(kernels: Kernels, values: Tensor, norm: nn.BatchNorm2d | None) -> Current:
    """As ``snnkit.kernels.drive``, in channels_last."""
    return driven(dense(values), norm, kernels.channel_sums)


def fire(
    kernels: Kernels, currents: Sequence[Current], neuron: NeuronConfig, timesteps: int, *, pool: int,
    dtype: torch.dtype, counted: bool, of_currents: bool = False,
) -> Spikes:  # fmt: skip
    """As ``snnkit.kernels.fire``; the spikes are in channels_last."""
    parts: list[Tensor | None] = []
    for values, norm, leak in currents:
        parts += [dense(values), None if norm is None else norm.weight, None if norm is None else norm.bias, leak]
    found = tuple(None if current.norm is None else current.norm.found for current in currents)
    given = _Given(kernels, neuron, timesteps, pool, of_currents and pool > 1, dtype, counted, found)
    spikes, fired = _Fire.apply(given, *parts)
    return Spikes(spikes, fired)


def lif(kernels: Kernels, values: Tensor, neuron: NeuronConfig, timesteps: int, leak: Tensor | None = None) -> Tensor:
    """As ``snnkit.kernels.lif``, in the memory layout of the current."""
    order = dense_order(values[0])
    pixels = flat(values, order)[:, None, None, :, None]  # one image of one channel
    current = Current(pixels, leak=leak)
    spikes, _ = fire(kernels, [current], neuron, timesteps, pool=1, dtype=values.dtype, counted=False)
    return full(spikes[:, 0, 0, :, 0], torch.Size((timesteps, *values.shape[1:])), order)


class _Given(NamedTuple):
    """What is no tensor to be differentiated by."""

    kernels: Kernels
    neuron: NeuronConfig
    timesteps: int
    pool: int
    of_currents: bool
    dtype: torch.dtype
    counted: bool
    found: tuple[Statistics | None, ...]  # by layer, None where it has no BatchNorm


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: _Given, *tensors: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """``tensors``: values, weight, bias and leak of each layer; None where there is no BatchNorm, no own leak."""
        ctx.given = given
        ctx.save_for_backward(*tensors)
        parts = list(_parts(given, tensors))
        _, images, _, height, width = parts[0].values.shape
        channels = sum(part.values.shape[2] for part in parts)
        shape = (channels, height // given.pool, width // given.pool)
        spikes = torch.empty(
            given.timesteps * images, *shape,
            dtype=given.dtype, device=parts[0].values.device, memory_format=torch.channels_last,
        ).view(given.timesteps, images, *shape)  # fmt: skip
        counts = [given.kernels.fire(part, spikes, counted=given.counted) for part in parts]
        if not given.counted:
            return spikes, None
        fired = torch.stack([count for count in counts if count is not None])
        ctx.mark_non_differentiable(fired)
        return spikes, fired

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spikes: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        given: _Given = ctx.given
        grad_spikes = dense(grad_spikes)
        grads: list[Tensor | None] = [None]
        for part, found in zip(_parts(given, ctx.saved_tensors), given.found, strict=True):
            grad, sums, leak = given.kernels.fire_back(part, grad_spikes)
            weight = bias = None
            if found is not None:
                count = part.values.numel() // part.values.shape[2]
                means = (sums / count if found.of_batch else sums * 0).float()
                given.kernels.norm_back(part, grad, means)
                weight, bias = sums.float()
            grads += [grad, weight, bias, None if leak is None else leak.float()]
        return tuple(grads)


def _parts(given: _Given, tensors: Sequence[Tensor | None]) -> Iterator[Part]:
    start = 0
    for values, weight, bias, leak, found in zip(*(tensors[at::4] for at in range(4)), given.found, strict=True):
        assert values is not None
        neuron = learned(given.neuron, leak)
        norm = None
        if weight is not None and bias is not None and found is not None:
            norm = Folded(found.mean, found.invstd, *found.scale_and_shift(weight.detach(), bias.detach()))
        yield Part(values, norm, neuron, leak is not None, given.timesteps, given.pool, given.of_currents, start)
        start += values.shape[2]
