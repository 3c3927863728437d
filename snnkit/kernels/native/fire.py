"""The C kernels for layers of neurons, called on torch's memory."""

import ctypes

import torch
from torch import Tensor

from snnkit.kernels.fused import Part
from snnkit.kernels.layout import dense, is_strip
from snnkit.kernels.native.library import DTYPES, LANES, Library, library, pointer

RESETS = {("subtract", True): 0, ("subtract", False): 1, ("zero", True): 2, ("zero", False): 3}
SURROGATES = {"atan": 0, "fast_sigmoid": 1, "sigmoid": 2, "triangular": 3, "straight_through": 4}


class Layer(ctypes.Structure):
    """``Layer`` of layer.h with its ``Neuron``, field by field."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("current", "mean", "invstd", "scale", "shift")),
        *((name, ctypes.c_int64) for name in ("bf16", "spikes_bf16", "steps", "timesteps")),
        *((name, ctypes.c_int64) for name in ("images", "height", "width", "channels", "pool", "of_currents", "pitch")),
        *((name, ctypes.c_int64) for name in ("reset", "surrogate")),
        *((name, ctypes.c_float) for name in ("leak", "threshold", "slope")),
    )


def runs(values: Tensor) -> bool:
    """Whether the kernels can take it: float32 or bfloat16 in a CPU's memory, and a library that compiles."""
    fits = values.device.type == "cpu" and values.dtype in DTYPES and values.numel() > 0
    return fits and library("fire") is not None


def channel_sums(values: Tensor) -> Tensor:
    layer = _as_layer(values)
    total, partial = _sums(layer)
    _kernels().snn_sums(ctypes.byref(layer), pointer(total), pointer(partial), _int(len(partial)))
    return total


def fire(part: Part, spikes: Tensor, *, counted: bool) -> Tensor | None:
    layer = _layer(part, spikes)
    scratch, threads = _scratch(layer)
    counts = torch.zeros(threads, dtype=torch.float64) if counted else None
    _kernels().snn_fire(
        ctypes.byref(layer), _channels_of(part, spikes), pointer(counts), pointer(scratch), _int(threads)
    )
    return None if counts is None else counts.sum()


def fire_back(part: Part, grad_spikes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    layer = _layer(part, grad_spikes)
    (scratch, threads), (total, partial), grad = _scratch(layer), _sums(layer), torch.empty_like(part.values)
    leaks = torch.zeros(threads, dtype=torch.float64) if part.learns else None
    _kernels().snn_fire_back(
        ctypes.byref(layer), _channels_of(part, grad_spikes), pointer(grad), pointer(total), pointer(leaks),
        pointer(partial), pointer(scratch), _int(threads),
    )  # fmt: skip
    return grad, total, None if leaks is None else leaks.sum()


def norm_back(part: Part, grad: Tensor, means: Tensor) -> None:
    layer = _layer(part, grad)
    scratch, threads = _scratch(layer)
    _kernels().snn_norm_back(ctypes.byref(layer), pointer(grad), pointer(means), pointer(scratch), _int(threads))


def arrivals(values: Tensor, scale: int, most: int) -> Tensor:
    """As ``snnkit.kernels.arrivals``; a sixteenth of a pixel's channels is added up in float32, the rest in float64."""
    assert values.shape[2] // LANES * most < 2**24
    if not is_strip(values):
        values = dense(values)
    height, width = values.shape[-2:]
    partial = torch.zeros(torch.get_num_threads(), height * width * LANES, dtype=torch.float64)
    total = torch.empty(height, width, dtype=torch.float64)
    _kernels().snn_arrivals(
        ctypes.byref(_as_layer(values)), ctypes.c_float(scale), pointer(total), pointer(partial), _int(len(partial))
    )
    return total


def _layer(part: Part, spikes: Tensor) -> Layer:
    """``part`` whose spikes, or their gradients, are among ``spikes``. The tensors must outlive it."""
    steps, images, channels, height, width = part.values.shape
    neuron = part.neuron
    norm = (None,) * 4 if part.norm is None else tuple(tensor.data_ptr() for tensor in part.norm)
    return Layer(
        part.values.data_ptr(), *norm,
        part.values.dtype == torch.bfloat16, spikes.dtype == torch.bfloat16, steps, part.timesteps,
        images, height, width, channels, part.pool, part.of_currents, spikes.shape[2],
        RESETS[neuron.reset, neuron.reset_delay], SURROGATES[neuron.surrogate],
        neuron.leak, neuron.threshold, neuron.slope,
    )  # fmt: skip


def _as_layer(values: Tensor) -> Layer:
    """What is read without neurons."""
    steps, images, channels, height, width = values.shape
    bf16, pitch = values.dtype == torch.bfloat16, values.stride(4) if is_strip(values) else channels
    return Layer(
        values.data_ptr(), None, None, None, None, bf16, bf16, steps, steps, images, height, width, channels, 1, False,
        pitch,
    )  # fmt: skip


def _channels_of(part: Part, spikes: Tensor) -> ctypes.c_void_p:
    """Where the part's channels begin."""
    return ctypes.c_void_p(spikes.data_ptr() + part.start * spikes.element_size())


def _scratch(layer: Layer) -> tuple[Tensor, int]:
    """Memory for each thread to work in, and how many there are."""
    threads = torch.get_num_threads()
    return torch.empty(threads, _kernels().snn_scratch(ctypes.byref(layer))), threads


def _sums(layer: Layer) -> tuple[Tensor, Tensor]:
    """Room for two sums per channel, and for each thread's, which start at 0."""
    each = _kernels().snn_partial(ctypes.byref(layer))
    partial = torch.zeros(torch.get_num_threads(), each, dtype=torch.float64)
    return torch.empty(2, layer.channels, dtype=torch.float64), partial


def _kernels() -> Library:
    loaded = library("fire")
    assert loaded is not None
    return loaded


def _int(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)
