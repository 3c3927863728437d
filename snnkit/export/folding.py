"""BatchNorm put into the convolution before it, as a network that is only run has no use for it."""

import torch
from torch import Tensor

from snnkit.nn.network import ConvLayer


@torch.no_grad()
def folded(layer: ConvLayer) -> tuple[Tensor, Tensor]:
    """Weight (C', C / groups, K, K) and bias (C',) of one convolution that gives what the layer's convolution and
    BatchNorm give in eval mode, up to rounding (Jacob et al. 2018, arXiv:1712.05877, section 3.2)."""
    weight = layer.conv.weight.detach().double()
    channels = len(weight)
    bias = weight.new_zeros(channels) if layer.conv.bias is None else layer.conv.bias.detach().double()
    norm = layer.norm
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        weight = weight * scale[:, None, None, None]
        bias = (bias - norm.running_mean.double()) * scale + norm.bias.detach().double()
    return weight.float().cpu(), bias.float().cpu()
