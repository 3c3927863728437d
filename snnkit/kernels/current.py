"""The input current of a layer of neurons: a convolution's output and the BatchNorm between it and the neurons."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from snnkit.base.config import NeuronConfig


@dataclass(frozen=True)
class Statistics:
    """Mean and inverse standard deviation of a BatchNorm, (C,) each, at least in float32."""

    mean: Tensor
    invstd: Tensor
    of_batch: bool  # of this batch, so that gradients flow through them; otherwise the running statistics

    def scale_and_shift(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift: every kernel computes BatchNorm as y * scale + shift, with two roundings."""
        scale = weight * self.invstd
        return scale, bias - self.mean * scale


class Norm(NamedTuple):
    """The parameters of a BatchNorm, (C,) each, and its statistics in one forward pass."""

    weight: Tensor
    bias: Tensor
    statistics: Statistics


class Current(NamedTuple):
    """The input current of one layer, before its BatchNorm."""

    values: Tensor  # (T', B, C, H, W)
    norm: Norm | None = None
    leak: Tensor | None = None  # the layer's learned leak, a float32 scalar; None: the neuron's


class Spikes(NamedTuple):
    """The output of one or several layers of neurons."""

    values: Tensor  # (T, B, C, H, W)
    counts: Tensor | None  # (layers,) in float64: spikes before pooling, over all steps and images, if requested


def with_leak(neuron: NeuronConfig, leak: Tensor | None) -> NeuronConfig:
    """Return ``neuron`` with the learned ``leak``; unchanged if it is None."""
    return neuron if leak is None else neuron.model_copy(update={"leak": leak.item()})


def current_with_statistics(values: Tensor, norm: nn.BatchNorm2d | None, sums: Callable[[Tensor], Tensor]) -> Current:
    """Attach the statistics of ``norm`` to a convolution's output (T', B, C, H, W).

    In training mode they are the batch's, and the running statistics are updated as in torch. ``sums`` returns the sums
    and the sums of squares (2, C) in float64. Raises ``ValueError`` if a batch has only one value per channel.
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
        _update_running(norm, mean, var * (count / (count - 1)))
    return Statistics(mean, _invstd(var, norm.eps), of_batch=True)


def _update_running(norm: nn.BatchNorm2d, mean: Tensor, var: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum  # None: plain average
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(var, share)


def _invstd(var: Tensor, eps: float) -> Tensor:
    return (var + eps).sqrt_().reciprocal_()
