"""Which filters and input channels of a parent network a child takes over, layer by layer. No torch.

Filters go by the name of their layer. Where a child has fewer of them, those of the largest importance stay, coupled
ones together and by their mean; where it has more, the last ones have no match. Input channels go by their origin, so
a filter that is left out takes its channel from every reader; what is left over on both sides, because a removed module
changed what is read, is matched by position, or by importance where the child reads fewer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from snnkit.architecture.channels import Channels, Filter, channels, is_depthwise
from snnkit.architecture.plan import Conv, Plan

Picks = tuple[int | None, ...]  # for each of the child's filters or channels that of the parent; None: it has none


@dataclass(frozen=True)
class Match:
    """What one layer of a child takes from the parent's layer of the same name."""

    filters: Picks
    inputs: Picks
    rewired: bool  # some input channels have another origin than in the parent


@dataclass(frozen=True)
class Importance:
    """Of a parent's layer; compared within the layer only."""

    filters: Sequence[float]
    inputs: Sequence[float]


def match(child: Plan, parent: Plan, importance: Mapping[str, Importance]) -> dict[str, Match]:
    """A Match for every layer that both plans have by name, the child's in order of execution."""
    matcher = _Matcher(child, parent, importance)
    theirs = {conv.name: conv for conv in parent.convs}
    return {conv.name: matcher.layer(conv, theirs[conv.name]) for conv in child.convs if conv.name in theirs}


class _Matcher:
    """Takes the child's layers in order, and keeps what was decided about the groups of coupled filters."""

    def __init__(self, child: Plan, parent: Plan, importance: Mapping[str, Importance]) -> None:
        self._child, self._parent, self._importance = channels(child), channels(parent), importance
        self._filters: dict[Filter, Filter] = {("input", index): ("input", index) for index in range(child.in_shape[0])}
        self._groups: dict[Filter, Filter] = {}  # the child's -> the parent's
        self._weight = _group_weights(self._parent, importance)

    def layer(self, own: Conv, theirs: Conv) -> Match:
        filters = self._pick_filters(own, theirs)
        self._filters |= {(own.name, at): (own.name, pick) for at, pick in enumerate(filters) if pick is not None}
        return Match(filters, *self._pick_inputs(own, theirs))

    def _pick_filters(self, own: Conv, theirs: Conv) -> Picks:
        there = {self._parent.group[own.name, index]: index for index in reversed(range(theirs.out_shape[0]))}
        picks: dict[int, int] = {}
        for at in range(own.out_shape[0]):  # what is coupled with an earlier layer's filter follows that
            group = self._groups.get(self._child.group[own.name, at])
            if group is not None and group in there:
                picks[at] = there[group]
        used = set(picks.values())
        weights = [self._weight[self._parent.group[own.name, index]] for index in range(theirs.out_shape[0])]
        for mine, free in _parts(own, theirs):
            left = [at for at in mine if at not in picks]
            found = _chosen(len(left), [index for index in free if index not in used], weights)
            picks |= dict(zip(left, found, strict=False))
        for at, pick in picks.items():
            self._groups.setdefault(self._child.group[own.name, at], self._parent.group[own.name, pick])
        return tuple(picks.get(at) for at in range(own.out_shape[0]))

    def _pick_inputs(self, own: Conv, theirs: Conv) -> tuple[Picks, bool]:
        there = {each: at for at, origin in enumerate(self._parent.read_by(theirs)) for each in origin}
        picks: dict[int, int] = {}
        used: set[int] = set()
        for at, origin in enumerate(self._child.read_by(own)):
            same = {there[filter] for each in origin if (filter := self._filters.get(each)) in there} - used
            if same:
                picks[at] = min(same)
                used.add(picks[at])
        left = [at for at in range(own.in_shape[0]) if at not in picks]
        rest = [index for index in range(theirs.in_shape[0]) if index not in used]
        others = dict(zip(left, _chosen(len(left), rest, self._importance[own.name].inputs), strict=False))
        picks |= others
        return tuple(picks.get(at) for at in range(own.in_shape[0])), bool(others)


def _group_weights(parent: Channels, importance: Mapping[str, Importance]) -> dict[Filter, float]:
    """Of each group the mean over its filters, each compared with the mean of its own layer."""
    found: dict[Filter, list[float]] = {}
    for name, layer in importance.items():
        mean = fmean(layer.filters) or 1.0
        for index, weight in enumerate(layer.filters):
            found.setdefault(parent.group[name, index], []).append(weight / mean)
    return {group: fmean(weights) for group, weights in found.items()}


def _parts(own: Conv, theirs: Conv) -> list[tuple[range, range]]:
    """Filters that may be matched: those of a group with those of the same group, where both have as many groups."""
    count = own.groups if own.groups == theirs.groups and not is_depthwise(own) else 1
    sizes = own.out_shape[0] // count, theirs.out_shape[0] // count
    mine, others = ([range(group * size, (group + 1) * size) for group in range(count)] for size in sizes)
    return list(zip(mine, others, strict=True))


def _chosen(count: int, free: Sequence[int], weights: Sequence[float]) -> list[int]:
    """``count`` of those that are ``free``, or all: the heaviest, in their order."""
    return sorted(sorted(free, key=lambda index: (-weights[index], index))[:count])
