"""A network as a list of operations with their shapes. Networks, counts, exports and reports all read this list.

A family turns its design into a Plan without torch, with `snnkit.architecture.builder`. `snnkit.nn.network.Network`
runs the plan as a spiking network or as its CNN twin. The static figures below take microseconds. A removed module is
not in the plan, so it has no parameters and no operations.

The repr of these operations is part of the stored identity of a candidate: renaming a class or a field changes it.
"""

from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, Literal

Shape = tuple[int, int, int]  # (C, H, W)
Activation = Literal[  # of the CNN twin; LIF in the SNN
    "relu", "relu6", "silu", "sigmoid", "identity", "hardswish", "hardsigmoid", "gelu", "leaky_relu"
]  # fmt: skip
Reads = Literal["input", "spikes", "means", "gated"]


class PlanError(ValueError):
    """The shapes of a design do not fit. The message names the module and a remedy."""


@dataclass(frozen=True)
class Axis:
    """The windows of a convolution or a pooling along one axis."""

    size: int  # input positions
    outputs: int  # output positions
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    transposed: bool = False

    @property
    def fan_out(self) -> list[int]:
        """How many output positions read each input position. The padding is not an input."""
        reads = [0] * self.size
        for window, tap in product(range(self.size if self.transposed else self.outputs), range(self.kernel)):
            place = window * self.stride - self.padding + tap * self.dilation
            if self.transposed and 0 <= place < self.outputs:
                reads[window] += 1
            elif not self.transposed and 0 <= place < self.size:
                reads[place] += 1
        return reads


@dataclass(frozen=True)
class Conv:
    """A convolution with the BatchNorm and the activation that follow it."""

    name: str  # as the paper names it: "stem", "fire4.squeeze", "head"
    source: str  # name of the operation whose output it reads; "input" is the image
    in_shape: Shape
    out_shape: Shape
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = True
    batchnorm: bool = True
    activation: Activation | None = "relu"  # identity: none in the CNN twin, LIF in the spiking network
    spiking: bool = True  # the spiking network has LIF neurons; False: the activation, as the CNN twin has
    reads: Reads = "spikes"  # the image; spikes or sums of them; real means of spikes; spikes times a real gate
    input_scale: int = 1  # after average pooling: it reads sums of this many spikes, divided by this number
    input_most: int = 1  # largest number of spikes in one such sum; larger than the scale after residual sums

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The windows along each axis of space."""
        return _square_axes(self)

    @property
    def taps(self) -> int:
        """Weights of one kernel per incoming channel."""
        return self.kernel**2

    @property
    def weights(self) -> int:
        return self.out_shape[0] * (self.in_shape[0] // self.groups) * self.taps

    @property
    def params(self) -> int:
        return self.weights + self.out_shape[0] * (self.bias + 2 * self.batchnorm)

    @property
    def outputs(self) -> int:
        return prod(self.out_shape)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of one dense evaluation, with taps in the padding and without the bias."""
        return self.outputs * (self.in_shape[0] // self.groups) * self.taps

    @property
    def emits_spikes(self) -> bool:
        """Whether LIF neurons follow it in the spiking network."""
        return self.activation is not None and self.spiking


@dataclass(frozen=True)
class Pool:
    """Max or average pooling. The average divides by kernel**2 even at ragged edges and over padding, so that the scale
    is constant."""

    name: str
    source: str
    in_shape: Shape
    out_shape: Shape
    kind: Literal["max", "avg"]
    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = False

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The windows along each axis of space."""
        return _square_axes(self)

    @property
    def taps(self) -> int:
        """Values in one whole window of a channel."""
        return self.kernel**2


def _square_axes(op: Conv | Pool) -> tuple[Axis, ...]:
    sides = zip(op.in_shape[1:], op.out_shape[1:], strict=True)
    return tuple(Axis(size, outputs, op.kernel, op.stride, op.padding) for size, outputs in sides)


@dataclass(frozen=True)
class Slice:
    """Channels ``start`` to ``stop`` of one source."""

    name: str
    source: str
    out_shape: Shape
    start: int

    @property
    def stop(self) -> int:
        return self.start + self.out_shape[0]


@dataclass(frozen=True)
class Concat:
    """Concatenated channels of several sources."""

    name: str
    sources: tuple[str, ...]
    out_shape: Shape


@dataclass(frozen=True)
class Shuffle:
    """Channel shuffle of ``groups`` groups (ShuffleNet; Zhang et al. 2018, arXiv:1707.01083)."""

    name: str
    source: str
    out_shape: Shape
    groups: int


@dataclass(frozen=True)
class Sum:
    """A residual sum: of spikes (two spikes add up to 2), or of currents before their neurons."""

    name: str
    sources: tuple[str, ...]
    out_shape: Shape
    currents: bool

    @property
    def additions(self) -> int:
        """Additions of one dense evaluation."""
        return prod(self.out_shape) * (len(self.sources) - 1)


@dataclass(frozen=True)
class Neurons:
    """LIF neurons on a current; in the CNN twin the activation, or nothing."""

    name: str
    source: str
    out_shape: Shape
    activation: Activation | None = None
    emits_spikes = True

    @property
    def outputs(self) -> int:
        return prod(self.out_shape)


@dataclass(frozen=True)
class Gate:
    """Multiply each channel by its gate, (C, 1, 1): the excitation of a squeeze-excite."""

    name: str
    source: str
    gate: str
    out_shape: Shape


@dataclass(frozen=True)
class Dropout:
    """Dropout of single elements."""

    name: str
    source: str
    shape: Shape
    rate: float


@dataclass(frozen=True)
class GlobalAverage:
    """Mean over space and time: the class scores. The last operation of every plan."""

    name: str
    source: str
    in_shape: Shape


Op = Conv | Pool | Slice | Concat | Shuffle | Sum | Neurons | Gate | Dropout | GlobalAverage


def sources(op: Op) -> tuple[str, ...]:
    """The names of the values that an operation reads."""
    match op:
        case Concat() | Sum():
            return op.sources
        case Gate():
            return (op.source, op.gate)
        case _:
            return (op.source,)


def _renamed(op: Op, names: dict[str, str]) -> Op:
    fields: dict[str, Any] = {"name": names[op.name]}
    match op:
        case Concat() | Sum():
            fields["sources"] = tuple(names[source] for source in op.sources)
        case Gate():
            fields |= {"source": names[op.source], "gate": names[op.gate]}
        case _:
            fields["source"] = names[op.source]
    return replace(op, **fields)


@dataclass(frozen=True)
class Plan:
    """Operations in order of execution. Each refers to earlier ones by name."""

    ops: tuple[Op, ...]
    in_shape: Shape
    classes: int

    @property
    def convs(self) -> tuple[Conv, ...]:
        return tuple(op for op in self.ops if isinstance(op, Conv))

    @property
    def spiking_ops(self) -> tuple[Conv | Neurons, ...]:
        """The operations that end in neurons in the spiking network."""
        return tuple(op for op in self.ops if isinstance(op, Conv | Neurons) and op.emits_spikes)

    @property
    def unnamed(self) -> "Plan":
        """The same operations with their positions as names.

        It is equal for two networks that differ only in module names, for example if each keeps another one of two
        identical neighbouring modules.
        """
        names = {"input": "input"} | {op.name: str(place) for place, op in enumerate(self.ops)}
        return replace(self, ops=tuple(_renamed(op, names) for op in self.ops))

    @property
    def params(self) -> int:
        return sum(conv.params for conv in self.convs)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of one dense pass, with taps in the padding (`operations.unpadded_macs` omits them).

        An upper bound on the CNN twin's MACs, and per time step on the SNN's operations.
        """
        return sum(conv.dense_macs for conv in self.convs)


PASSES = 3  # per training step: forward, backward to a layer's input, and backward to its weights


def training_macs(plan: Plan, *, timesteps: int, input_steps: int) -> int:
    """Dense multiply-accumulates of a training step per image, with taps in the padding; kernels may save some.

    ``input_steps`` is the number of evaluations of the layers that read the input: 1 for a still image.
    """
    steps = (input_steps if conv.reads == "input" else timesteps for conv in plan.convs)
    return PASSES * sum(conv.dense_macs * count for conv, count in zip(plan.convs, steps, strict=True))


@dataclass(frozen=True)
class ModuleView:
    """One module of a candidate: a cell of the module strip in a report."""

    name: str  # "fire4"
    state: Literal["kept", "removed", "resized"]
    detail: str  # "32 / 128 + 128"
