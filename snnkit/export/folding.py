"""Fold BatchNorm into the convolution before it, for networks that only run and no longer train."""

import torch
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_weights

from snnkit.nn.layers import ConvLayer


@torch.no_grad()
def fold_batchnorm(layer: ConvLayer) -> tuple[Tensor, Tensor]:
    """Return weight (C', C / groups, K, K) and bias (C',), float32 on the CPU, of one equivalent convolution.

    It computes what the layer's convolution and BatchNorm compute in eval mode, up to rounding (Jacob et al. 2018,
    arXiv:1712.05877, section 3.2). The folding itself is done in float64.
    """
    conv, norm = layer.conv, layer.norm
    weight = conv.weight.double()
    bias = weight.new_zeros(len(weight)) if conv.bias is None else conv.bias.double()
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, variance = norm.running_mean.double(), norm.running_var.double()
        weight, bias = fuse_conv_bn_weights(
            weight, bias, mean, variance, norm.eps, norm.weight.double(), norm.bias.double()
        )
    return weight.detach().float().cpu(), bias.detach().float().cpu()
