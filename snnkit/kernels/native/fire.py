"""The C kernels as a differentiable function of torch tensors."""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snnkit.kernels.current import Current, Statistics, statistics
from snnkit.kernels.layout import dense_order, flat, full
from snnkit.kernels.native.library import Library, library, pointer
from snnkit.values import Neuron

DTYPES = (torch.float32, torch.bfloat16)
RESETS = {("subtract", True): 0, ("subtract", False): 1, ("zero", True): 2, ("zero", False): 3}
SURROGATES = {"atan": 0, "fast_sigmoid": 1, "sigmoid": 2, "triangular": 3, "straight_through": 4}


class Layer(ctypes.Structure):
    """``Layer`` of layer.h with its ``Neuron``, field by field."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("current", "mean", "invstd", "scale", "shift")),
        *((name, ctypes.c_int64) for name in ("bf16", "spikes_bf16", "steps", "timesteps")),
        *((name, ctypes.c_int64) for name in ("images", "height", "width", "channels", "pool", "pitch")),
        *((name, ctypes.c_int64) for name in ("reset", "surrogate")),
        *((name, ctypes.c_float) for name in ("leak", "threshold", "slope")),
    )


def runs(currents: Sequence[Current], dtype: torch.dtype) -> bool:
    """Whether the kernels can take them: float32 or bfloat16 in a CPU's memory, and a library that compiles."""
    return (
        all(_fits(values, norm) for values, norm in currents)
        and dtype in DTYPES
        and library("fire") is not None
    )  # fmt: skip


def _fits(values: Tensor, norm: nn.BatchNorm2d | None) -> bool:
    return (
        values.device.type == "cpu"
        and values.dtype in DTYPES
        and values.numel() > 0
        and (norm is None or norm.weight.dtype == torch.float32)
    )


def fire(currents: Sequence[Current], neuron: Neuron, timesteps: int, *, pool: int, dtype: torch.dtype) -> Tensor:
    """As ``snnkit.kernels.fire``; the spikes are in channels_last."""
    currents = [Current(_dense(values), norm) for values, norm in currents]
    found = tuple(statistics(current, sums) for current in currents)
    parts: list[Tensor | None] = []
    for values, norm in currents:
        parts += [values, None, None] if norm is None else [values, norm.weight, norm.bias]
    spikes: Tensor = _Fire.apply(neuron, timesteps, pool, dtype, found, *parts)
    return spikes


def lif(current: Tensor, neuron: Neuron, timesteps: int) -> Tensor:
    """As ``snnkit.kernels.lif``, in the memory layout of the current."""
    order = dense_order(current[0])
    pixels = flat(current, order)[:, None, None, :, None]  # one image of one channel
    spikes = fire([Current(pixels)], neuron, timesteps, pool=1, dtype=current.dtype)
    return full(spikes[:, 0, 0, :, 0], torch.Size((timesteps, *current.shape[1:])), order)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, neuron: Neuron, timesteps: int, pool: int, dtype: torch.dtype,
        found: tuple[Statistics | None, ...], *parts: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """``parts``: values, weight and bias of each layer, the last two None where it has no BatchNorm."""
        ctx.neuron, ctx.pool, ctx.found = neuron, pool, found
        ctx.save_for_backward(*parts)
        first = parts[0]
        assert first is not None
        _, images, _, height, width = first.shape
        shape = (sum(values.shape[2] for values in parts[::3] if values is not None), height // pool, width // pool)
        spikes = torch.empty(timesteps * images, *shape, dtype=dtype, memory_format=torch.channels_last)
        spikes = spikes.view(timesteps, images, *shape)
        for call in _calls(ctx, parts, spikes):
            call.forward(spikes)
        return spikes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spikes: Tensor) -> tuple[Tensor | None, ...]:
        grad_spikes = _dense(grad_spikes)
        grads = [call.backward(grad_spikes) for call in _calls(ctx, ctx.saved_tensors, grad_spikes)]
        return (None, None, None, None, None, *(grad for layer in grads for grad in layer))


class _Call:
    """One layer and the memory that its kernels work in."""

    def __init__(
        self, ctx: Any, values: Tensor, affine: tuple[Tensor, Tensor] | None, found: Statistics | None, spikes: Tensor,
        start: int,
    ) -> None:  # fmt: skip
        steps, images, channels, height, width = values.shape
        self.values, self.found, self.start = values, found, start
        self.folded: tuple[Tensor, ...] = ()  # kept alive while the kernels read them
        if found is not None and affine is not None:
            self.folded = (found.mean, found.invstd, *found.scale_and_shift(*affine))
        neuron: Neuron = ctx.neuron
        self.layer = Layer(
            values.data_ptr(), *(tuple(tensor.data_ptr() for tensor in self.folded) or (None,) * 4),
            values.dtype == torch.bfloat16, spikes.dtype == torch.bfloat16, steps, len(spikes),
            images, height, width, channels, ctx.pool, spikes.shape[2],
            RESETS[neuron.reset, neuron.reset_delay], SURROGATES[neuron.surrogate],
            neuron.leak, neuron.threshold, neuron.slope,
        )  # fmt: skip
        self.threads = torch.get_num_threads()
        self.scratch = torch.empty(self.threads, _library().snn_scratch(ctypes.byref(self.layer)))

    def forward(self, spikes: Tensor) -> None:
        _library().snn_fire(ctypes.byref(self.layer), self._mine(spikes), pointer(self.scratch), _int(self.threads))

    def backward(self, grad_spikes: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The gradients of values, weight and bias."""
        grad, (total, partial) = torch.empty_like(self.values), _sums(self.layer)
        _library().snn_fire_back(
            ctypes.byref(self.layer), self._mine(grad_spikes), pointer(grad), pointer(total), pointer(partial),
            pointer(self.scratch), _int(self.threads),
        )  # fmt: skip
        if self.found is None:
            return grad, None, None
        means = total / (self.values.numel() // self.values.shape[2]) if self.found.of_batch else total * 0
        means = means.float()
        _library().snn_norm_back(
            ctypes.byref(self.layer), pointer(grad), pointer(means), pointer(self.scratch), _int(self.threads)
        )
        weight, bias = total.float()
        return grad, weight, bias

    def _mine(self, spikes: Tensor) -> ctypes.c_void_p:
        """Where this layer's channels begin."""
        return ctypes.c_void_p(spikes.data_ptr() + self.start * spikes.element_size())


def _calls(ctx: Any, parts: Sequence[Tensor | None], spikes: Tensor) -> Iterator[_Call]:
    start = 0
    for values, weight, bias, found in zip(parts[::3], parts[1::3], parts[2::3], ctx.found, strict=True):
        assert values is not None
        affine = None if weight is None or bias is None else (weight.detach(), bias.detach())
        yield _Call(ctx, values, affine, found, spikes, start)
        start += values.shape[2]


def sums(values: Tensor) -> Tensor:
    """Of each channel the sum and the sum of squares (2, C), in float64, of values (T', B, C, H, W) as ``_dense``."""
    steps, images, channels, height, width = values.shape
    layer = Layer(
        values.data_ptr(), None, None, None, None, values.dtype == torch.bfloat16, 0, steps, steps, images, height,
        width, channels, 1, channels,
    )  # fmt: skip
    total, partial = _sums(layer)
    _library().snn_sums(ctypes.byref(layer), pointer(total), pointer(partial), _int(len(partial)))
    return total


def _sums(layer: Layer) -> tuple[Tensor, Tensor]:
    """Room for two sums per channel, and for each thread's, which start at 0."""
    each = _library().snn_partial(ctypes.byref(layer))
    partial = torch.zeros(torch.get_num_threads(), each, dtype=torch.float64)
    return torch.empty(2, layer.channels, dtype=torch.float64), partial


def _dense(values: Tensor) -> Tensor:
    """(T, B, C, H, W), each image in channels_last and all of them one after the other."""
    return values.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(values.shape)


def _library() -> Library:
    loaded = library("fire")
    assert loaded is not None
    return loaded


def _int(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)
