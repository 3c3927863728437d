"""Which filter each channel of a plan comes from, and which filters stand or fall together. No torch.

A channel keeps its origin through pools, concatenations, slices, shuffles, gates, neurons and dropout; behind a sum it
has several. Filters whose channels are added, a depthwise filter and the channel that it reads, and a gate and what it
gates are coupled: where one is left out, so are the others (Fang et al. 2023, DepGraph, arXiv:2301.12900).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from snnkit.architecture.plan import Concat, Conv, Gate, Plan, Shuffle, Slice, Sum, sources

Filter = tuple[str, int]  # of a convolution, by its name; of "input" a channel of the image
Origins = tuple[frozenset[Filter], ...]  # for each channel of a value the filters that are summed in it


@dataclass(frozen=True)
class Channels:
    """``origins``: by the name of an operation; ``group``: of a filter the first of those that it is coupled with."""

    origins: Mapping[str, Origins]
    group: Mapping[Filter, Filter]

    def read_by(self, conv: Conv) -> Origins:
        return self.origins[conv.source]


def channels(plan: Plan) -> Channels:
    """Origins and couplings of all values of ``plan``."""
    origins: dict[str, Origins] = {"input": _own("input", plan.in_shape[0])}
    coupled = _Coupled()
    for op in plan.ops:
        read = [origins[name] for name in sources(op)]
        origins[op.name] = _written(op, read)
        coupled.join_each(origins[op.name])
        if (isinstance(op, Conv) and is_depthwise(op)) or isinstance(op, Gate):
            other = origins[op.name] if isinstance(op, Conv) else read[1]
            coupled.join_each(mine | theirs for mine, theirs in zip(read[0], other, strict=True))
    return Channels(origins, coupled.groups())


def is_depthwise(conv: Conv) -> bool:
    """Whether each of its filters reads one channel, its own."""
    return 1 < conv.groups == conv.in_shape[0] == conv.out_shape[0]


def _own(name: str, count: int) -> Origins:
    return tuple(frozenset({(name, index)}) for index in range(count))


def _written(op: object, read: list[Origins]) -> Origins:
    """The origins of what ``op`` puts out, given those of what it reads."""
    match op:
        case Conv():
            return _own(op.name, op.out_shape[0])
        case Concat():
            return tuple(channel for each in read for channel in each)
        case Slice():
            return read[0][op.start : op.stop]
        case Shuffle():
            size = len(read[0]) // op.groups
            return tuple(read[0][group * size + at] for at in range(size) for group in range(op.groups))
        case Sum():
            return tuple(frozenset().union(*each) for each in zip(*read, strict=True))
        case _:
            return read[0]


class _Coupled:
    """Disjoint sets of filters, each known by its first member."""

    def __init__(self) -> None:
        self._towards: dict[Filter, Filter] = {}

    def join_each(self, sets: Iterable[frozenset[Filter]]) -> None:
        """Each set becomes part of one group."""
        for joined in sets:
            first, *others = sorted({self._first(each) for each in joined})
            self._towards |= dict.fromkeys(others, first)

    def groups(self) -> dict[Filter, Filter]:
        return {each: self._first(each) for each in self._towards}

    def _first(self, each: Filter) -> Filter:
        towards = self._towards.setdefault(each, each)
        if towards != each:
            towards = self._towards[each] = self._first(towards)
        return towards
