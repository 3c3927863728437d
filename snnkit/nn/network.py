"""Runs a plan: as a spiking network over T steps, or as its CNN twin in one pass."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Protocol
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit import kernels
from snnkit.architecture.fusion import FusedLIF, Split, last_readers, reads, schedule
from snnkit.architecture.plan import (
    Activation,
    Concat,
    Conv,
    Dropout,
    Gate,
    GlobalAverage,
    Neurons,
    Op,
    Plan,
    Pool,
    Shuffle,
    Slice,
    Sum,
    training_macs,
)
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.kernels import Current, Spikes
from snnkit.nn.lif import LIF

LOW_RATE = 0.1  # spikes per neuron and step assumed at first; layers settle at 0.17 with, 0.3 without BatchNorm


class Observer(Protocol):
    """Is shown every convolution and every layer of neurons of a forward pass: what it read and what fired.

    ``incoming`` is (T', B, C, H, W) with T' = 1 where it is the same at every step (the stem on a still image, the
    twin). ``fired`` is None where no neurons follow, and in the twin. Neurons on pooled currents are shown what the
    first of the convolutions before them read.
    """

    def __call__(self, op: Conv | Neurons, incoming: Tensor, fired: "Fired | None") -> None: ...


@dataclass(frozen=True)
class Fired:
    """What a layer of neurons gave, before any pooling."""

    count: Tensor  # of spikes over all steps and images, a number in float64
    _again: Callable[[], Spikes]

    def spikes(self) -> Tensor:
        """(T, B, C, H, W): the layer's neurons are run once more, as those of a training pass may not be in memory."""
        with torch.no_grad():
            return self._again().values


ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


class Convolution(nn.Conv2d):
    """By the kernel of the device; hooks see it like any other."""

    def forward(self, x: Tensor) -> Tensor:
        return kernels.convolve(self, x)


class ConvLayer(nn.Module):
    """Convolution, BatchNorm and activation as a ``Conv`` of the plan has them."""

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
        """(T', B, C, H, W) to what drives neurons."""
        return kernels.drive(self._convolved(x), self.norm)

    def forward(self, x: Tensor) -> Tensor:
        """(T', B, C, H, W) to (T', B, C, H, W), for a layer without neurons."""
        y = self._convolved(x)
        y = y if self.norm is None else self.norm(y.flatten(0, 1)).view(y.shape)
        return y if self.activation is None else self.activation(y)

    def _convolved(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x.flatten(0, 1))
        return y.view(*x.shape[:2], *y.shape[1:])


class Network(nn.Module):
    """The network of a plan: spiking with a ``neuron``, else its CNN twin (the plan's activations, no time).

    A still image is coded directly: the convolution that reads it is evaluated once, and its current drives its neurons
    at every step. Frames of events enter step by step. Weights depend on ``seed`` and the names in the plan alone.
    """

    def __init__(self, plan: Plan, neuron: NeuronConfig | None, encoding: EncodingConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.plan, self.neuron, self.encoding = plan, neuron, encoding
        self.timesteps = 1 if neuron is None else encoding.timesteps
        with torch.device("meta"):  # no draw from the global random generator: initialise() draws the weights
            self.layers = nn.ModuleDict({key(conv): ConvLayer(conv, neuron) for conv in plan.convs})
            self.neurons = nn.ModuleDict(
                {key(op): LIF(neuron) for op in plan.ops if isinstance(op, Neurons) and neuron is not None}
            )
        self.layers.to_empty(device="cpu")
        self.neurons.to_empty(device="cpu")
        self._steps = schedule(plan, spiking=neuron is not None)
        self._unread = last_readers(self._steps)
        self.initialise(seed)

    def forward(self, images: Tensor, observe: Observer | None = None, *, each_step: bool = False) -> Tensor:
        """Images (B, C, H, W), or frames (B, T, C, H, W), to logits (B, classes) in float32: the mean over time and
        space of the head's current; with ``each_step`` those of each time step (T, B, classes), T being 1 in the twin.
        The twin reads the mean of the frames.

        In channels_last where images and weights are; under autocast spikes are in autocast's dtype.
        """
        values = {"input": self._over_time(images)}
        for step, unread in zip(self._steps, self._unread, strict=True):
            read = tuple(values[name] for name in reads(step))
            for name in unread:
                del values[name]
            if isinstance(step, Split):
                parts = torch.split(read[0], [part.out_shape[0] for part in step.slices], dim=2)
                values |= {part.name: piece for part, piece in zip(step.slices, parts, strict=True)}
            else:
                values[step.name] = self._run(step, read, observe)
        (logits,) = values.values()
        return logits if each_step else logits.mean(0)

    def initialise(self, seed: int) -> None:
        """Draws all weights anew, such that neurons fire at first: BatchNorm's scale is the threshold, its bias follows
        from ``NeuronConfig.initial_rate``, biases of convolutions are 0.

        A layer's draw depends on ``seed`` and its name alone, not on the layers around it.
        """
        for conv in self.plan.convs:
            _draw(
                self.layer(conv),
                conv,
                self.neuron,
                torch.Generator().manual_seed(crc32(f"{seed}/{conv.name}".encode())),
            )
        for op in self.firing:
            self.lif(op).initialise()

    @property
    def training_macs(self) -> int:
        """Dense multiply-accumulates of training on one image, forward and backward."""
        frames = self.timesteps if self.encoding.kind == "frames" else 1
        return training_macs(self.plan, timesteps=self.timesteps, input_steps=frames)

    def describe(self) -> str:
        """All that it computes depends on besides its weights, in the same words whatever the version of torch."""
        neuron = None if self.neuron is None else self.neuron.model_dump(exclude_defaults=True)
        return repr((self.plan, neuron, self.timesteps, self.encoding.frames))

    def lif(self, op: Conv | Neurons) -> LIF:
        """The neurons of an operation that fires, in a spiking network."""
        neurons = self.layer(op).activation if isinstance(op, Conv) else self.neurons[key(op)]
        assert isinstance(neurons, LIF)
        return neurons

    @property
    def firing(self) -> tuple[Conv | Neurons, ...]:
        """The operations that end in neurons; none in the twin."""
        return () if self.neuron is None else self.plan.firing

    def layer(self, conv: Conv) -> ConvLayer:
        """The layer that runs ``conv``."""
        layer = self.layers[key(conv)]
        assert isinstance(layer, ConvLayer)
        return layer

    def _over_time(self, images: Tensor) -> Tensor:
        """(1, B, C, H, W), or (T, B, C, H, W) of frames."""
        if (images.dim() == 5) != (self.encoding.kind == "frames"):
            raise ValueError(
                f"images of shape {tuple(images.shape)} do not go with encoding kind {self.encoding.kind}: give "
                "(B, C, H, W) to direct, (B, T, C, H, W) to frames"
            )
        if images.dim() == 4:
            return images.unsqueeze(0)
        if self.neuron is None:
            return images.mean(dim=1).unsqueeze(0)
        if images.shape[1] != self.timesteps:
            raise ValueError(f"{images.shape[1]} frames for a network of {self.timesteps} time steps; give as many")
        return images.transpose(0, 1)

    def _fire(
        self, ops: Sequence[Conv | Neurons], reads: tuple[Tensor, ...], observe: Observer | None, *, window: int = 1,
        neurons: Neurons | None = None,
    ) -> Tensor:  # fmt: skip
        """The spikes of ``ops`` side by side, pooled in windows; or those of ``neurons`` on their pooled currents."""
        assert self.neuron is not None
        currents = [
            (self.layer(op).current(x) if isinstance(op, Conv) else kernels.drive(x, None))._replace(
                leak=self.lif(neurons or op).leak
            )
            for op, x in zip(ops, reads, strict=True)
        ]
        dtype = kernels.autocast_dtype(currents[0].values)
        fire = partial(kernels.fire, neuron=self.neuron, timesteps=self.timesteps, dtype=dtype)
        pooled = partial(fire, currents, pool=window, of_currents=neurons is not None)
        spikes, fired = pooled(counted=observe is not None)
        if observe is not None:
            assert fired is not None
            for op, x, current, count in zip(ops, reads, currents, fired, strict=True):
                observe(op, x, Fired(count, partial(fire, [current])) if neurons is None else None)
            if neurons is not None:
                observe(neurons, reads[0], Fired(fired.sum(), pooled))
        return spikes

    def _run(self, step: Op | FusedLIF, reads: tuple[Tensor, ...], observe: Observer | None) -> Tensor:
        match step:
            case FusedLIF():
                return self._fire(step.convs, reads, observe, window=step.window, neurons=step.neurons)
            case Conv():
                if observe is not None:
                    observe(step, reads[0], None)
                outgoing: Tensor = self.layer(step)(reads[0])
                return outgoing
            case Neurons() if self.neuron is not None:
                return self._fire((step,), reads, observe)
            case Neurons():
                if observe is not None:
                    observe(step, reads[0], None)
                return reads[0] if step.activation is None else ACTIVATIONS[step.activation]()(reads[0])
            case Pool():
                return _pool(step, reads[0])
            case Slice():
                return reads[0][:, :, step.start : step.stop]
            case Concat():
                return _concat(reads)
            case Shuffle():
                return _shuffle(step, reads[0])
            case Sum():
                return sum(reads[1:], reads[0])
            case Gate():
                return reads[0] * reads[1]
            case Dropout():
                return _dropout(step, reads[0], training=self.training)
            case GlobalAverage():
                return reads[0].mean(dim=(3, 4), dtype=torch.promote_types(reads[0].dtype, torch.float32))


def _draw(layer: ConvLayer, conv: Conv, neuron: NeuronConfig | None, generator: torch.Generator) -> None:
    """Filters such that currents, and so spikes, are neither rare nor everywhere; under BatchNorm of norm 1, with which
    short runs learn fastest of 1, 1.4 and 3.2."""
    threshold, mean_square = 1.0 if neuron is None else neuron.threshold, _mean_square(conv, neuron)
    norm = 1.0 if conv.batchnorm or not conv.activation else threshold / math.sqrt(mean_square)
    fan_in = conv.weights // conv.out_shape[0]
    nn.init.normal_(layer.conv.weight, std=norm / math.sqrt(fan_in), generator=generator)
    if layer.conv.bias is not None:
        opens = conv.activation == "sigmoid" and isinstance(layer.activation, LIF)
        nn.init.constant_(layer.conv.bias, 2 * threshold if opens else 0.0)  # a gate of spikes is open at first
    if layer.norm is not None:
        layer.norm.reset_parameters()
        nn.init.constant_(layer.norm.weight, threshold)
        if neuron is not None and conv.fires:  # currents are normal, of deviation 1 threshold, and shifted by the bias
            nn.init.constant_(layer.norm.bias, threshold * (1 + NormalDist().inv_cdf(neuron.initial_rate)))
        assert layer.norm.running_var is not None
        nn.init.constant_(layer.norm.running_var, mean_square)  # 1 silences a network evaluated after a few steps


def _mean_square(conv: Conv, neuron: NeuronConfig | None) -> float:
    """Of what a convolution reads at first: a normalised image, rectified normal values, spikes or averages of them."""
    if conv.reads == "input":
        return 1.0
    # of n independent spikes of rate p, averaged: the square of the mean p and its variance p (1 - p) / n
    return 0.5 if neuron is None else LOW_RATE * (LOW_RATE + (1 - LOW_RATE) / conv.input_scale)


def key(op: Conv | Neurons) -> str:
    """The name of an operation's layer in the state dict: "fire4.squeeze" is "layers.fire4_squeeze"."""
    return op.name.replace(".", "_")


def _pool(pool: Pool, x: Tensor) -> Tensor:
    flat = x.flatten(0, 1)
    if pool.kind == "max":
        y: Tensor = functional.max_pool2d(flat, pool.kernel, pool.stride, pool.padding, ceil_mode=pool.ceil)
    else:
        y = functional.avg_pool2d(flat, pool.kernel, pool.stride, ceil_mode=pool.ceil, divisor_override=pool.kernel**2)
    return y.view(*x.shape[:2], *y.shape[1:])


def _concat(sources: tuple[Tensor, ...]) -> Tensor:
    y = torch.cat([x.flatten(0, 1) for x in sources], dim=1)  # in four axes, as channels_last is defined for those
    return y.view(*sources[0].shape[:2], *y.shape[1:])


def _shuffle(shuffle: Shuffle, x: Tensor) -> Tensor:
    y = functional.channel_shuffle(x.flatten(0, 1), shuffle.groups)
    return y.view(*x.shape[:2], *y.shape[1:])


def _dropout(dropout: Dropout, x: Tensor, *, training: bool) -> Tensor:
    """The same elements at every step, so that an input is absent and not merely rarer."""
    return x * functional.dropout(torch.ones_like(x[:1]), dropout.rate, training) if training else x
