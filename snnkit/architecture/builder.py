"""Build a plan operation by operation. The builder computes shapes and tracks what each value consists of."""

from dataclasses import dataclass, field, replace
from typing import Literal

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
    PlanError,
    Pool,
    Reads,
    Shape,
    Shuffle,
    Slice,
    Sum,
)

SignalKind = Literal["image", "spikes", "currents", "gated"]


@dataclass(frozen=True)
class Signal:
    """The output of an operation in the spiking network."""

    shape: Shape
    kind: SignalKind
    scale: int = 1  # average pooling divides sums of spikes by this number
    most: int = 1  # largest number of spikes in such a sum


@dataclass
class PlanBuilder:
    """Append operations one by one, compute their shapes, and follow spikes through sums and averages.

    Every method takes the name of the new operation and of its source, and returns the operation's name. Methods raise
    ``PlanError``, with the module and the incoming size, if a design does not fit.
    """

    in_shape: Shape
    ops: list[Op] = field(default_factory=list)
    signals: dict[str, Signal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.signals["input"] = Signal(self.in_shape, "image")

    def shape(self, name: str) -> Shape:
        return self.signals[name].shape

    def conv(
        self, name: str, source: str, channels: int, *, kernel: int = 1, stride: int = 1, padding: int = 0,
        groups: int = 1, bias: bool = True, batchnorm: bool = True, activation: Activation | None = "relu",
        spiking: bool = True, means: bool = False,
    ) -> str:  # fmt: skip
        """Append a convolution. ``means``: it reads averages of spikes as real numbers, not as spikes with a scale."""
        signal = self.signals[source]
        c, h, w = signal.shape
        height, width = ((size + 2 * padding - kernel) // stride + 1 for size in (h, w))
        if height < 1 or width < 1:
            raise PlanError(
                f"{name}: a {kernel}x{kernel} convolution with padding {padding} does not fit the incoming "
                f"{c}x{h}x{w}; use a smaller kernel, more padding or a larger resolution"
            )
        if c % groups or channels % groups:
            raise PlanError(
                f"{name}: {c} incoming and {channels} outgoing channels do not divide into {groups} groups; use widths "
                f"that are multiples of {groups}, or 1 group"
            )
        op = Conv(
            name=name, source=source, in_shape=signal.shape, out_shape=(channels, height, width), kernel=kernel,
            stride=stride, padding=padding, groups=groups, bias=bias, batchnorm=batchnorm, activation=activation,
            spiking=spiking, reads=_reads(name, signal.kind, means=means), input_scale=signal.scale,
            input_most=signal.most,
        )  # fmt: skip
        return self._append(op, Signal(op.out_shape, "spikes" if op.emits_spikes else "currents"))

    def pool(
        self, name: str, source: str, kind: Literal["max", "avg"], *, kernel: int, stride: int, padding: int = 0,
        ceil: bool = False,
    ) -> str:  # fmt: skip
        signal = self.signals[source]
        c, h, w = signal.shape
        height, width = (pooled(side + 2 * padding, kernel, stride, ceil=ceil) for side in (h, w))
        out_shape = (c, height, width)
        if min(out_shape) < 1:
            raise PlanError(
                f"{name}: {kernel}x{kernel} {kind} pooling does not fit the incoming {c}x{h}x{w}; "
                f"leave this pooling out, or use a smaller stem stride or a larger resolution"
            )
        assert not (ceil and padding), f"{name}: a ragged last window that may start in the padding"
        op = Pool(name, source, signal.shape, out_shape, kind, kernel, stride, padding, ceil)
        # Max pooling selects one of several sums, so it keeps the scale. Currents have no scale.
        spikes = kernel**2 if kind == "avg" and signal.kind != "currents" else 1
        return self._append(op, Signal(out_shape, signal.kind, signal.scale * spikes, signal.most * spikes))

    def mean(self, name: str, source: str) -> str:
        """Append the mean over space, (C, 1, 1), per time step."""
        channels, height, width = self.shape(source)
        if height != width:
            raise PlanError(f"{name}: the incoming {channels}x{height}x{width} is not square; use square images")
        return self.pool(name, source, "avg", kernel=height, stride=height)

    def slice(self, name: str, source: str, start: int, channels: int) -> str:
        signal = self.signals[source]
        op = Slice(name, source, (channels, *signal.shape[1:]), start)
        return self._append(op, replace(signal, shape=op.out_shape))

    def concat(self, name: str, sources: tuple[str, ...]) -> str:
        signals = [self.signals[source] for source in sources]
        first = signals[0]
        alike = all((s.shape[1:], s.scale, s.kind) == (first.shape[1:], first.scale, first.kind) for s in signals)
        assert alike, f"{name}: {sources} differ in size, scale or kind: {signals}"
        op = Concat(name, sources, (sum(s.shape[0] for s in signals), *first.shape[1:]))
        return self._append(op, replace(first, shape=op.out_shape, most=max(s.most for s in signals)))

    def shuffle(self, name: str, source: str, groups: int) -> str:
        signal = self.signals[source]
        return self._append(Shuffle(name, source, signal.shape, groups), signal)

    def sum(self, name: str, sources: tuple[str, ...]) -> str:
        """Append a residual sum. If one source is a current, all are summed as currents; otherwise spikes are added."""
        signals = [self.signals[source] for source in sources]
        first = signals[0]
        assert all(s.shape == first.shape and s.scale == first.scale for s in signals), f"{name}: {signals} differ"
        currents = any(s.kind == "currents" for s in signals)
        total = replace(first, kind="currents") if currents else replace(first, most=sum(s.most for s in signals))
        return self._append(Sum(name, sources, first.shape, currents), total)

    def neurons(self, name: str, source: str, activation: Activation | None = None) -> str:
        shape = self.shape(source)
        return self._append(Neurons(name, source, shape, activation), Signal(shape, "spikes"))

    def gate(self, name: str, source: str, gate: str) -> str:
        """Append a gate. Spikes times spikes are spikes; spikes times a real gate are real numbers."""
        signal = self.signals[source]
        kind: SignalKind = "spikes" if self.signals[gate].kind == "spikes" else "gated"
        return self._append(Gate(name, source, gate, signal.shape), replace(signal, kind=kind))

    def dropout(self, name: str, source: str, rate: float) -> str:
        signal = self.signals[source]
        return self._append(Dropout(name, source, signal.shape, rate), signal)

    def scores(self, name: str, source: str) -> Plan:
        """Append the mean of ``source`` over space and time, one channel per class, and return the plan."""
        shape = self.shape(source)
        self.ops.append(GlobalAverage(name, source, shape))
        return Plan(tuple(self.ops), self.in_shape, classes=shape[0])

    def _append(self, op: Op, signal: Signal) -> str:
        assert op.name not in self.signals, f"two operations are called {op.name}"
        self.ops.append(op)
        self.signals[op.name] = signal
        return op.name


def _reads(name: str, kind: SignalKind, *, means: bool) -> Reads:
    if means:
        return "means"
    kinds: dict[SignalKind, Reads] = {"image": "input", "spikes": "spikes", "gated": "gated"}
    assert kind in kinds, f"{name} would read currents: put neurons before it"
    return kinds[kind]


def pooled(size: int, kernel: int, stride: int, *, ceil: bool) -> int:
    """Number of windows along one side, as PyTorch counts them; ``ceil`` adds a ragged one that starts in the input."""
    windows = (size - kernel + (stride - 1 if ceil else 0)) // stride + 1
    return windows - 1 if ceil and (windows - 1) * stride >= size else windows
