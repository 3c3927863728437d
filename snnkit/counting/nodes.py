"""What a traced model has done: its operations, and what each tensor consists of."""

from dataclasses import dataclass, field
from math import prod
from typing import Literal

from torch import Tensor

from snnkit.architecture.plan import Axis, Shape
from snnkit.counting.neurons import NeuronLayer

Kind = Literal["real", "spikes", "gated"]


@dataclass(frozen=True)
class Signal:
    """What a tensor consists of. A tensor without a signal does not depend on the model's input."""

    node: str  # the operation whose output it is; "input"
    kind: Kind  # gated: spikes times real numbers
    unit: float = 1.0  # value of one spike
    most: int = 1  # largest number of spikes in one value
    static: bool = False  # the same at every time step: computed from a still image alone
    image: bool = False  # no layer lies between it and the input
    activated: bool = False  # a nonlinear function lies between it and ``node``


@dataclass
class Node:
    """An operation without costs: a concatenation."""

    name: str
    sources: set[str]


@dataclass
class LayerNode(Node):
    """A convolution or a linear layer, and its sums over all calls so far."""

    in_shape: Shape
    out_shape: Shape
    axes: tuple[Axis, ...]
    groups: int
    bias: bool
    signal: Signal | None = None  # what it reads; None: zeros that do not come from the input
    batchnorm: bool = False
    means: bool = False  # the first layer of a squeeze-excite
    rows: int = 0  # evaluations x images
    spikes: Tensor | float = 0.0  # read at each position; a value that sums two spikes counts as two
    nonzero: Tensor | float = 0.0  # values read at each position


@dataclass
class NeuronsNode(Node):
    """A layer of neurons, and its sums over all calls so far."""

    neurons: NeuronLayer
    shape: Shape
    updates: int = 0  # time steps x images
    spikes: Tensor | float = 0.0  # emitted


@dataclass
class PoolNode(Node):
    """Max or average pooling."""

    kind: Literal["max", "avg"]
    in_shape: Shape
    out_shape: Shape
    axes: tuple[Axis, ...]


@dataclass
class SumNode(Node):
    """A sum of two values that are not both spikes."""

    shape: Shape
    static: bool
    elements: int = 0  # over all calls
    parts: tuple[str, ...] = ()


@dataclass
class Uncounted(Node):
    """An operation whose arithmetic is not counted, in words."""

    reason: str


@dataclass
class Trace:
    """The operations of a model in order of execution."""

    nodes: dict[str, Node] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Add ``text`` to what is not counted, once."""
        if text not in self.notes:
            self.notes.append(text)

    def leading_to_costs(self) -> set[str]:
        """Return the nodes whose output reaches a layer or neurons."""
        ends = [node for node in self.nodes.values() if isinstance(node, LayerNode | NeuronsNode)]
        found: set[str] = set()
        pending = [source for node in ends for source in node.sources]
        while pending:
            name = pending.pop()
            if name in self.nodes and name not in found:
                found.add(name)
                pending += self.nodes[name].sources
        return found

    def neurons_of_layers(self) -> dict[str, NeuronsNode]:
        """Return the neurons that follow a layer directly, by the name of the layer. Nothing else reads its output."""
        leads = self.leading_to_costs()
        readers: dict[str, list[Node]] = {}
        for node in self.nodes.values():
            counted = isinstance(node, LayerNode | NeuronsNode) or node.name in leads
            for source in node.sources if counted else ():
                readers.setdefault(source, []).append(node)
        found = {}
        for name, nodes in readers.items():
            layer, reader = self.nodes.get(name), nodes[0]
            if not (isinstance(layer, LayerNode) and isinstance(reader, NeuronsNode)):
                continue
            alone = len(nodes) == len(reader.sources) == 1
            if alone and prod(layer.out_shape) == prod(reader.shape):
                found[name] = reader
        return found
