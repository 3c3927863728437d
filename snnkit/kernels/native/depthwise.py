"""Depthwise convolution: torch's forward pass with a backward pass in C.

On one core with AVX512-BF16, the backward pass of torch 2.14 (oneDNN) takes 20 ms in float32 and 79 ms in bfloat16 for
64 images of 1152x4x4 and a 5x5 kernel, and 21 and 143 ms for 72x32x32 at stride 2. This one takes 5 and 11 ms.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from snnkit.kernels.native.library import DTYPES, library, pointer


class Depthwise(ctypes.Structure):
    """``Depthwise`` of depthwise.c, field by field."""

    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in ("images", "height", "width", "channels", "kernel", "stride", "padding", "bf16")
    )


def runs(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether the kernel accepts it: one filter per channel, float32 or bfloat16 on a CPU."""
    return (
        conv.groups == conv.in_channels == conv.out_channels
        and conv.dilation == (1, 1)
        and x.device.type == "cpu"
        and x.dtype in DTYPES
        and conv.weight.dtype == torch.float32
        and library("depthwise") is not None
    )


def convolve(conv: nn.Conv2d, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Convolve (N, C, H, W) to (N, C, H', W') in channels_last and in ``dtype``, with sums in float32."""
    x = x.to(dtype).contiguous(memory_format=torch.channels_last)
    kernel, stride, padding = conv.kernel_size[0], conv.stride[0], conv.padding[0]
    y: Tensor = _Depthwise.apply(x, conv.weight, conv.bias, kernel, stride, padding)
    return y


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, kernel: int, stride: int, padding: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = (kernel, stride, padding)
        with torch.autocast("cpu", enabled=False):
            return functional.conv2d(
                x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype), stride, padding, groups=x.shape[1]
            )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        images, channels, height, width = x.shape
        shape = Depthwise(images, height, width, channels, *ctx.geometry, int(x.dtype == torch.bfloat16))
        kernels, threads = library("depthwise"), torch.get_num_threads()
        assert kernels is not None
        grad, weight = grad.contiguous(memory_format=torch.channels_last), weight.contiguous()
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        each = torch.zeros(threads, kernels.snn_depthwise_weights(ctypes.byref(shape)))
        scratch = torch.empty(threads, kernels.snn_depthwise_scratch(ctypes.byref(shape)))
        kernels.snn_depthwise_back(
            ctypes.byref(shape), pointer(x), pointer(weight), pointer(grad), pointer(grad_x),
            pointer(each), pointer(scratch), ctypes.c_int64(threads),
        )  # fmt: skip
        taps = weight.shape[2] * weight.shape[3]
        by_channel = each.sum(0).view(-1, taps, kernels.lanes).transpose(1, 2).reshape(-1, taps)  # (channels, taps)
        grad_bias = grad.sum((0, 2, 3), dtype=torch.float32) if ctx.needs_input_grad[2] else None
        return grad_x, by_channel[:channels].reshape(weight.shape), grad_bias, None, None, None
