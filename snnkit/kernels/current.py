"""What drives a layer of neurons: a convolution's output, and the BatchNorm between it and the neurons."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from snnkit.base.config import NeuronConfig


@dataclass(frozen=True)
class Statistics:
    """What BatchNorm subtracts and divides by, (C,) each, in float32 at least."""

    mean: Tensor
    invstd: Tensor
    of_batch: bool  # so that gradients flow through them; else the running ones

    def scale_and_shift(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """BatchNorm is y * scale + shift, with two roundings, whoever computes it."""
        scale = weight * self.invstd
        return scale, bias - self.mean * scale


class Norm(NamedTuple):
    """A BatchNorm at one step of a training, (C,) each."""

    weight: Tensor
    bias: Tensor
    found: Statistics


class Current(NamedTuple):
    values: Tensor  # (T', B, C, H, W)
    norm: Norm | None = None
    leak: Tensor | None = None  # of the layer, a number in float32 that is learned; None: the neuron's own


class Spikes(NamedTuple):
    values: Tensor  # (T, B, C, H, W)
    fired: Tensor | None  # (layers,) in float64: how many before pooling, over all steps and images, where asked for


def learned(neuron: NeuronConfig, leak: Tensor | None) -> NeuronConfig:
    """The neuron as a layer has it that learns its leak."""
    return neuron if leak is None else neuron.model_copy(update={"leak": leak.item()})


def driven(values: Tensor, norm: nn.BatchNorm2d | None, sums: Callable[[Tensor], Tensor]) -> Current:
    """With the statistics of the batch while the BatchNorm trains, whose running ones then follow as in torch.

    ``sums`` gives the sums and the sums of squares (2, C) of values (T', B, C, H, W), in float64. Raises ``ValueError``
    where a batch has one value per channel.
    """
    return Current(values, None if norm is None else Norm(norm.weight, norm.bias, _statistics(values, norm, sums)))


def _statistics(values: Tensor, norm: nn.BatchNorm2d, sums: Callable[[Tensor], Tensor]) -> Statistics:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if not norm.training:
        return Statistics(norm.running_mean, _invstd(norm.running_var, norm.eps), of_batch=False)
    count = values.numel() // values.shape[2]
    if count < 2:
        raise ValueError(f"BatchNorm cannot train on one value per channel ({tuple(values.shape)}); use larger batches")
    with torch.no_grad():
        mean, square = sums(values.detach()) / count
        var = (square - mean * mean).clamp_(min=0)
        mean, var = mean.to(norm.running_mean.dtype), var.to(norm.running_var.dtype)
        _follow(norm, mean, var * (count / (count - 1)))
    return Statistics(mean, _invstd(var, norm.eps), of_batch=True)


def _follow(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum  # None: plain average
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(var, share)


def _invstd(var: Tensor, eps: float) -> Tensor:
    return (var + eps).sqrt_().reciprocal_()
