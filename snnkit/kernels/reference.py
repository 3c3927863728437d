"""LIF over T steps in plain PyTorch: the definition that every other kernel must equal. Runs on every device.

Forward and backward are those of snnTorch 1.0's ``Leaky`` (H the step function, v the threshold, r the reset):

    r[t] = H(m[t-1] - v), detached               s[t] = H(p[t] - v), whose derivative is the surrogate's at p[t] - v
    p[t] = leak * m[t-1] + x[t] - r[t] * v       reset "subtract"
    p[t] = leak * (1 - r[t]) * m[t-1] + x[t]     reset "zero"
    m[t] = p[t]                                  with reset_delay
    m[t] = p[t] - (s[t] - r[t]) * v              without, "subtract": the gradient flows through s, not through r
    m[t] = p[t] - s[t] * p[t]                    without, "zero": m never exceeds v, so r is 0

The order of roundings is snnTorch's too, so spikes are equal bit by bit. Only p is kept for the backward pass.
"""

from collections.abc import Callable, Iterator
from math import pi
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from snnkit.values import Neuron

BLOCK = 65536  # neurons taken through all their steps at once on a CPU, so that temporaries stay in the cache


def lif(current: Tensor, neuron: Neuron) -> Tensor:
    """Spikes (T, ...) for currents (T, ...), in the dtype and memory layout of the currents."""
    spikes: Tensor = _LIF.apply(current, neuron, False)[0]
    return spikes


def lif_with_membrane(current: Tensor, neuron: Neuron) -> tuple[Tensor, Tensor]:
    """Spikes, and the membrane m that each step leaves behind (T, ...): float32, or float64 for float64 currents."""
    spikes, membrane = _LIF.apply(current, neuron, True)
    return spikes, membrane


class _LIF(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, neuron: Neuron, with_membrane: bool) -> tuple[Tensor, Tensor | None]:
        order = _dense_order(current[0])
        x = _flat(current, order)
        p = torch.empty(x.shape, dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
        m = torch.empty_like(p) if with_membrane else None
        s = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        for block in _blocks(x):
            _integrate(x[:, block], p[:, block], s[:, block], None if m is None else m[:, block], neuron)
        ctx.save_for_backward(p)
        ctx.neuron, ctx.order, ctx.shape, ctx.dtype = neuron, order, current.shape, current.dtype
        ctx.set_materialize_grads(False)
        return _full(s, current.shape, order), None if m is None else _full(m, current.shape, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_s: Tensor | None, grad_m: Tensor | None) -> tuple[Tensor, None, None]:
        (p,) = ctx.saved_tensors
        gs = p.new_zeros(()).expand_as(p) if grad_s is None else _flat(grad_s, ctx.order)
        gm = None if grad_m is None else _flat(grad_m, ctx.order)
        gx = torch.empty(p.shape, dtype=ctx.dtype, device=p.device)
        for block in _blocks(p):
            _backpropagate(p[:, block], gs[:, block], None if gm is None else gm[:, block], gx[:, block], ctx.neuron)
        return _full(gx, ctx.shape, ctx.order), None, None


def _integrate(x: Tensor, p: Tensor, s: Tensor, m: Tensor | None, neuron: Neuron) -> None:
    """One block (T, N): reads the currents x; fills p, the spikes s and, where wanted, the membranes m."""
    spike, left, reset = torch.empty_like(p[0]), torch.zeros_like(p[0]), torch.zeros_like(p[0])
    for t in range(len(x)):
        if t and neuron.reset == "zero" and neuron.reset_delay:
            left = torch.addcmul(left, left, reset, value=-1)
        p[t].copy_(x[t])
        if t:
            p[t].add_(left * neuron.leak)
            if neuron.reset == "subtract":
                p[t].sub_(reset, alpha=neuron.threshold)
        torch.gt(p[t], neuron.threshold, out=spike)
        s[t].copy_(spike)
        if neuron.reset_delay:
            left, reset = p[t], spike
        elif neuron.reset == "subtract":
            left = torch.sub(p[t], spike.sub_(reset), alpha=neuron.threshold)
            torch.gt(left, neuron.threshold, out=reset)
        else:
            left = torch.addcmul(p[t], p[t], spike, value=-1)
        if m is not None:
            m[t].copy_(left)


def _backpropagate(p: Tensor, gs: Tensor, gm: Tensor | None, gx: Tensor, neuron: Neuron) -> None:
    """One block (T, N): from the gradients of spikes and membranes to those of the currents, in ``gx``."""
    derivative = SURROGATES[neuron.surrogate]
    carried = None  # what step t + 1 passes to m[t]
    for t in reversed(range(len(p))):
        above = gs[t].to(p.dtype)
        below = carried if gm is None else gm[t] if carried is None else carried.add_(gm[t])
        if below is not None and not neuron.reset_delay:  # m[t] = p[t] - s[t] * (threshold or p[t])
            scale = neuron.threshold if neuron.reset == "subtract" else p[t]
            above = above - below * scale
            if neuron.reset == "zero":
                below = below * (p[t] <= neuron.threshold)
        total = derivative(p[t] - neuron.threshold, neuron.slope).mul_(above)
        if below is not None:
            total.add_(below)
        gx[t].copy_(total)
        carried = total.mul_(neuron.leak)
        if t and neuron.reset == "zero" and neuron.reset_delay:
            carried.mul_(p[t - 1] <= neuron.threshold)


def _atan(x: Tensor, alpha: float) -> Tensor:
    return torch.addcmul(x.new_tensor(2 / alpha), x, x, value=pi**2 * alpha / 2).reciprocal_()


def _fast_sigmoid(x: Tensor, slope: float) -> Tensor:
    return x.abs().mul_(slope).add_(1).square_().reciprocal_()


def _sigmoid(x: Tensor, slope: float) -> Tensor:
    """Even in x, and so 0 where snnTorch's own formula is NaN because exp(-slope * x) overflows."""
    e = x.abs().mul_(-slope).exp_()
    return torch.div(e, (e + 1).square_()).mul_(slope)


def _triangular(x: Tensor, _: float) -> Tensor:
    """snnTorch's at threshold 1: 1 below the threshold, -1 from it on. No triangle, and negative on one side."""
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
"""The derivative of a spike by (membrane - threshold, slope): a new tensor, equal to ``snntorch.surrogate``'s."""


def _blocks(x: Tensor) -> Iterator[slice]:
    neurons = x.shape[1]
    size = BLOCK if x.device.type == "cpu" else max(neurons, 1)
    return (slice(start, start + size) for start in range(0, neurons, size))


def _dense_order(step: Tensor) -> tuple[int, ...]:
    """The axes of one step from the slowest to the fastest in memory: channels_last stays channels_last."""
    return tuple(sorted(range(step.dim()), key=step.stride, reverse=True))


def _flat(x: Tensor, order: tuple[int, ...]) -> Tensor:
    """(T, ...) as (T, N) in order of memory: a view wherever the layout is that one."""
    return x.permute(0, *(axis + 1 for axis in order)).reshape(len(x), -1)


def _full(flat: Tensor, shape: torch.Size, order: tuple[int, ...]) -> Tensor:
    """What ``_flat`` took apart: (T, N) as (T, ...)."""
    back = sorted(range(len(order)), key=order.__getitem__)
    dense = flat.view(len(flat), *(shape[axis + 1] for axis in order))
    return dense.permute(0, *(axis + 1 for axis in back))
