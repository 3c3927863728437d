"""Follow each channel of a plan to the filters that produce it, and find filters that must be pruned together.

A channel keeps its origin through pools, concatenations, slices, shuffles, gates, neurons and dropout; after a sum it
has several. Three kinds of filters are coupled, so that pruning one removes the others (DepGraph; Fang et al. 2023,
arXiv:2301.12900): filters whose channels are added, a depthwise filter and the channel that it reads, and a gate and
the channel that it multiplies.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scipy.cluster.hierarchy import DisjointSet

from snnkit.architecture.plan import Concat, Conv, Gate, Plan, Shuffle, Slice, Sum, sources

Filter = tuple[str, int]  # (name of the convolution, index); ("input", index) is a channel of the image
Origins = tuple[frozenset[Filter], ...]  # for each channel, the filters that are summed in it


@dataclass(frozen=True)
class Channels:
    """Origins by the name of an operation, and for each filter the one that identifies its coupled group."""

    origins: Mapping[str, Origins]
    group: Mapping[Filter, Filter]

    def read_by(self, conv: Conv) -> Origins:
        """Origins of the channels that ``conv`` reads."""
        return self.origins[conv.source]


def channels(plan: Plan) -> Channels:
    """Find the origins of every value of ``plan``, and the coupled filters."""
    origins: dict[str, Origins] = {"input": _own_channels("input", plan.in_shape[0])}
    coupled = _CoupledFilters()
    for op in plan.ops:
        read = [origins[name] for name in sources(op)]
        origins[op.name] = _outgoing(op, read)
        coupled.join_each(origins[op.name])
        if (isinstance(op, Conv) and is_depthwise(op)) or isinstance(op, Gate):
            other = origins[op.name] if isinstance(op, Conv) else read[1]
            coupled.join_each(mine | theirs for mine, theirs in zip(read[0], other, strict=True))
    return Channels(origins, coupled.representatives())


def is_depthwise(conv: Conv) -> bool:
    """Whether each filter reads exactly one channel, the one with its own index."""
    return 1 < conv.groups == conv.in_shape[0] == conv.out_shape[0]


def _own_channels(name: str, count: int) -> Origins:
    return tuple(frozenset({(name, index)}) for index in range(count))


def _outgoing(op: object, read: list[Origins]) -> Origins:
    """Origins of the output of ``op``, from the origins of its inputs."""
    match op:
        case Conv():
            return _own_channels(op.name, op.out_shape[0])
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


class _CoupledFilters:
    """Disjoint sets of filters. The smallest filter of a set identifies it."""

    def __init__(self) -> None:
        self._sets = DisjointSet()

    def join_each(self, groups: Iterable[frozenset[Filter]]) -> None:
        """Merge the sets of all filters in a group, group by group."""
        for first, *others in groups:
            self._sets.add(first)
            for other in others:
                self._sets.add(other)
                self._sets.merge(first, other)

    def representatives(self) -> dict[Filter, Filter]:
        """Map every filter to the smallest one that it is coupled with."""
        return {each: min(coupled) for coupled in self._sets.subsets() for each in coupled}
