"""A network as a list of operations with their shapes: what is built, counted and drawn all read this one list.

A family turns its design (a frozen value) into a Plan without torch; `snnkit.network.Network` runs the plan as a
spiking network or as its CNN twin, and the static figures below cost microseconds. So a module that is removed is in
no plan: it has no parameters, no operations and no shape.
"""

from dataclasses import dataclass, field
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
        """Multiply-accumulates of one dense pass, taps in the padding counted (`activity.taps` leaves them out): a
        bound on the CNN twin's, and per time step on the SNN's operations."""
        return sum(conv.dense_macs for conv in self.convs)


@dataclass(frozen=True)
class ModuleView:
    """One module of a candidate as a person sees it: a cell of the strip in a report."""

    name: str  # "fire4"
    state: Literal["kept", "removed", "resized"]
    detail: str  # "32 / 128 + 128"


@dataclass
class PlanBuilder:
    """Appends operations one by one, works out their shapes and follows the scale of pooled spikes.

    Every method takes the name of the operation and of what it reads, and returns the operation's name. They raise
    ``PlanError`` with the place and the incoming size where a kernel does not fit.
    """

    in_shape: Shape
    ops: list[Op] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    scales: dict[str, int] = field(default_factory=dict)  # how many spikes are summed into a value, and divided by

    def __post_init__(self) -> None:
        self._put("input", self.in_shape, 1)

    def conv(
        self,
        name: str,
        source: str,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        batchnorm: bool = True,
        activation: bool = True,
    ) -> str:
        c, h, w = self.shapes[source]
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size in (h, w))
        if height < 1 or width < 1:
            raise PlanError(
                f"{name}: a {kernel}x{kernel} convolution with padding {padding} does not fit the incoming "
                f"{c}x{h}x{w}; use a smaller kernel, more padding or a larger resolution"
            )
        op = Conv(
            name=name,
            source=source,
            in_shape=(c, h, w),
            out_shape=(channels, height, width),
            kernel=kernel,
            stride=stride,
            padding=padding,
            batchnorm=batchnorm,
            activation=activation,
            real_input=source == "input",
            input_scale=self.scales[source],
        )
        self.ops.append(op)
        return self._put(name, op.out_shape, 1)

    def pool(
        self, name: str, source: str, kind: Literal["max", "avg"], *, kernel: int, stride: int, ceil: bool = False
    ) -> str:
        c, h, w = self.shapes[source]
        out_shape = (c, pooled(h, kernel, stride, ceil=ceil), pooled(w, kernel, stride, ceil=ceil))
        if min(out_shape) < 1:
            raise PlanError(
                f"{name}: {kernel}x{kernel} {kind} pooling does not fit the incoming {c}x{h}x{w}; "
                f"leave this pooling out, or use a smaller stem stride or a larger resolution"
            )
        self.ops.append(Pool(name, source, (c, h, w), out_shape, kind, kernel, stride, ceil))
        # the largest of several sums is one of them: max pooling keeps the scale
        return self._put(name, out_shape, self.scales[source] * (kernel**2 if kind == "avg" else 1))

    def concat(self, name: str, sources: tuple[str, ...]) -> str:
        kinds = {(*self.shapes[source][1:], self.scales[source]) for source in sources}
        assert len(kinds) == 1, f"{name}: {sources} differ in size or scale: {kinds}"
        ((height, width, scale),) = kinds
        out_shape = (sum(self.shapes[source][0] for source in sources), height, width)
        self.ops.append(Concat(name, sources, out_shape))
        return self._put(name, out_shape, scale)

    def dropout(self, name: str, source: str, rate: float) -> str:
        self.ops.append(Dropout(name, source, self.shapes[source], rate))
        return self._put(name, self.shapes[source], self.scales[source])

    def scores(self, name: str, source: str) -> Plan:
        """The plan so far, closed by the mean over space and time of ``source``: a channel is a class."""
        shape = self.shapes[source]
        self.ops.append(GlobalAverage(name, source, shape))
        return Plan(tuple(self.ops), self.in_shape, classes=shape[0])

    def _put(self, name: str, shape: Shape, scale: int) -> str:
        self.shapes[name], self.scales[name] = shape, scale
        return name


def pooled(size: int, kernel: int, stride: int, *, ceil: bool) -> int:
    """Windows along one side, as PyTorch counts them: with ``ceil`` a last, ragged one that starts inside the input."""
    windows = (size - kernel + (stride - 1 if ceil else 0)) // stride + 1
    return windows - 1 if ceil and (windows - 1) * stride >= size else windows
