"""Call the C kernels for layers of neurons on torch's memory."""

import ctypes

import torch
from torch import Tensor

from snnkit.kernels.fused import FusedLayer
from snnkit.kernels.layout import dense, is_strip
from snnkit.kernels.native.library import DTYPES, Library, library, pointer

RESETS = {("subtract", True): 0, ("subtract", False): 1, ("zero", True): 2, ("zero", False): 3}
SURROGATES = {"atan": 0, "fast_sigmoid": 1, "sigmoid": 2, "triangular": 3, "straight_through": 4}


class Layer(ctypes.Structure):
    """``Layer`` of layer.h with its ``Neuron``, field by field."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("current", "mean", "invstd", "scale", "shift")),
        *((name, ctypes.c_int64) for name in ("bf16", "spikes_bf16", "steps", "timesteps")),
        *(
            (name, ctypes.c_int64)
            for name in ("images", "height", "width", "channels", "pool", "pool_currents", "pitch")
        ),
        *((name, ctypes.c_int64) for name in ("reset", "surrogate")),
        *((name, ctypes.c_float) for name in ("leak", "threshold", "slope")),
    )


def runs(values: Tensor) -> bool:
    """Whether the kernels accept ``values``: float32 or bfloat16 on a CPU, and the library compiles."""
    fits = values.device.type == "cpu" and values.dtype in DTYPES and values.numel() > 0
    return fits and library("lif") is not None


def channel_sums(values: Tensor) -> Tensor:
    """Implement `Kernels.channel_sums`."""
    struct = struct_without_neurons(values)
    total, partial = memory_for_sums(struct)
    loaded().snn_sums(ctypes.byref(struct), pointer(total), pointer(partial), _int(len(partial)))
    return total


def lif_forward(layer: FusedLayer, spikes: Tensor, *, count_spikes: bool) -> Tensor | None:
    """Implement `Kernels.lif_forward`."""
    struct = _struct(layer, spikes)
    scratch, threads = scratch_memory(struct)
    counts = torch.zeros(threads, dtype=torch.float64) if count_spikes else None
    loaded().snn_lif_forward(
        ctypes.byref(struct), _channels_of(layer, spikes), pointer(counts), pointer(scratch), _int(threads)
    )
    return None if counts is None else counts.sum()


def lif_backward(layer: FusedLayer, grad_spikes: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Implement `Kernels.lif_backward`."""
    struct = _struct(layer, grad_spikes)
    scratch, threads = scratch_memory(struct)
    total, partial = memory_for_sums(struct)
    grad = torch.empty_like(layer.values)
    leaks = torch.zeros(threads, dtype=torch.float64) if layer.learns else None
    loaded().snn_lif_backward(
        ctypes.byref(struct), _channels_of(layer, grad_spikes), pointer(grad), pointer(total), pointer(leaks),
        pointer(partial), pointer(scratch), _int(threads),
    )  # fmt: skip
    return grad, total, None if leaks is None else leaks.sum()


def batchnorm_backward(layer: FusedLayer, grad: Tensor, means: Tensor) -> None:
    """Implement `Kernels.batchnorm_backward`."""
    struct = _struct(layer, grad)
    scratch, threads = scratch_memory(struct)
    loaded().snn_batchnorm_backward(
        ctypes.byref(struct), pointer(grad), pointer(means), pointer(scratch), _int(threads)
    )


def spikes_per_position(values: Tensor, scale: int, most: int) -> Tensor:
    """Implement ``snnkit.kernels.spikes_per_position``. Sums over channels are float32 per lane."""
    assert values.shape[2] // loaded().lanes * most < 2**24
    if not is_strip(values):
        values = dense(values)
    height, width = values.shape[-2:]
    partial = torch.zeros(torch.get_num_threads(), height * width * loaded().lanes, dtype=torch.float64)
    total = torch.empty(height, width, dtype=torch.float64)
    loaded().snn_spikes_per_position(
        ctypes.byref(struct_without_neurons(values)),
        ctypes.c_float(scale),
        pointer(total),
        pointer(partial),
        _int(len(partial)),
    )
    return total


def _struct(layer: FusedLayer, spikes: Tensor) -> Layer:
    """The struct of a layer that writes or reads its channels of ``spikes``. The tensors must outlive it."""
    steps, images, channels, height, width = layer.values.shape
    neuron = layer.neuron
    norm = (None,) * 4 if layer.norm is None else tuple(tensor.data_ptr() for tensor in layer.norm)
    return Layer(
        layer.values.data_ptr(), *norm,
        layer.values.dtype == torch.bfloat16, spikes.dtype == torch.bfloat16, steps, layer.timesteps,
        images, height, width, channels, layer.pool, layer.pool_currents, spikes.shape[2],
        RESETS[neuron.reset, neuron.reset_delay], SURROGATES[neuron.surrogate],
        neuron.leak, neuron.threshold, neuron.slope,
    )  # fmt: skip


def struct_without_neurons(values: Tensor) -> Layer:
    """The struct of a tensor that is only read."""
    steps, images, channels, height, width = values.shape
    bf16, pitch = values.dtype == torch.bfloat16, values.stride(4) if is_strip(values) else channels
    return Layer(
        values.data_ptr(), None, None, None, None, bf16, bf16, steps, steps, images, height, width, channels, 1, False,
        pitch,
    )  # fmt: skip


def _channels_of(layer: FusedLayer, spikes: Tensor) -> ctypes.c_void_p:
    """Address of the layer's first channel."""
    return ctypes.c_void_p(spikes.data_ptr() + layer.start * spikes.element_size())


def scratch_memory(struct: Layer) -> tuple[Tensor, int]:
    """Scratch memory for every thread, and the number of threads."""
    threads = torch.get_num_threads()
    return torch.empty(threads, loaded().snn_scratch(ctypes.byref(struct))), threads


def memory_for_sums(struct: Layer) -> tuple[Tensor, Tensor]:
    """Memory for two sums per channel, and for the partial sums of each thread, which start at 0."""
    each = loaded().snn_partial(ctypes.byref(struct))
    partial = torch.zeros(torch.get_num_threads(), each, dtype=torch.float64)
    return torch.empty(2, struct.channels, dtype=torch.float64), partial


def loaded() -> Library:
    """The compiled kernels, where `runs` is true."""
    found = library("lif")
    assert found is not None
    return found


def _int(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)
