"""The C kernels as a differentiable function of torch tensors."""

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snnkit.kernels.current import Current, Spikes, Statistics, driven
from snnkit.kernels.layout import dense_order, flat, full
from snnkit.kernels.native.library import Library, library, pointer
from snnkit.values import Neuron

DTYPES = (torch.float32, torch.bfloat16)
LANES = 16  # as in lanes.h
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


def runs(values: Tensor) -> bool:
    """Whether the kernels can take it: float32 or bfloat16 in a CPU's memory, and a library that compiles."""
    fits = values.device.type == "cpu" and values.dtype in DTYPES and values.numel() > 0
    return fits and library("fire") is not None


def drive(values: Tensor, norm: nn.BatchNorm2d | None) -> Current:
    """As ``snnkit.kernels.drive``, in channels_last."""
    return driven(_dense(values), norm, _channel_sums)


def fire(
    currents: Sequence[Current], neuron: Neuron, timesteps: int, *, pool: int, dtype: torch.dtype, counted: bool
) -> Spikes:
    """As ``snnkit.kernels.fire``; the spikes are in channels_last."""
    parts: list[Tensor | None] = []
    for values, norm in currents:
        parts += [_dense(values), None if norm is None else norm.weight, None if norm is None else norm.bias]
    found = tuple(None if norm is None else norm.found for _, norm in currents)
    spikes, fired = _Fire.apply(_Given(neuron, timesteps, pool, dtype, counted, found), *parts)
    return Spikes(spikes, fired)


def lif(values: Tensor, neuron: Neuron, timesteps: int) -> Tensor:
    """As ``snnkit.kernels.lif``, in the memory layout of the current."""
    order = dense_order(values[0])
    pixels = flat(values, order)[:, None, None, :, None]  # one image of one channel
    spikes, _ = fire([Current(pixels)], neuron, timesteps, pool=1, dtype=values.dtype, counted=False)
    return full(spikes[:, 0, 0, :, 0], torch.Size((timesteps, *values.shape[1:])), order)


class _Given(NamedTuple):
    """What is no tensor to be differentiated by."""

    neuron: Neuron
    timesteps: int
    pool: int
    dtype: torch.dtype
    counted: bool
    found: tuple[Statistics | None, ...]  # by layer, None where it has no BatchNorm


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: _Given, *parts: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """``parts``: values, weight and bias of each layer, the last two None where it has no BatchNorm."""
        ctx.given = given
        ctx.save_for_backward(*parts)
        first = parts[0]
        assert first is not None
        _, images, _, height, width = first.shape
        channels = sum(values.shape[2] for values in parts[::3] if values is not None)
        shape = (channels, height // given.pool, width // given.pool)
        spikes = torch.empty(given.timesteps * images, *shape, dtype=given.dtype, memory_format=torch.channels_last)
        spikes = spikes.view(given.timesteps, images, *shape)
        counts = [call.forward(spikes) for call in _calls(given, parts, spikes)]
        if not given.counted:
            return spikes, None
        fired = torch.stack(counts)
        ctx.mark_non_differentiable(fired)
        return spikes, fired

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spikes: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        grad_spikes = _dense(grad_spikes)
        grads = [call.backward(grad_spikes) for call in _calls(ctx.given, ctx.saved_tensors, grad_spikes)]
        return (None, *(grad for layer in grads for grad in layer))


class _Call:
    """One layer and the memory that its kernels work in."""

    def __init__(
        self, given: _Given, values: Tensor, affine: tuple[Tensor, Tensor] | None, found: Statistics | None,
        spikes: Tensor, start: int,
    ) -> None:  # fmt: skip
        steps, images, channels, height, width = values.shape
        self.values, self.found, self.start, self.counted = values, found, start, given.counted
        self.folded: tuple[Tensor, ...] = ()  # kept alive while the kernels read them
        if found is not None and affine is not None:
            self.folded = (found.mean, found.invstd, *found.scale_and_shift(*affine))
        neuron = given.neuron
        self.layer = Layer(
            values.data_ptr(), *(tuple(tensor.data_ptr() for tensor in self.folded) or (None,) * 4),
            values.dtype == torch.bfloat16, spikes.dtype == torch.bfloat16, steps, len(spikes),
            images, height, width, channels, given.pool, spikes.shape[2],
            RESETS[neuron.reset, neuron.reset_delay], SURROGATES[neuron.surrogate],
            neuron.leak, neuron.threshold, neuron.slope,
        )  # fmt: skip
        self.threads = torch.get_num_threads()
        self.scratch = torch.empty(self.threads, _library().snn_scratch(ctypes.byref(self.layer)))

    def forward(self, spikes: Tensor) -> Tensor:
        """How many neurons fired, where that is counted."""
        fired = torch.zeros(self.threads if self.counted else 0, dtype=torch.float64)
        _library().snn_fire(
            ctypes.byref(self.layer), self._mine(spikes), pointer(fired if self.counted else None),
            pointer(self.scratch), _int(self.threads),
        )  # fmt: skip
        return fired.sum()

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


def _calls(given: _Given, parts: Sequence[Tensor | None], spikes: Tensor) -> Iterator[_Call]:
    start = 0
    for values, weight, bias, found in zip(parts[::3], parts[1::3], parts[2::3], given.found, strict=True):
        assert values is not None
        affine = None if weight is None or bias is None else (weight.detach(), bias.detach())
        yield _Call(given, values, affine, found, spikes, start)
        start += values.shape[2]


def _channel_sums(values: Tensor) -> Tensor:
    """Of each channel the sum and the sum of squares (2, C), in float64, of values (T', B, C, H, W) as ``_dense``."""
    layer = _as_layer(values)
    total, partial = _sums(layer)
    _library().snn_sums(ctypes.byref(layer), pointer(total), pointer(partial), _int(len(partial)))
    return total


def arrivals(values: Tensor, scale: int) -> Tensor:
    """As ``snnkit.kernels.arrivals``."""
    if not _is_strip(values):
        values = _dense(values)
    height, width = values.shape[-2:]
    partial = torch.zeros(torch.get_num_threads(), height * width * LANES, dtype=torch.float64)
    total = torch.empty(height, width, dtype=torch.float64)
    _library().snn_arrivals(
        ctypes.byref(_as_layer(values)), ctypes.c_float(scale), pointer(total), pointer(partial), _int(len(partial))
    )
    return total


def _as_layer(values: Tensor) -> Layer:
    """What is read without neurons."""
    steps, images, channels, height, width = values.shape
    dtype, pitch = values.dtype == torch.bfloat16, values.stride(4) if _is_strip(values) else channels
    return Layer(
        values.data_ptr(), None, None, None, None, dtype, 0, steps, steps, images, height, width, channels, 1, pitch
    )


def _is_strip(values: Tensor) -> bool:
    """Whether it is some channels of a tensor as ``_dense`` makes it."""
    _, images, channels, height, width = values.shape
    pitch = values.stride(4)
    pixels = (images * height * width * pitch, height * width * pitch, 1, width * pitch, pitch)
    return pitch >= channels and values.stride() == pixels


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
