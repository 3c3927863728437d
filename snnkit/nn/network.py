"""Run a plan as a spiking network over T time steps, or as its CNN twin in one pass."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, Protocol
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit import kernels
from snnkit.architecture.fusion import FusedLIF, Split, fuse, last_uses, step_sources
from snnkit.architecture.plan import (
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
from snnkit.architecture.resizing import resized
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.kernels import Spikes
from snnkit.nn.layers import ACTIVATIONS, ConvLayer, draw_weights
from snnkit.nn.lif import LIF


class Observer(Protocol):
    """Called for every convolution and every layer of neurons in a forward pass, with its input and its spikes.

    ``incoming`` is (T', B, C, H, W); T' is 1 if it is the same at every step (the stem on a still image, the CNN twin).
    ``fired`` is None in the CNN twin and if no neurons follow. For neurons on pooled currents, ``incoming`` is the
    input of the first convolution before them.
    """

    def __call__(self, op: Conv | Neurons, incoming: Tensor, fired: "Fired | None") -> None: ...


@dataclass(frozen=True)
class Fired:
    """The spikes of a layer of neurons, before pooling."""

    count: Tensor  # spikes over all steps and images, a float64 scalar
    _again: Callable[[], Spikes]

    def spikes(self) -> Tensor:
        """Run the neurons again and return their spikes (T, B, C, H, W); kernels keep only pooled spikes."""
        with torch.no_grad():
            return self._again().values


class Network(nn.Module):
    """The spiking network of a plan, or its CNN twin if ``neuron`` is None (the plan's activations, no time).

    A still image is coded directly: the convolution that reads it runs once, and its current drives the neurons at
    every step. Frames of events enter step by step. Weights depend only on ``seed`` and the names in the plan.
    """

    def __init__(self, plan: Plan, neuron: NeuronConfig | None, encoding: EncodingConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.plan, self.neuron, self.encoding = plan, neuron, encoding
        self.timesteps = 1 if neuron is None else encoding.timesteps
        with torch.device("meta"):  # leaves the global random generator alone; initialise() draws the weights
            self.layers = nn.ModuleDict({layer_key(conv): ConvLayer(conv, neuron) for conv in plan.convs})
            self.neurons = nn.ModuleDict(
                {layer_key(op): LIF(neuron) for op in plan.ops if isinstance(op, Neurons) and neuron is not None}
            )
        self.layers.to_empty(device="cpu")
        self.neurons.to_empty(device="cpu")
        self._steps = fuse(plan, spiking=neuron is not None)
        self._unread = last_uses(self._steps)
        self.initialise(seed)

    def forward(self, images: Tensor, observe: Observer | None = None, *, each_step: bool = False) -> Tensor:
        """Return logits (B, classes) in float32 for images (B, C, H, W) or frames (B, T, C, H, W).

        The logits are the mean of the head's current over time and space. ``each_step`` returns one set per time
        step, (T, B, classes), with T = 1 in the CNN twin. The twin reads the mean of the frames. Values inside have
        the memory format of images and weights; under autocast, spikes have autocast's dtype. Raises ValueError if
        the shape of ``images`` does not fit the encoding.
        """
        values = {"input": self._over_time(images)}
        for step, unread in zip(self._steps, self._unread, strict=True):
            read = tuple(values[name] for name in step_sources(step))
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
        """Draw all weights so that neurons fire from the start.

        BatchNorm's scale is the threshold, its bias follows from ``NeuronConfig.initial_rate``, and the biases of
        convolutions are 0. A layer's draw depends only on ``seed`` and its name, not on the layers around it.
        """
        for conv in self.plan.convs:
            draw_weights(
                self.layer(conv),
                conv,
                self.neuron,
                torch.Generator().manual_seed(crc32(f"{seed}/{conv.name}".encode())),
            )
        for op in self.spiking_ops:
            self.lif(op).initialise()

    @contextlib.contextmanager
    def at_resolution(self, side: int) -> Iterator[None]:
        """Within the block, the network reads images of ``side`` x ``side`` pixels, with the same weights.

        Raises PlanError if they are too small for it.
        """
        before = self.plan, self._steps, self._unread
        if side != self.plan.in_shape[1]:
            self.plan = resized(self.plan, side)
            self._steps = fuse(self.plan, spiking=self.neuron is not None)
            self._unread = last_uses(self._steps)
        try:
            yield
        finally:
            self.plan, self._steps, self._unread = before

    @property
    def training_macs(self) -> int:
        """Dense multiply-accumulates to train on one image, forward and backward."""
        frames = self.timesteps if self.encoding.kind == "frames" else 1
        return training_macs(self.plan, timesteps=self.timesteps, input_steps=frames)

    def describe(self) -> str:
        """Describe all that the output depends on besides the weights, independently of the torch version."""
        neuron = None if self.neuron is None else self.neuron.model_dump(exclude_defaults=True)
        return repr((self.plan, neuron, self.timesteps, self.encoding.frames))

    def lif(self, op: Conv | Neurons) -> LIF:
        """The neurons of an operation, in a spiking network."""
        neurons = self.layer(op).activation if isinstance(op, Conv) else self.neurons[layer_key(op)]
        assert isinstance(neurons, LIF)
        return neurons

    @property
    def spiking_ops(self) -> tuple[Conv | Neurons, ...]:
        """The operations that end in neurons; none in the CNN twin."""
        return () if self.neuron is None else self.plan.spiking_ops

    def layer(self, conv: Conv) -> ConvLayer:
        """The layer that runs ``conv``."""
        layer = self.layers[layer_key(conv)]
        assert isinstance(layer, ConvLayer)
        return layer

    def _over_time(self, images: Tensor) -> Tensor:
        """Return images as (1, B, C, H, W) and frames as (T, B, C, H, W)."""
        if (images.dim() == 5) != (self.encoding.kind == "frames"):
            raise ValueError(
                f"given images of shape {tuple(images.shape)} for encoding kind {self.encoding.kind}: give "
                "(B, C, H, W) to direct, (B, T, C, H, W) to frames"
            )
        if images.dim() == 4:
            return images.unsqueeze(0)
        if self.neuron is None:
            return images.mean(dim=1).unsqueeze(0)
        if images.shape[1] != self.timesteps:
            raise ValueError(
                f"given {images.shape[1]} frames for {self.timesteps} time steps; give one frame per time step"
            )
        return images.transpose(0, 1)

    def _spikes(
        self, ops: Sequence[Conv | Neurons], reads: tuple[Tensor, ...], observe: Observer | None, *, window: int = 1,
        neurons: Neurons | None = None,
    ) -> Tensor:  # fmt: skip
        """The pooled spikes of ``ops``, concatenated; or the spikes of ``neurons`` on their pooled currents."""
        assert self.neuron is not None
        currents = [
            (self.layer(op).current(x) if isinstance(op, Conv) else kernels.input_current(x, None))._replace(
                leak=self.lif(neurons or op).leak
            )
            for op, x in zip(ops, reads, strict=True)
        ]
        dtype = kernels.autocast_dtype(currents[0].values)
        run = partial(kernels.fused_lif, neuron=self.neuron, timesteps=self.timesteps, dtype=dtype)
        pooled = partial(run, currents, pool=window, pool_currents=neurons is not None)
        spikes, counts = pooled(count_spikes=observe is not None)
        if observe is not None:
            assert counts is not None
            for op, x, current, count in zip(ops, reads, currents, counts, strict=True):
                observe(op, x, Fired(count, partial(run, [current])) if neurons is None else None)
            if neurons is not None:
                observe(neurons, reads[0], Fired(counts.sum(), pooled))
        return spikes

    def _run(self, step: Op | FusedLIF, reads: tuple[Tensor, ...], observe: Observer | None) -> Tensor:
        match step:
            case FusedLIF():
                return self._spikes(step.convs, reads, observe, window=step.window, neurons=step.neurons)
            case Conv():
                if observe is not None:
                    observe(step, reads[0], None)
                outgoing: Tensor = self.layer(step)(reads[0])
                return outgoing
            case Neurons() if self.neuron is not None:
                return self._spikes((step,), reads, observe)
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


def layer_key(op: Conv | Neurons) -> str:
    """Name of an operation's layer in the state dict: "fire4.squeeze" is stored as "layers.fire4_squeeze"."""
    return op.name.replace(".", "_")


def _pool(pool: Pool, x: Tensor) -> Tensor:
    flat = x.flatten(0, 1)
    if pool.kind == "max" and _is_tiling(pool, flat) and not torch.is_grad_enabled():
        y = _largest_of_tiles(flat, pool.kernel)
    elif pool.kind == "max":
        y = functional.max_pool2d(flat, pool.kernel, pool.stride, pool.padding, ceil_mode=pool.ceil)
    else:
        y = functional.avg_pool2d(
            flat, pool.kernel, pool.stride, pool.padding, ceil_mode=pool.ceil, divisor_override=pool.kernel**2
        )
    return y.view(*x.shape[:2], *y.shape[1:])


def _is_tiling(pool: Pool, x: Tensor) -> bool:
    """Whether the windows of ``pool`` divide the images of ``x`` without overlap or rest."""
    return pool.stride == pool.kernel and not pool.padding and not any(side % pool.kernel for side in x.shape[2:])


def _largest_of_tiles(x: Tensor, side: int) -> Tensor:
    """Equals functional.max_pool2d. In fp32 and channels_last on a CPU, that takes five times as long."""
    offsets = itertools.product(range(side), repeat=2)
    return reduce(torch.maximum, (x[:, :, row::side, column::side] for row, column in offsets))


def _concat(sources: tuple[Tensor, ...]) -> Tensor:
    flat = [x.flatten(0, 1) for x in sources]  # channels_last is defined for four axes
    y: Tensor = _Concatenation.apply(*flat)
    return y.view(*sources[0].shape[:2], *y.shape[1:])


class _Concatenation(torch.autograd.Function):
    """Concatenate along the channels. Gradients are contiguous: BatchNorm's backward pass takes eight times as long on
    a part of a tensor in channels_last."""

    @staticmethod
    def forward(ctx: Any, *sources: Tensor) -> Tensor:
        ctx.widths = [x.shape[1] for x in sources]
        return torch.cat(sources, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        last = gradient.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        return tuple(part.contiguous(memory_format=layout) for part in torch.split(gradient, ctx.widths, dim=1))


def _shuffle(shuffle: Shuffle, x: Tensor) -> Tensor:
    y = functional.channel_shuffle(x.flatten(0, 1), shuffle.groups)
    return y.view(*x.shape[:2], *y.shape[1:])


def _dropout(dropout: Dropout, x: Tensor, *, training: bool) -> Tensor:
    """Drop the same elements at every step, so that an input is absent, not just rarer."""
    return x * functional.dropout(torch.ones_like(x[:1]), dropout.rate, training) if training else x
