"""Turn a graph into a plan: add shapes, and neurons wherever a layer that needs spikes would read something else.

In the spiking network, LIF neurons replace every activation. Neurons without an activation in the CNN twin are added

- where a convolution, a gate or a mean over space would read a current,
- where averaged spikes are concatenated with other spikes or added to them, since these differ in their scale.

A residual sum adds currents if at least one of its parts is a current, otherwise spikes. The first layer of a
squeeze-excite reads means over space as real numbers.
"""

from snnkit.architecture.builder import PlanBuilder, Signal
from snnkit.architecture.graph import (
    INPUT,
    Activated,
    Added,
    Convolution,
    Dropped,
    Gated,
    Graph,
    Joined,
    Layer,
    Mean,
    Node,
    Part,
    Pooling,
    Shuffled,
)
from snnkit.architecture.plan import Plan, PlanError, Shape


def lower(graph: Graph, classes: int, in_shape: Shape, *, spiking_gates: bool = True) -> Plan:
    """Return the plan of ``graph`` for ``classes`` classes and images of ``in_shape``.

    ``spiking_gates``: neurons open and close the channels behind a squeeze-excite; otherwise a real number scales them.
    Raises PlanError if the images do not fit.
    """
    return _Lowering(graph, classes, in_shape, spiking_gates=spiking_gates).plan()


class _Lowering:
    def __init__(self, graph: Graph, classes: int, in_shape: Shape, *, spiking_gates: bool) -> None:
        self.graph, self.classes, self.spiking_gates = graph, classes, spiking_gates
        self.build = PlanBuilder(in_shape)
        self.values = {INPUT: INPUT}  # value of the graph -> operation of the plan
        self.excitations = _excitations(graph)
        self.gates = {node.gate for node in graph.nodes if isinstance(node, Gated)}

    def plan(self) -> Plan:
        last = self.graph.nodes[-1]
        for node in self.graph.nodes:
            if node is last and isinstance(node, Mean):
                return self.build.scores(node.name, self.values[node.source])
            self.values[node.name] = self._append(node)
        return self.build.scores("scores", self.values[last.name])

    def _append(self, node: Node) -> str:
        build, name, read = self.build, node.name, self.values[node.source]
        match node:
            case Layer():
                return self._convolution(node)
            case Pooling():
                return build.pool(
                    name, self._ungated(node.source), node.kind, kernel=node.kernel, stride=node.stride,
                    padding=node.padding, ceil=node.ceil,
                )  # fmt: skip
            case Mean():
                return build.mean(name, self._spikes(node.source))
            case Part():
                return build.slice(name, read, node.start, node.channels)
            case Joined():
                self._check_sizes(node)
                return build.concat(name, self._alike(node))
            case Shuffled():
                return build.shuffle(name, read, node.groups)
            case Added():
                self._check_sizes(node)
                return build.sum(name, self._alike(node))
            case Activated():
                return build.neurons(name, read, node.kind)
            case Gated():
                return build.gate(name, self._spikes(node.source), self.values[node.gate])
            case Dropped():
                return build.dropout(name, read, node.rate)
            case _:
                raise AssertionError(f"{name}: {type(node).__name__}")

    def _convolution(self, node: Layer) -> str:
        source = self.values[INPUT] if node.source == INPUT else self._spikes(node.source, gated=True)
        channels = groups = self.build.shape(source)[0]
        if isinstance(node, Convolution):
            channels, groups = node.channels, node.groups
        if node is self.graph.classifier:
            channels = self.classes
        activation = node.activation
        if activation is None and self._feeds_only_spiking(node):
            activation = "identity"
        return self.build.conv(
            node.name, source, channels, kernel=node.kernel, stride=node.stride, padding=node.padding, groups=groups,
            bias=node.bias, batchnorm=node.batchnorm, activation=activation,
            spiking=self.spiking_gates or node.name not in self.gates,
            means=node.name in self.excitations and isinstance(self.graph.by_name[node.source], Mean),
        )  # fmt: skip

    def _feeds_only_spiking(self, node: Node) -> bool:
        """Return whether all readers of ``node`` need spikes."""
        readers = self.graph.readers[node.name]
        last = self.graph.nodes[-1]
        return bool(readers) and all(isinstance(each, Layer | Mean | Gated) and each is not last for each in readers)

    def _spikes(self, name: str, *, gated: bool = False) -> str:
        """Return ``name`` as spikes: itself, or neurons on it. ``gated``: spikes times a real number will do."""
        kind = self._signal(name).kind
        if kind == "spikes" or (kind == "gated" and gated):
            return self.values[name]
        return self._neurons(name)

    def _ungated(self, name: str) -> str:
        return self._neurons(name) if self._signal(name).kind == "gated" else self.values[name]

    def _neurons(self, name: str) -> str:
        """Return neurons on the value ``name``. All its readers share them."""
        added = f"{name}.neurons"
        return added if added in self.build.signals else self.build.neurons(added, self.values[name])

    def _alike(self, node: Node) -> tuple[str, ...]:
        """Return the sources of a sum or concatenation such that they are of one kind and scale."""
        signals = [self._signal(source) for source in node.sources]
        first = signals[0]
        if all(signal.kind == first.kind and signal.scale == first.scale for signal in signals):
            return tuple(
                self.values[source] if first.kind != "gated" else self._neurons(source) for source in node.sources
            )
        plain = ("spikes", "currents") if isinstance(node, Added) else ("spikes",)
        return tuple(
            self.values[source] if signal.kind in plain and signal.scale == 1 else self._neurons(source)
            for source, signal in zip(node.sources, signals, strict=True)
        )

    def _check_sizes(self, node: Node) -> None:
        shapes = [self.build.shape(self.values[source]) for source in node.sources]
        if len({shape[1:] for shape in shapes}) > 1:
            sizes = " and ".join(dict.fromkeys(f"{height}x{width}" for _, height, width in shapes))
            raise PlanError(f"{node.name}: a {node.OP} of {sizes} pixels; use images of the size that was traced")

    def _signal(self, name: str) -> Signal:
        return self.build.signals[self.values[name]]


def _excitations(graph: Graph) -> frozenset[str]:
    """Return the convolutions between a mean over space and the gate that it controls."""
    found: set[str] = set()
    for node in graph.nodes:
        at = graph.by_name[node.gate] if isinstance(node, Gated) else None
        path: set[str] = set()
        while isinstance(at, Layer | Activated) and at.source != INPUT:
            path.add(at.name)
            at = graph.by_name[at.source]
        found |= path if isinstance(at, Mean) else set()
    return frozenset(found)
