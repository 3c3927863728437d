"""A network as a graph of layers, before any choice: what `snnkit.families.traced` searches over.

A graph has neither shapes nor weights. Its text form is one line per layer, so that a space can hold it:

    layer1.0.conv1 = conv(maxpool, channels=64, kernel=3, padding=1, batchnorm=true, activation=relu)
    layer1.0.sum = sum(layer1.0.conv2, maxpool)

A name before the last dot is the module that the layer belongs to. The last line gives the class scores.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal, get_args, get_type_hints

from snnkit.architecture.plan import Activation

INPUT = "input"  # the image
MAX_LAYERS = 1000  # so that any space is read or refused within seconds; EfficientNet-B0 has 125
_LINE = re.compile(r"([\w.]+) = (\w+)\(([^()]*)\)")
_NAME = re.compile(r"\w+(\.\w+)*")


class GraphError(ValueError):
    """A line of a graph is wrong. The message names the layer, what is allowed and what to write."""


@dataclass(frozen=True)
class Node:
    """A layer. ``sources`` are names of earlier layers, or `INPUT`."""

    name: str
    sources: tuple[str, ...]
    OP: ClassVar[str]
    SOURCES: ClassVar[int] = 1  # number of values that it reads; 2 of a sum or a concatenation: at least 2

    @property
    def source(self) -> str:
        return self.sources[0]


@dataclass(frozen=True)
class Layer(Node):
    """The keys that convolutions share. BatchNorm and activation follow the convolution."""

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = False
    batchnorm: bool = False
    activation: Activation | None = None


@dataclass(frozen=True)
class Convolution(Layer):
    """A convolution. A linear layer is one with a kernel of 1."""

    OP: ClassVar[str] = "conv"
    channels: int = 0
    groups: int = 1


@dataclass(frozen=True)
class Depthwise(Layer):
    """A convolution with one filter for each channel that it reads."""

    OP: ClassVar[str] = "depthwise"


@dataclass(frozen=True)
class Pooling(Node):
    """Max or average pooling; the average counts the padding."""

    OP: ClassVar[str] = "pool"
    kind: Literal["max", "avg"] = "max"
    kernel: int = 2
    stride: int = 2
    padding: int = 0
    ceil: bool = False


@dataclass(frozen=True)
class Mean(Node):
    """Mean over space."""

    OP: ClassVar[str] = "mean"


@dataclass(frozen=True)
class Part(Node):
    """Channels ``start`` to ``start + channels``."""

    OP: ClassVar[str] = "slice"
    start: int = 0
    channels: int = 0


@dataclass(frozen=True)
class Joined(Node):
    """Concatenation of channels."""

    OP: ClassVar[str] = "concat"
    SOURCES: ClassVar[int] = 2


@dataclass(frozen=True)
class Shuffled(Node):
    """Channel shuffle."""

    OP: ClassVar[str] = "shuffle"
    groups: int = 2


@dataclass(frozen=True)
class Added(Node):
    """Residual sum."""

    OP: ClassVar[str] = "sum"
    SOURCES: ClassVar[int] = 2


@dataclass(frozen=True)
class Activated(Node):
    """An activation that does not directly follow a convolution."""

    OP: ClassVar[str] = "activation"
    kind: Activation = "relu"


@dataclass(frozen=True)
class Gated(Node):
    """The first value times the second one, which has one number per channel: the end of a squeeze-excite."""

    OP: ClassVar[str] = "gate"
    SOURCES: ClassVar[int] = 2

    @property
    def gate(self) -> str:
        return self.sources[1]


@dataclass(frozen=True)
class Dropped(Node):
    """Dropout of single elements."""

    OP: ClassVar[str] = "dropout"
    rate: float = 0.5


KINDS: dict[str, type[Node]] = {
    kind.OP: kind
    for kind in (Convolution, Depthwise, Pooling, Mean, Part, Joined, Shuffled, Added, Activated, Gated, Dropped)
}


@dataclass(frozen=True)
class Graph:
    """Layers in order of execution. The last one gives the class scores."""

    nodes: tuple[Node, ...]

    @cached_property
    def by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def readers(self) -> dict[str, tuple[Node, ...]]:
        """The layers that read each value."""
        found: dict[str, list[Node]] = {name: [] for name in (INPUT, *(node.name for node in self.nodes))}
        for node in self.nodes:
            for source in dict.fromkeys(node.sources):
                found[source].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def classifier(self) -> Convolution:
        """The convolution whose channels are the classes. Raises GraphError if there is none."""
        node = self.nodes[-1]
        while isinstance(node, Mean | Activated | Dropped) and node.source != INPUT:
            node = self.by_name[node.source]
        if not isinstance(node, Convolution) or node.groups != 1 or len(self.readers[node.name]) > 1:
            raise GraphError(
                f"{node.name}: a {node.OP} gives the class scores; end the network with a linear layer or a convolution"
            )
        return node

    @property
    def lines(self) -> tuple[str, ...]:
        """The text form."""
        return tuple(map(_line, self.nodes))


@lru_cache(256)
def parse(lines: tuple[str, ...]) -> Graph:
    """Return the graph with this text form. Raises GraphError."""
    if len(lines) > MAX_LAYERS:
        raise GraphError(f"graph: has {len(lines):,} layers; use a network of at most {MAX_LAYERS:,}")
    nodes: list[Node] = []
    known = {INPUT}
    for line in lines:
        node = _node(line)
        for source in node.sources:
            if source not in known:
                raise GraphError(f"{node.name}: reads {source}, which no earlier line defines; check the name")
        if node.name in known:
            raise GraphError(f"{node.name}: two layers have this name; rename one of them")
        if INPUT in node.sources and not isinstance(node, Convolution):
            raise GraphError(f"{node.name}: a {node.OP} reads the image; begin the network with a convolution")
        known.add(node.name)
        nodes.append(node)
    if not nodes:
        raise GraphError("graph: has no layer; write it with: snnsearch scaffold")
    graph = Graph(tuple(nodes))
    unread = [name for name, readers in graph.readers.items() if not readers and name != nodes[-1].name]
    if unread:
        raise GraphError(f"{unread[0]}: nothing reads it; remove the line, or move it to the end")
    if graph.classifier.source == INPUT:
        raise GraphError(f"{graph.classifier.name}: is the only layer; put a convolution before it")
    keys = Counter(key_of(node.name) for node in nodes)
    for node in nodes:
        if keys[key_of(node.name)] > 1:
            raise GraphError(f"{node.name}: its name equals another one if dots become underscores; rename one of them")
    return graph


def key_of(name: str) -> str:
    """Return the name of a module or layer as a key of a space, whose paths have dots of their own: "layer1_0".

    A name that begins with a digit, as in nn.Sequential, gets a word before it, because YAML reads it as a number.
    """
    return ("module_" if name[0].isdecimal() else "") + name.replace(".", "_")


_ALWAYS = ("channels", "kind", "start", "rate")  # options that a line states even at their defaults


def _line(node: Node) -> str:
    options = sorted(_options(type(node)), key=lambda each: each.name not in _ALWAYS)
    given = [
        f"{each.name}={_text(getattr(node, each.name))}"
        for each in options
        if each.name in _ALWAYS or getattr(node, each.name) != each.default
    ]
    return f"{node.name} = {node.OP}({', '.join((*node.sources, *given))})"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _options(kind: type[Node]) -> list[Any]:
    return [each for each in fields(kind) if each.default is not MISSING]


def _node(line: str) -> Node:
    found = _LINE.fullmatch(line)
    if found is None or not _NAME.fullmatch(found[1]):
        raise GraphError(f"{line[:60]!r}: is no layer; write NAME = OPERATION(SOURCE, key=value)")
    name, op, inside = found.groups()
    kind = KINDS.get(op)
    if kind is None:
        raise GraphError(f"{name}: unknown operation {op}; allowed are {', '.join(KINDS)}")
    words = [word.strip() for word in inside.split(",")]
    sources = tuple(word for word in words if "=" not in word)
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if not sources[0] or len(sources) < kind.SOURCES or (len(sources) > kind.SOURCES and kind not in (Joined, Added)):
        raise GraphError(f"{name}: {op} reads {kind.SOURCES} value{'s' if kind.SOURCES > 1 else ''}; given {inside!r}")
    hints = get_type_hints(kind)
    allowed = {each.name for each in _options(kind)}
    if unknown := sorted(given.keys() - allowed):
        raise GraphError(f"{name}: {op} has no {unknown[0]}; allowed are {', '.join(sorted(allowed)) or 'no keys'}")
    return _checked(kind(name, sources, **{key: _value(name, key, text, hints[key]) for key, text in given.items()}))


def _value(name: str, key: str, text: str, hint: Any) -> Any:
    """Return an option as its type has it. Raises GraphError."""
    words = tuple(_words(hint))
    if words:
        if text in words:
            return text
        raise GraphError(f"{name}: given {key}={text}; allowed are {', '.join(words)}")
    try:
        return {"true": True, "false": False}[text] if hint is bool else hint(text)
    except (KeyError, ValueError):
        raise GraphError(f"{name}: given {key}={text}; write {_EXAMPLES[hint]}") from None


_EXAMPLES = {bool: "true or false", int: "a whole number", float: "a number such as 0.2"}


def _words(hint: Any) -> Iterator[str]:
    for each in get_args(hint):
        if isinstance(each, str):
            yield each
        else:
            yield from _words(each)


def _checked(node: Node) -> Node:
    """Return ``node`` if its numbers can be. Raises GraphError."""
    least = {"channels": 1, "kernel": 1, "stride": 1, "groups": 1, "padding": 0, "start": 0}
    for key, bound in least.items():
        if getattr(node, key, bound) < bound:
            raise GraphError(f"{node.name}: given {key}={getattr(node, key)}; write {bound} or more")
    if isinstance(node, Dropped) and not 0 <= node.rate < 1:
        raise GraphError(f"{node.name}: given rate={node.rate}; write a number from 0 to below 1")
    if isinstance(node, Pooling) and node.ceil and node.padding:
        raise GraphError(f"{node.name}: given ceil with padding; remove one of the two")
    return node


def modules_of(names: Sequence[str], prefix: str) -> tuple[str, ...]:
    """Return the names of the modules and layers directly in module ``prefix`` ("" is the network), in order."""
    start = f"{prefix}." if prefix else ""
    inside = (name[len(start) :] for name in names if name.startswith(start))
    return tuple(dict.fromkeys(start + name.split(".")[0] for name in inside))


def belongs(name: str, module: str) -> bool:
    """Return whether the layer ``name`` is ``module`` or in it."""
    return name == module or name.startswith(f"{module}.")
