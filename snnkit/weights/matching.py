"""Decide which filters and input channels of a parent network a child inherits, layer by layer. Does not load torch.

Layers are matched by name. If the child has fewer filters, the most important ones stay; coupled filters stay together
and are ranked by their mean importance. If it has more, the last ones have no match. Input channels are matched by
origin, so a removed filter also removes its channel from every layer that reads it. Channels left over on both sides,
because a removed module changed what is read, are matched by position, or by importance if the child reads fewer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from snnkit.architecture.channels import Channels, Filter, channels, is_depthwise
from snnkit.architecture.plan import Conv, Plan

ParentIndices = tuple[int | None, ...]  # for each filter or channel of the child: the parent's index, or None


@dataclass(frozen=True)
class Match:
    """What a layer of the child inherits from the parent's layer of the same name."""

    filters: ParentIndices
    inputs: ParentIndices
    rewired: bool  # some input channels have another origin than in the parent


@dataclass(frozen=True)
class Importance:
    """Importance of the filters and input channels of a parent's layer, comparable within the layer only."""

    filters: Sequence[float]
    inputs: Sequence[float]


def match(child: Plan, parent: Plan, importance: Mapping[str, Importance]) -> dict[str, Match]:
    """Return a Match for every layer name that both plans have, in the child's order of execution."""
    matcher = _Matcher(child, parent, importance)
    parent_convs = {conv.name: conv for conv in parent.convs}
    return {
        conv.name: matcher.layer(conv, parent_convs[conv.name]) for conv in child.convs if conv.name in parent_convs
    }


class _Matcher:
    """Match the child's layers in order, and remember the decisions for groups of coupled filters."""

    def __init__(self, child: Plan, parent: Plan, importance: Mapping[str, Importance]) -> None:
        self._child, self._parent, self._importance = channels(child), channels(parent), importance
        self._filters: dict[Filter, Filter] = {("input", index): ("input", index) for index in range(child.in_shape[0])}
        self._groups: dict[Filter, Filter] = {}  # the child's group -> the parent's group
        self._group_importance = _group_importance(self._parent, importance)

    def layer(self, own: Conv, theirs: Conv) -> Match:
        filters = self._match_filters(own, theirs)
        self._filters |= {(own.name, at): (own.name, index) for at, index in enumerate(filters) if index is not None}
        return Match(filters, *self._match_inputs(own, theirs))

    def _match_filters(self, own: Conv, theirs: Conv) -> ParentIndices:
        parent_index = {self._parent.group[own.name, index]: index for index in reversed(range(theirs.out_shape[0]))}
        found: dict[int, int] = {}
        for at in range(own.out_shape[0]):  # a filter coupled with one of an earlier layer follows its match
            group = self._groups.get(self._child.group[own.name, at])
            if group is not None and group in parent_index:
                found[at] = parent_index[group]
        used = set(found.values())
        importance = [self._group_importance[self._parent.group[own.name, n]] for n in range(theirs.out_shape[0])]
        for mine, candidates in _matchable_filters(own, theirs):
            unmatched = [at for at in mine if at not in found]
            free = [index for index in candidates if index not in used]
            found |= dict(zip(unmatched, _most_important(len(unmatched), free, importance), strict=False))
        for at, index in found.items():
            self._groups.setdefault(self._child.group[own.name, at], self._parent.group[own.name, index])
        return tuple(found.get(at) for at in range(own.out_shape[0]))

    def _match_inputs(self, own: Conv, theirs: Conv) -> tuple[ParentIndices, bool]:
        parent_index = {each: at for at, origin in enumerate(self._parent.read_by(theirs)) for each in origin}
        found: dict[int, int] = {}
        used: set[int] = set()
        for at, origin in enumerate(self._child.read_by(own)):
            same = {parent_index[f] for each in origin if (f := self._filters.get(each)) in parent_index} - used
            if same:
                found[at] = min(same)
                used.add(found[at])
        unmatched = [at for at in range(own.in_shape[0]) if at not in found]
        free = [index for index in range(theirs.in_shape[0]) if index not in used]
        chosen = _most_important(len(unmatched), free, self._importance[own.name].inputs)
        rewired = dict(zip(unmatched, chosen, strict=False))
        found |= rewired
        return tuple(found.get(at) for at in range(own.in_shape[0])), bool(rewired)


def _group_importance(parent: Channels, importance: Mapping[str, Importance]) -> dict[Filter, float]:
    """Return the mean importance of each group of coupled filters. Each filter is divided by the mean of its layer."""
    found: dict[Filter, list[float]] = {}
    for name, layer in importance.items():
        mean = fmean(layer.filters) or 1.0
        for index, value in enumerate(layer.filters):
            found.setdefault(parent.group[name, index], []).append(value / mean)
    return {group: fmean(values) for group, values in found.items()}


def _matchable_filters(own: Conv, theirs: Conv) -> list[tuple[range, range]]:
    """Pair the child's filters with the parent's that they may match.

    If both layers have the same number of groups, filters match within their group; otherwise any filter may match.
    """
    groups = own.groups if own.groups == theirs.groups and not is_depthwise(own) else 1
    sizes = own.out_shape[0] // groups, theirs.out_shape[0] // groups
    mine, others = ([range(group * size, (group + 1) * size) for group in range(groups)] for size in sizes)
    return list(zip(mine, others, strict=True))


def _most_important(count: int, free: Sequence[int], importance: Sequence[float]) -> list[int]:
    """Return the ``count`` most important of the ``free`` indices, or all of them, in rising order."""
    return sorted(sorted(free, key=lambda index: (-importance[index], index))[:count])
