"""BatchNorm in training mode and the ReLU after it, for the layers of a CNN.

In channels_last and float32, the backward pass of torch 2.14 takes ten times as long on one core with AVX2.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from snnkit.kernels.current import Statistics, current_with_statistics
from snnkit.kernels.fused import FoldedBatchNorm
from snnkit.kernels.layout import dense
from snnkit.kernels.native import lif
from snnkit.kernels.native.library import pointer


def batchnorm(values: Tensor, norm: nn.BatchNorm2d, *, relu: bool) -> Tensor:
    """Implement ``snnkit.kernels.batchnorm`` in training mode, in channels_last."""
    current = current_with_statistics(dense(values), norm, lif.channel_sums)
    assert current.norm is not None
    weight, bias, statistics = current.norm
    y: Tensor = _BatchNorm.apply(current.values, weight, bias, statistics, relu)
    return y


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, statistics: Statistics, relu: bool) -> Tensor:
        ctx.save_for_backward(values, weight, bias)
        ctx.statistics, ctx.relu = statistics, relu
        folded = FoldedBatchNorm.of(statistics, weight, bias)
        struct, scratch, threads = _arguments(values, folded)
        y = torch.empty_like(values)
        lif.loaded().snn_normalise(
            ctypes.byref(struct), pointer(y), ctypes.c_int64(relu), pointer(scratch), ctypes.c_int64(threads)
        )
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, bias = ctx.saved_tensors
        folded = FoldedBatchNorm.of(ctx.statistics, weight, bias)
        grad_y = dense(grad_y).to(values.dtype)
        struct, scratch, threads = _arguments(values, folded)
        total, partial = lif.memory_for_sums(struct)
        grad = torch.empty_like(values)
        lif.loaded().snn_normalise_backward(
            ctypes.byref(struct), pointer(grad_y), pointer(grad), ctypes.c_int64(ctx.relu), pointer(total),
            pointer(partial), pointer(scratch), ctypes.c_int64(threads),
        )  # fmt: skip
        means = (total / (values.numel() // values.shape[2])).float()
        lif.loaded().snn_batchnorm_backward(
            ctypes.byref(struct), pointer(grad), pointer(means), pointer(scratch), ctypes.c_int64(threads)
        )
        on_weight, on_bias = total.float()
        return grad, on_weight, on_bias, None, None


def _arguments(values: Tensor, folded: FoldedBatchNorm) -> tuple[lif.Layer, Tensor, int]:
    """Return the struct of the layer, which ``folded`` must outlive, and scratch memory for each thread."""
    struct = lif.struct_without_neurons(values)
    for name, tensor in folded._asdict().items():
        setattr(struct, name, tensor.data_ptr())
    scratch, threads = lif.scratch_memory(struct)
    return struct, scratch, threads
