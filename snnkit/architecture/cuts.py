"""What may be removed from a graph, and which widths may change, so that every combination still fits.

A removable module has one input and one output of the same height and width, and is replaced by its input. A width
group is a set of convolutions whose channels must grow and shrink by the same ratio. Two rules make every combination
sound:

- For each sum, gate, slice, shuffle and grouped or depthwise convolution, all channels that can reach it belong to one
  group. "Can reach" includes the paths that open when modules are removed. Such layers fit if all their channels are
  scaled by one ratio, because their conditions on the numbers of channels are linear.
- A module whose numbers of incoming and outgoing channels differ is removable only if nothing but ungrouped
  convolutions reads its output. These adapt to any number of channels.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from math import gcd

from scipy.cluster.hierarchy import DisjointSet

from snnkit.architecture.builder import pooled
from snnkit.architecture.graph import (
    INPUT,
    Added,
    Convolution,
    Depthwise,
    Gated,
    Graph,
    Joined,
    Layer,
    Mean,
    Node,
    Part,
    Pooling,
    Shuffled,
    belongs,
    key_of,
    modules_of,
    parse,
)

_SIDES = range(224, 256, 5)  # odd and even sizes: a module keeps the size only if it keeps all of these


@dataclass(frozen=True)
class Unit:
    """A removable module or layer."""

    name: str  # as PyTorch names it: "layer1.0"
    nodes: frozenset[str]
    source: str
    output: str

    @property
    def key(self) -> str:
        """Its key in a space: "layer1_0"."""
        return key_of(self.name)


@dataclass(frozen=True)
class WidthGroup:
    """Convolutions whose widths have a fixed ratio. ``width`` is the number of channels of the first one."""

    members: tuple[str, ...]
    width: int
    step: int  # allowed widths are multiples of it
    unit: Unit | None  # the removable module that holds all members

    @property
    def key(self) -> str:
        """Its key in a space: the name of the first member, relative to the unit."""
        first = self.members[0]
        inside = self.unit is not None and first != self.unit.name
        return key_of(first[len(self.unit.name) + 1 :] if self.unit and inside else first)


@dataclass(frozen=True)
class Cuts:
    """Everything that a space may change in ``graph``."""

    graph: Graph
    units: tuple[Unit, ...]
    groups: tuple[WidthGroup, ...]

    @cached_property
    def _first_producers(self) -> dict[str, str]:
        """One of the convolutions whose channels each value can hold."""
        return {name: min(found) for name, found in _producers(self.graph, self.units).items()}

    @property
    def cells(self) -> tuple[str, ...]:
        """The removable modules, and between them the outermost modules with a convolution, in order."""
        convs = [node.name for node in self.graph.nodes if isinstance(node, Convolution)]
        units = {unit.name for unit in self.units}

        def inside(module: str) -> Iterator[str]:
            if module and (module in units or not any(belongs(unit, module) for unit in units)):
                yield module
            else:
                for child in modules_of(convs, module):
                    yield from inside(child)

        return tuple(inside(""))

    def apply(self, removed: Iterable[str], widths: Mapping[WidthGroup, int]) -> Graph:
        """Return the graph without the units called ``removed``, and with other ``widths``.

        Raises ValueError if a width is no multiple of its group's step.
        """
        check_widths(widths)
        gone = [unit for unit in self.units if unit.name in set(removed)]
        without = frozenset().union(*(unit.nodes for unit in gone))
        bypass = {unit.output: unit.source for unit in gone}
        ratios = {name: Fraction(width, group.width) for group, width in widths.items() for name in group.members}

        def reads(name: str) -> str:
            while name in bypass:
                name = bypass[name]
            return name

        def resized(node: Node) -> Node:
            sources = tuple(map(reads, node.sources))
            if isinstance(node, Convolution):
                return replace(node, sources=sources, channels=_scaled(node.channels, ratios.get(node.name)))
            if isinstance(node, Part):
                ratio = ratios.get(self._first_producers[node.source])
                start, channels = (_scaled(number, ratio) for number in (node.start, node.channels))
                return replace(node, sources=sources, start=start, channels=channels)
            return replace(node, sources=sources)

        return Graph(tuple(resized(node) for node in self.graph.nodes if node.name not in without))


def check_widths(widths: Mapping[WidthGroup, int]) -> None:
    """Raise ValueError if a width is no multiple of its group's step."""
    for group, width in widths.items():
        if width < 1 or width % group.step:
            raise ValueError(f"{group.members[0]}: given width {width}; write a multiple of {group.step}")


def _scaled(number: int, ratio: Fraction | None) -> int:
    scaled = number * (1 if ratio is None else ratio)
    assert scaled.denominator == 1, f"{number} x {ratio} channels"
    return int(scaled)


@lru_cache(64)
def find_cuts(lines: tuple[str, ...]) -> Cuts:
    """Return what may be removed and resized in the graph with this text form. Raises GraphError."""
    graph = parse(lines)
    units = _units(graph)
    return Cuts(graph, units, tuple(_groups(graph, units)))


# -- removal ----------------------------------------------------------------------------------------------------------


def _units(graph: Graph) -> tuple[Unit, ...]:
    sizes, channels, spine = [_sizes(graph, side) for side in _SIDES], _channels(graph), _spine(graph)
    names = [node.name for node in graph.nodes]

    def removable(module: str) -> Unit | None:
        unit = _unit(graph, module)
        if unit is None or any(size[unit.source] != size[unit.output] for size in sizes):
            return None
        only = graph.by_name[unit.output]
        if len(unit.nodes) == 1 and not (isinstance(only, Convolution) and only.activation and only.name in spine):
            return None  # a single layer is a module of its own only in a chain of layers
        return unit if fits(unit, []) else None

    def fits(unit: Unit, later: list[Unit]) -> bool:
        return channels[unit.source] == channels[unit.output] or _only_adaptive_readers(graph, unit, later)

    def outermost(module: str) -> Iterator[Unit]:
        """Yield the outermost removable modules, but the blocks of a stage one by one."""
        below = [unit for child in modules_of(names, module) for unit in outermost(child)]
        blocks = sum(len(unit.nodes) > 1 for unit in below)
        own = {name for name in names if belongs(name, module)}
        is_stage = blocks > 1 or (len(below) > 1 and own == set().union(*(unit.nodes for unit in below)))
        unit = removable(module) if module and not is_stage else None
        yield from [unit] if unit else below

    order = {node.name: at for at, node in enumerate(graph.nodes)}
    kept: list[Unit] = []
    # the last one first: which layers can read the output of a module depends on later modules only
    for unit in sorted(outermost(""), key=lambda each: order[each.output], reverse=True):
        if fits(unit, kept):
            kept.insert(0, unit)
    return tuple(kept)


def _unit(graph: Graph, module: str) -> Unit | None:
    """Return ``module`` as a unit if it has a convolution, one input and one output, and is not first or last."""
    nodes = [node for node in graph.nodes if belongs(node.name, module)]
    names = frozenset(node.name for node in nodes)
    inputs = {source for node in nodes for source in node.sources} - names
    outputs = [
        node.name
        for node in nodes
        if node is graph.nodes[-1] or any(reader.name not in names for reader in graph.readers[node.name])
    ]
    if len(inputs) != 1 or INPUT in inputs or len(outputs) != 1 or graph.classifier.name in names:
        return None
    if not any(isinstance(node, Convolution) for node in nodes):
        return None
    gates = {node.gate for node in graph.nodes if isinstance(node, Gated) and node.name not in names}
    return None if outputs[0] in gates else Unit(module, names, inputs.pop(), outputs[0])


def why_kept(graph: Graph, module: str) -> str:
    """Return why ``module`` cannot be removed, in words that follow its name; for modules that are no `Unit`."""
    names = frozenset(node.name for node in graph.nodes if belongs(node.name, module))
    inputs = {source for name in names for source in graph.by_name[name].sources} - names
    if graph.classifier.name in names:
        return "gives the class scores"
    if INPUT in inputs:
        return "reads the image"
    unit = _unit(graph, module)
    if unit is None:
        return "has several inputs or outputs, or controls a gate"
    sizes = [_sizes(graph, side) for side in _SIDES]
    if any(size[unit.source] != size[unit.output] for size in sizes):
        return "changes the height and width of the images"
    channels = _channels(graph)
    if channels[unit.source] != channels[unit.output]:
        return "changes the number of channels, and not only convolutions read it"
    return "is a part of a larger block"


def _only_adaptive_readers(graph: Graph, unit: Unit, units: list[Unit]) -> bool:
    """Return whether only ungrouped convolutions can read the output of ``unit``, whichever of ``units`` are gone."""
    bypass: dict[str, list[str]] = {}
    for each in units:
        bypass.setdefault(each.source, []).append(each.output)
    pending, seen = [unit.output], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        pending += bypass.get(name, [])
        if not graph.readers[name]:
            return False
        for reader in graph.readers[name]:
            if _couples(reader):
                return False
            if not isinstance(reader, Convolution):
                pending.append(reader.name)
    return True


def _couples(node: Node) -> bool:
    """Return whether the numbers of channels that ``node`` reads must have a certain ratio."""
    return isinstance(node, Added | Gated | Part | Shuffled | Depthwise) or (
        isinstance(node, Convolution) and node.groups > 1
    )


def _spine(graph: Graph) -> frozenset[str]:
    """Return the layers that every path from the image to the scores goes through."""
    order = {node.name: at for at, node in enumerate(graph.nodes)}
    last = {name: max((order[each.name] for each in readers), default=-1) for name, readers in graph.readers.items()}
    live, found = {INPUT}, set()
    for at, node in enumerate(graph.nodes):
        live = {name for name in live if last[name] > at}
        if not live:
            found.add(node.name)
        live.add(node.name)
    return frozenset(found)


def _sizes(graph: Graph, side: int) -> dict[str, int]:
    """Return the side of every value for images of ``side`` pixels."""
    found = {INPUT: side}
    for node in graph.nodes:
        size = found[node.source]
        match node:
            case Layer():
                size = (size + 2 * node.padding - node.kernel) // node.stride + 1
            case Pooling():
                size = pooled(size + 2 * node.padding, node.kernel, node.stride, ceil=node.ceil)
            case Mean():
                size = 1
        found[node.name] = size
    return found


def _channels(graph: Graph) -> dict[str, int]:
    """Return the number of channels of every value except the image, whose number the data decides."""
    found = {INPUT: 0}
    for node in graph.nodes:
        match node:
            case Convolution() | Part():
                found[node.name] = node.channels
            case Joined():
                found[node.name] = sum(found[source] for source in node.sources)
            case _:
                found[node.name] = found[node.source]
    return found


# -- widths -----------------------------------------------------------------------------------------------------------


def _producers(graph: Graph, units: Iterable[Unit]) -> dict[str, frozenset[str]]:
    """Return, for each value, the convolutions whose channels it can hold, whichever of ``units`` are removed."""
    bypass = {unit.output: unit.source for unit in units}
    found: dict[str, frozenset[str]] = {INPUT: frozenset({INPUT})}
    for node in graph.nodes:
        sources = node.sources[:1] if isinstance(node, Gated) else node.sources
        own = {node.name} if isinstance(node, Convolution) else set().union(*(found[source] for source in sources))
        if node.name in bypass:
            own |= found[bypass[node.name]]
        found[node.name] = frozenset(own)
    return found


def _groups(graph: Graph, units: tuple[Unit, ...]) -> Iterator[WidthGroup]:
    producers, channels = _producers(graph, units), _channels(graph)
    convolutions = [node for node in graph.nodes if isinstance(node, Convolution)]
    coupled = DisjointSet([INPUT, *(node.name for node in convolutions)])
    scaled: list[tuple[str, int]] = []  # a number of channels that must stay whole, and a convolution of its group
    for node in graph.nodes:
        if _couples(node):
            read = [name for source in node.sources for name in producers[source]]
            for name in read[1:]:
                coupled.merge(read[0], name)
        match node:
            case Convolution():
                scaled.append((node.name, node.channels // node.groups))
                if node.groups > 1:
                    scaled.append((min(producers[node.source]), channels[node.source] // node.groups))
            case Part():
                scaled += [(min(producers[node.source]), number) for number in (node.start, node.channels)]
            case Shuffled():
                scaled.append((min(producers[node.source]), channels[node.source] // node.groups))
    order = [node.name for node in convolutions]
    members_of = [sorted(members, key=order.index) for members in coupled.subsets() if INPUT not in members]
    for names in map(tuple, sorted(members_of, key=lambda members: order.index(members[0]))):
        if graph.classifier.name in names:
            continue
        divisor = gcd(*(number for name, number in scaled if name in names))
        first = graph.by_name[names[0]]
        assert isinstance(first, Convolution)
        if divisor > 1:
            unit = next((unit for unit in units if unit.nodes.issuperset(names)), None)
            yield WidthGroup(names, first.channels, first.channels // divisor, unit)
