"""A network as a list of operations with their shapes: what is built, counted and drawn all read this one list.

A family turns its design (a frozen value) into a Plan without torch; `snnkit.network.Network` runs the plan as a
spiking network or as its CNN twin, and the static figures below cost microseconds. So a module that is removed is in
no plan: it has no parameters, no operations and no shape.
"""

from dataclasses import dataclass
from typing import Literal

Shape = tuple[int, int, int]  # (C, H, W)


class PlanError(ValueError):
    """A design whose shapes do not work out; the message says which module and why."""


@dataclass(frozen=True)
class Conv:
    """A convolution, with the BatchNorm and the activation (LIF or ReLU) that follow it where the flags say so."""

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
    activation: bool = True
    real_input: bool = False  # reads the image itself: multiply-accumulates, the same every time step
    input_scale: int = 1  # reads sums of this many spikes, divided by it (after average pooling)

    @property
    def weights(self) -> int:
        return self.out_shape[0] * (self.in_shape[0] // self.groups) * self.kernel**2

    @property
    def params(self) -> int:
        return self.weights + self.out_shape[0] * (self.bias + 2 * self.batchnorm)

    @property
    def outputs(self) -> int:
        c, h, w = self.out_shape
        return c * h * w

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of one dense evaluation, bias left out, taps in the padding counted."""
        return self.outputs * (self.in_shape[0] // self.groups) * self.kernel**2


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
    ceil: bool = False


@dataclass(frozen=True)
class Concat:
    """Channels of several sources, side by side."""

    name: str
    sources: tuple[str, ...]
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


Op = Conv | Pool | Concat | Dropout | GlobalAverage


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
    def params(self) -> int:
        return sum(conv.params for conv in self.convs)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of one dense pass: what the CNN twin does, and a bound per time step on the SNN."""
        return sum(conv.dense_macs for conv in self.convs)


@dataclass(frozen=True)
class ModuleView:
    """One module of a candidate as a person sees it: a cell of the strip in a report."""

    name: str  # "fire4"
    state: Literal["kept", "removed", "resized"]
    detail: str  # "32 / 128 + 128"
