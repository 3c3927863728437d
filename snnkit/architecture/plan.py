"""A network as a list of operations with their shapes: what is built, counted and drawn all read this one list.

A family turns its design (a frozen value) into a Plan without torch, by means of `snnkit.architecture.builder`;
`snnkit.nn.network.Network` runs the plan as a spiking network or as its CNN twin, and the static figures below cost
microseconds. So a module that is removed is in no plan: it has no parameters, no operations and no shape.
"""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

Shape = tuple[int, int, int]  # (C, H, W)
Activation = Literal["relu", "relu6", "silu", "sigmoid", "identity"]  # the twin's; LIF in the SNN
Reads = Literal["input", "spikes", "means", "gated"]


class PlanError(ValueError):
    """A design whose shapes do not work out; the message says which module and why."""


@dataclass(frozen=True)
class Conv:
    """A convolution, with the BatchNorm and the activation that follow it where the fields say so."""

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
    activation: Activation | None = "relu"  # identity: none in the twin, LIF in the spiking network
    spiking: bool = True  # LIF in place of the activation; else the spiking network has the twin's
    reads: Reads = "spikes"  # the input; spikes or sums of them; real means of spikes; spikes times a real gate
    input_scale: int = 1  # reads sums of this many spikes, divided by it (after average pooling)
    input_most: int = 1  # the most spikes in one such sum: above the scale behind residual sums

    @property
    def weights(self) -> int:
        return self.out_shape[0] * (self.in_shape[0] // self.groups) * self.kernel**2

    @property
    def params(self) -> int:
        return self.weights + self.out_shape[0] * (self.bias + 2 * self.batchnorm)

    @property
    def outputs(self) -> int:
        return prod(self.out_shape)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of one dense evaluation, bias left out, taps in the padding counted."""
        return self.outputs * (self.in_shape[0] // self.groups) * self.kernel**2

    @property
    def fires(self) -> bool:
        """Whether LIF neurons follow it in the spiking network."""
        return self.activation is not None and self.spiking


@dataclass(frozen=True)
class Pool:
    """Max or average pooling. The average divides by kernel**2 everywhere, at ragged edges too: one scale to fold."""

    name: str
    source: str
    in_shape: Shape
    out_shape: Shape
    kind: Literal["max", "avg"]
    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = False


@dataclass(frozen=True)
class Slice:
    """Channels ``start`` to ``stop`` of one source: a channel split."""

    name: str
    source: str
    out_shape: Shape
    start: int

    @property
    def stop(self) -> int:
        return self.start + self.out_shape[0]


@dataclass(frozen=True)
class Concat:
    """Channels of several sources, side by side."""

    name: str
    sources: tuple[str, ...]
    out_shape: Shape


@dataclass(frozen=True)
class Shuffle:
    """Channels of ``groups`` groups, dealt in turn (Zhang et al. 2018, arXiv:1707.01083)."""

    name: str
    source: str
    out_shape: Shape
    groups: int


@dataclass(frozen=True)
class Sum:
    """A residual sum, element by element: of spikes (a value of 2 is two), or of currents before their neurons."""

    name: str
    sources: tuple[str, ...]
    out_shape: Shape
    currents: bool

    @property
    def additions(self) -> int:
        """Of one dense evaluation."""
        return prod(self.out_shape) * (len(self.sources) - 1)


@dataclass(frozen=True)
class Neurons:
    """LIF neurons on a current; in the twin the activation, or nothing."""

    name: str
    source: str
    out_shape: Shape
    activation: Activation | None = None
    fires = True  # as a convolution with neurons does

    @property
    def outputs(self) -> int:
        return prod(self.out_shape)


@dataclass(frozen=True)
class Gate:
    """Channels times a gate each, (C, 1, 1): the excitation of a squeeze-excite."""

    name: str
    source: str
    gate: str
    out_shape: Shape


@dataclass(frozen=True)
class Dropout:
    name: str
    source: str
    shape: Shape
    rate: float


@dataclass(frozen=True)
class GlobalAverage:
    """Mean over space (and over time): the class scores. Last in every plan."""

    name: str
    source: str
    in_shape: Shape


Op = Conv | Pool | Slice | Concat | Shuffle | Sum | Neurons | Gate | Dropout | GlobalAverage


def sources(op: Op) -> tuple[str, ...]:
    """The names of what an operation reads."""
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
    """Operations in order of execution; each reads earlier ones by name."""

    ops: tuple[Op, ...]
    in_shape: Shape
    classes: int

    @property
    def convs(self) -> tuple[Conv, ...]:
        return tuple(op for op in self.ops if isinstance(op, Conv))

    @property
    def firing(self) -> tuple[Conv | Neurons, ...]:
        """The operations that end in neurons in the spiking network."""
        return tuple(op for op in self.ops if isinstance(op, Conv | Neurons) and op.fires)

    @property
    def unnamed(self) -> "Plan":
        """The same operations called by their place: equal where two networks differ in the names of modules alone, as
        those that keep one or the other of two modules that are alike and stand side by side."""
        names = {"input": "input"} | {op.name: str(place) for place, op in enumerate(self.ops)}
        return replace(self, ops=tuple(_renamed(op, names) for op in self.ops))

    @property
    def params(self) -> int:
        return sum(conv.params for conv in self.convs)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of one dense pass, taps in the padding counted (`activity.taps` leaves them out): a
        bound on the CNN twin's, and per time step on the SNN's operations."""
        return sum(conv.dense_macs for conv in self.convs)


PASSES = 3  # of a training step: forward, and backward to what a layer read and to its weights


def training_macs(plan: Plan, *, timesteps: int, input_steps: int) -> int:
    """Dense multiply-accumulates of a training step per image, taps in the padding counted, whatever a kernel saves.

    ``input_steps``: how often what reads the input is evaluated, once for a still image.
    """
    steps = (input_steps if conv.reads == "input" else timesteps for conv in plan.convs)
    return PASSES * sum(conv.dense_macs * count for conv, count in zip(plan.convs, steps, strict=True))


@dataclass(frozen=True)
class ModuleView:
    """One module of a candidate as a person sees it: a cell of the strip in a report."""

    name: str  # "fire4"
    state: Literal["kept", "removed", "resized"]
    detail: str  # "32 / 128 + 128"
