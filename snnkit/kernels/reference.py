"""BatchNorm and LIF over T steps in plain PyTorch. Every other kernel must equal this definition, on every device.

Forward and backward follow ``Leaky`` of snnTorch 1.0 (H is the step function, v the threshold, r the reset):

    r[t] = H(m[t-1] - v), detached               s[t] = H(p[t] - v), with the surrogate's derivative at p[t] - v
    p[t] = leak * m[t-1] + x[t] - r[t] * v       reset "subtract"
    p[t] = leak * (1 - r[t]) * m[t-1] + x[t]     reset "zero"
    m[t] = p[t]                                  with reset_delay
    m[t] = p[t] - (s[t] - r[t]) * v              without, "subtract": the gradient flows through s, not through r
    m[t] = p[t] - s[t] * p[t]                    without, "zero": m never exceeds v, so r is 0

The order of roundings is snnTorch's too, so that spikes are equal bit by bit. The backward pass keeps only p - v.
"""

from collections.abc import Callable, Iterator, Sequence
from math import pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from snnkit.base.config import NeuronConfig
from snnkit.kernels.current import Current, Norm, Spikes, Statistics, current_with_statistics, with_leak
from snnkit.kernels.layout import dense_order, flat, full

BLOCK_NEURONS = 131072  # neurons integrated at once on a CPU, so that temporaries stay in the cache


def fused_lif(
    currents: Sequence[Current], neuron: NeuronConfig, timesteps: int, *, pool: int, dtype: torch.dtype,
    count_spikes: bool, pool_currents: bool = False,
) -> Spikes:  # fmt: skip
    """Implement ``snnkit.kernels.fused_lif``."""
    side, pool = (pool, 1) if pool_currents else (1, pool)
    layers = [
        lif(_max_pooled(normalised(values, norm), side), neuron, timesteps, leak).flatten(0, 1).to(dtype)
        for values, norm, leak in currents
    ]
    spikes = torch.cat(layers, dim=1) if len(layers) > 1 else layers[0]  # (T * B, C, H, W)
    pooled = functional.max_pool2d(spikes, pool) if pool > 1 else spikes
    counts = torch.stack([layer.detach().sum(dtype=torch.float64) for layer in layers]) if count_spikes else None
    return Spikes(pooled.view(timesteps, -1, *pooled.shape[1:]), counts)


def input_current(values: Tensor, norm: nn.BatchNorm2d | None) -> Current:
    """Implement ``snnkit.kernels.input_current``."""
    return current_with_statistics(values, norm, _channel_sums)


def convolve(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Implement ``snnkit.kernels.convolve``.

    Depthwise convolutions on a CPU run in float32 even under autocast, because the backward pass of torch 2.14 takes
    five times as long in bfloat16 (AVX512-BF16, one core).

    A strided 1 x 1 convolution reads a few of the pixels. On a CPU they are selected first if the input channels are no
    multiple of 8: with AVX2, the backward pass of torch 2.14 (oneDNN) writes beyond its memory there.
    """
    strided = conv.kernel_size == (1, 1) and conv.stride != (1, 1) and conv.padding == (0, 0) and conv.groups == 1
    if strided and conv.in_channels % 8 and x.device.type == "cpu":
        down, right = conv.stride
        return functional.conv2d(x[:, :, ::down, ::right], conv.weight, conv.bias)
    if conv.groups == 1 or x.device.type != "cpu":
        y = nn.Conv2d.forward(conv, x)
    else:
        with torch.autocast("cpu", enabled=False):
            y = nn.Conv2d.forward(conv, x.to(conv.weight.dtype))
    return y


def spikes_per_position(values: Tensor, scale: int, most: int) -> Tensor:
    """Implement ``snnkit.kernels.spikes_per_position``."""
    if scale == 0:
        values = values != 0
    elif scale > 1:
        values = (values.float() * scale).round()
    positions = values.shape[-2] * values.shape[-1]
    exact = values.numel() // positions * most < 2**24  # in float32: 8 to 36 times faster than float64, one CPU core
    return (values.float() if exact else values.double()).sum(2).sum((0, 1)).double()


def normalised(values: Tensor, norm: Norm | None) -> Tensor:
    """The current (T', B, C, H, W) after its BatchNorm, at least in float32."""
    y: Tensor = values if norm is None else _Normalised.apply(values, *norm)
    return y


def _max_pooled(values: Tensor, side: int) -> Tensor:
    """Max-pool (T', B, C, H, W) to (T', B, C, H / side, W / side)."""
    if side == 1:
        return values
    pooled = functional.max_pool2d(values.flatten(0, 1), side)
    return pooled.view(*values.shape[:2], *pooled.shape[1:])


def lif(current: Tensor, neuron: NeuronConfig, timesteps: int, leak: Tensor | None = None) -> Tensor:
    """Implement ``snnkit.kernels.lif`` in the dtype and memory layout of the current.

    float64 currents are integrated in float64.
    """
    spikes: Tensor = _LIF.apply(current, leak, neuron, timesteps, False)[0]
    return spikes


def lif_with_membrane(current: Tensor, neuron: NeuronConfig, timesteps: int) -> tuple[Tensor, Tensor]:
    """Return the spikes of ``lif`` and the membrane m after each step, (T, ...), in the precision of integration."""
    spikes, membrane = _LIF.apply(current, None, neuron, timesteps, True)
    return spikes, membrane


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, found: Statistics) -> Tensor:
        scale, shift = (_per_channel(each) for each in found.scale_and_shift(weight, bias))
        ctx.save_for_backward(values, scale)
        ctx.found = found
        return values * scale + shift

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        values, scale = ctx.saved_tensors
        mean, invstd = _per_channel(ctx.found.mean), _per_channel(ctx.found.invstd)
        unit = (values - mean) * invstd
        on_weight, on_bias = (grad * unit).sum(_BATCH_AXES), grad.sum(_BATCH_AXES)
        if ctx.found.of_batch:
            count = values.numel() // values.shape[2]
            grad = grad - _per_channel(on_bias) / count - unit * (_per_channel(on_weight) / count)
        return (grad * scale).to(values.dtype), on_weight, on_bias, None


_BATCH_AXES = (0, 1, 3, 4)  # all axes of (T', B, C, H, W) except the channels


def _per_channel(values: Tensor) -> Tensor:
    return values[:, None, None]


def _channel_sums(values: Tensor) -> Tensor:
    """Sum and sum of squares of each channel, (2, C) in float64. They are computed in blocks, because torch's own
    reduction to float64 takes 15 times as long on a CPU."""
    channels = values.shape[2]
    pixels = values.movedim(2, -1).reshape(-1, channels)
    total = values.new_zeros(2, channels, dtype=torch.float64)
    for block in torch.split(pixels, _block(pixels) // channels + 1):
        wide = block.double()
        total += torch.stack([wide.sum(0), wide.square().sum(0)])
    return total


class _LIF(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, leak: Tensor | None, neuron: NeuronConfig, timesteps: int, with_membrane: bool
    ) -> tuple[Tensor, Tensor | None]:
        neuron = with_leak(neuron, leak)
        order, shape = dense_order(current[0]), torch.Size((timesteps, *current.shape[1:]))
        x = flat(current, order)
        spikes = x.new_empty(timesteps, x.shape[1])
        above = torch.empty_like(spikes) if any(ctx.needs_input_grad) else None
        kept = torch.empty_like(spikes, dtype=_precision(x)) if ctx.needs_input_grad[1] else None
        membrane = torch.empty_like(spikes, dtype=_precision(x)) if with_membrane else None
        for block in _blocks(x):
            for t, (p_minus_v, s, m, left) in enumerate(_steps(x[:, block], neuron, timesteps)):
                spikes[t, block] = s
                if above is not None:
                    above[t, block] = p_minus_v
                if membrane is not None:
                    membrane[t, block] = m
                if kept is not None:
                    kept[t, block] = left
        ctx.save_for_backward(above, kept)
        ctx.neuron, ctx.order, ctx.shape = neuron, order, current.shape
        return full(spikes, shape, order), None if membrane is None else full(membrane, shape, order)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_spikes: Tensor, grad_membrane: Tensor | None
    ) -> tuple[Tensor, Tensor | None, None, None, None]:
        above, kept = ctx.saved_tensors
        gs = flat(grad_spikes, ctx.order)
        gm = None if grad_membrane is None else flat(grad_membrane, ctx.order)
        gx = above.new_empty(ctx.shape[0], above.shape[1])
        on_leak = above.new_zeros((), dtype=torch.float64)
        for block in _blocks(above):
            together: Tensor | float = 0.0
            steps = _steps_back(above[:, block], gs[:, block], None if gm is None else gm[:, block], ctx.neuron)
            for t, step in zip(reversed(range(len(above))), steps, strict=True):
                if kept is not None and t > 0:
                    on_leak += (step * kept[t - 1, block]).sum(dtype=torch.float64)
                if len(gx) == len(above):
                    gx[t, block] = step
                else:  # one current for all steps
                    together = together + step
            if len(gx) < len(above):
                gx[0, block] = together
        return full(gx, ctx.shape, ctx.order), None if kept is None else on_leak.float(), None, None, None


def _steps(x: Tensor, neuron: NeuronConfig, timesteps: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield p - v, s, m and the leaking part of m, (N,) each, per step, for currents (T or 1, N). The next step
    overwrites them."""
    x = x.to(_precision(x)).expand(timesteps, -1)
    v, s = neuron.threshold, torch.empty_like(x[0])
    p = left = r = None
    for current in x:
        p = current.clone() if left is None else left.mul_(neuron.leak).add_(current)
        if r is not None:
            p.sub_(r, alpha=v)
        p_minus_v = p - v
        torch.gt(p_minus_v, 0, out=s)
        if neuron.reset == "zero":
            left = torch.addcmul(p, p, s, value=-1)
        elif neuron.reset_delay:
            left, r = p, s
        else:
            left = torch.sub(p, s if r is None else s - r, alpha=v)
            r = torch.gt(left, v, out=torch.empty_like(s))
        yield p_minus_v, s, p if neuron.reset_delay else left, left


def _steps_back(above: Tensor, grad_s: Tensor, grad_m: Tensor | None, neuron: NeuronConfig) -> Iterator[Tensor]:
    """Yield the currents' gradients (N,), last step first, from p - v and the gradients of s and m (T, N)."""
    derivative, zero = SURROGATES[neuron.surrogate], neuron.reset == "zero"
    carried = torch.zeros_like(above[0], dtype=_precision(above))  # the gradient that step t + 1 passes to step t
    for t in reversed(range(len(above))):
        p_minus_v, gs = above[t].to(carried.dtype), grad_s[t].to(carried.dtype)
        if zero and neuron.reset_delay:
            carried.masked_fill_(p_minus_v > 0, 0)
        if grad_m is not None:
            carried.add_(grad_m[t])
        if not neuron.reset_delay:
            gs = gs - carried * ((p_minus_v + neuron.threshold) if zero else neuron.threshold)
            if zero:
                carried.masked_fill_(p_minus_v > 0, 0)
        total = torch.addcmul(carried, derivative(p_minus_v, neuron.slope), gs)
        yield total
        carried = total * neuron.leak


def _precision(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _atan(x: Tensor, alpha: float) -> Tensor:
    return torch.addcmul(x.new_full((), 2 / alpha), x, x, value=pi**2 * alpha / 2).reciprocal_()


def _fast_sigmoid(x: Tensor, slope: float) -> Tensor:
    return x.abs().mul_(slope).add_(1).square_().reciprocal_()


def _sigmoid(x: Tensor, slope: float) -> Tensor:
    """Even in x, so that it is 0 where snnTorch's formula gives NaN because exp(-slope * x) overflows."""
    e = x.abs().mul_(-slope).exp_()
    return torch.div(e, (e + 1).square_()).mul_(slope)


def _triangular(x: Tensor, _: float) -> Tensor:
    """snnTorch's function at threshold 1, which is no triangle: 1 below the threshold and -1 above it."""
    return torch.where(x < 0, 1.0, -1.0).to(x.dtype)


def _straight_through(x: Tensor, _: float) -> Tensor:
    return torch.ones_like(x)


SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "atan": _atan,
    "fast_sigmoid": _fast_sigmoid,
    "sigmoid": _sigmoid,
    "triangular": _triangular,
    "straight_through": _straight_through,
}
"""Derivatives of a spike by name, as functions of (membrane - threshold, slope). Equal to ``snntorch.surrogate``."""


def _blocks(x: Tensor) -> Iterator[slice]:
    size = _block(x[0])
    return (slice(start, start + size) for start in range(0, x.shape[1], size))


def _block(x: Tensor) -> int:
    return BLOCK_NEURONS if x.device.type == "cpu" else max(x.numel(), 1)
