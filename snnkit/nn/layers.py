"""Convolution, BatchNorm and activation of a plan as one torch module, and its initial weights."""

import math
from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Tensor, nn

from snnkit import kernels
from snnkit.architecture.plan import Activation, Conv
from snnkit.base.config import NeuronConfig
from snnkit.kernels import Current
from snnkit.nn.lif import LIF

ASSUMED_RATE = 0.1  # initial spikes per neuron and step; later 0.17, or 0.3 without BatchNorm

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
}
GATES: tuple[Activation, ...] = ("sigmoid", "hardsigmoid")


class Convolution(nn.Conv2d):
    """A Conv2d that runs on the device's kernel; hooks work as usual."""

    def forward(self, x: Tensor) -> Tensor:
        return kernels.convolve(self, x)


class ConvLayer(nn.Module):
    """Convolution, BatchNorm and activation of a ``Conv`` of the plan."""

    def __init__(self, conv: Conv, neuron: NeuronConfig | None) -> None:
        super().__init__()
        self.conv = Convolution(
            conv.in_shape[0],
            conv.out_shape[0],
            conv.kernel,
            stride=conv.stride,
            padding=conv.padding,
            groups=conv.groups,
            bias=conv.bias,
        )
        self.norm = nn.BatchNorm2d(conv.out_shape[0]) if conv.batchnorm else None
        self.activation: nn.Module | None = None
        if conv.activation is not None:
            self.activation = LIF(neuron) if neuron and conv.spiking else ACTIVATIONS[conv.activation]()

    def current(self, x: Tensor) -> Current:
        """Return the input current of the neurons for (T', B, C, H, W)."""
        return kernels.input_current(self._convolved(x), self.norm)

    def forward(self, x: Tensor) -> Tensor:
        """Run a layer without neurons: (T', B, C, H, W) to (T', B, C, H, W)."""
        y = self._convolved(x)
        relu = self.norm is not None and type(self.activation) is nn.ReLU
        if self.norm is not None:
            y = kernels.batchnorm(y, self.norm, relu=relu)
        return y if self.activation is None or relu else self.activation(y)

    def _convolved(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x.flatten(0, 1))
        return y.view(*x.shape[:2], *y.shape[1:])


def draw_weights(layer: ConvLayer, conv: Conv, neuron: NeuronConfig | None, generator: torch.Generator) -> None:
    """Draw filters so that spikes are neither rare nor everywhere. Under BatchNorm their norm is 1, which learns faster
    in short runs than 1.4 and 3.2."""
    threshold, mean_square = 1.0 if neuron is None else neuron.threshold, _mean_square(conv, neuron)
    norm = 1.0 if conv.batchnorm or not conv.activation else threshold / math.sqrt(mean_square)
    fan_in = conv.weights // conv.out_shape[0]
    nn.init.normal_(layer.conv.weight, std=norm / math.sqrt(fan_in), generator=generator)
    if layer.conv.bias is not None:
        opens = conv.activation in GATES and isinstance(layer.activation, LIF)
        nn.init.constant_(layer.conv.bias, 2 * threshold if opens else 0.0)  # gates of spikes start open
    if layer.norm is not None:
        layer.norm.reset_parameters()
        nn.init.constant_(layer.norm.weight, threshold)
        if neuron is not None and conv.emits_spikes:
            # Currents are normal with a standard deviation of one threshold; the bias shifts their mean.
            nn.init.constant_(layer.norm.bias, threshold * (1 + NormalDist().inv_cdf(neuron.initial_rate)))
        assert layer.norm.running_var is not None
        nn.init.constant_(layer.norm.running_var, mean_square)  # with 1, a network evaluated early is silent


def _mean_square(conv: Conv, neuron: NeuronConfig | None) -> float:
    """Initial mean square of a convolution's input: an image, rectified normal values, or means of spikes."""
    if conv.reads == "input":
        return 1.0
    # The mean of n independent spikes of rate p has the mean p and the variance p (1 - p) / n.
    return 0.5 if neuron is None else ASSUMED_RATE * (ASSUMED_RATE + (1 - ASSUMED_RATE) / conv.input_scale)
