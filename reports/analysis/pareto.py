"""Pareto dominance and exact hypervolume, for any number of objectives.

Everything works on losses: points as tuples of finite floats, every coordinate to be minimised; `as_losses` turns
values with directions into one. Ranks by efficient non-dominated sorting with bisection (Zhang et al. 2015);
hypervolume by a sweep over up to three objectives, beyond that by the WFG recursion over exclusive volumes (While,
Bradstreet and Barone 2012), one objective fewer each time.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal, Protocol

Direction = Literal["maximize", "minimize"]
Point = tuple[float, ...]


def as_losses(values: Sequence[float], directions: Sequence[Direction]) -> Point:
    """The point to be minimised in every coordinate: values whose direction is ``maximize`` change sign."""
    return tuple(-v if d == "maximize" else v for v, d in zip(values, directions, strict=True))


def dominates(a: Point, b: Point) -> bool:
    """True where ``a`` is nowhere worse than ``b`` and somewhere better. Equal points do not dominate each other."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def ranks(points: Sequence[Point]) -> list[int]:
    """Non-dominated rank of each point, 0 for the front; equal points share a rank."""
    found = [0] * len(points)
    fronts: list[Layer] = []
    before, rank = None, 0
    for index in sorted(range(len(points)), key=points.__getitem__):  # a point is dominated by earlier ones only
        point = points[index]
        if point != before:
            # what a front dominates, every front before it dominates too
            rank = bisect_left(fronts, True, key=lambda front: not front.dominates(point))
            if rank == len(fronts):
                fronts.append(_layer(len(point)))
            fronts[rank].add(point)
            before = point
        found[index] = rank
    return found


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other point dominates, in the order given."""
    found: list[int] = []
    before, free = None, False
    layer = _layer(len(points[0])) if points else _Listed()
    for index in sorted(range(len(points)), key=points.__getitem__):
        if points[index] != before:
            before = points[index]
            free = not layer.dominates(before)
            if free:
                layer.add(before)
        if free:
            found.append(index)
    return sorted(found)


class Layer(Protocol):
    """Points of one front, which come in lexicographic order, none of them twice."""

    def dominates(self, point: Point) -> bool:
        """Whether one of them dominates ``point``, which comes after them all."""

    def add(self, point: Point) -> None: ...


class _Stairs:
    """Up to three objectives: what comes later is nowhere better in the first, so that the others decide. Of those only
    the steps of a staircase count, found by bisection: 5,000 points in a tenth of a second."""

    def __init__(self) -> None:
        self._y: list[float] = []  # ascending
        self._z: list[float] = []  # descending

    def dominates(self, point: Point) -> bool:
        y, z = _others(point)
        at = bisect_right(self._y, y)
        return at > 0 and self._z[at - 1] <= z

    def add(self, point: Point) -> None:
        y, z = _others(point)
        at = end = bisect_left(self._y, y)
        while end < len(self._y) and self._z[end] >= z:
            end += 1
        self._y[at:end] = [y]
        self._z[at:end] = [z]


class _Listed:
    """Any number of objectives, point by point."""

    def __init__(self) -> None:
        self._points: list[Point] = []

    def dominates(self, point: Point) -> bool:
        return any(dominates(q, point) for q in self._points)

    def add(self, point: Point) -> None:
        self._points.append(point)


def _layer(objectives: int) -> Layer:
    return _Stairs() if objectives <= 3 else _Listed()


def _others(point: Point) -> tuple[float, float]:
    """The second and the third objective; 0 for one that is not there."""
    _, y, z = (*point, 0.0, 0.0)[:3]
    return y, z


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume dominated by ``points`` and bounded by ``reference``: exact. A point that is not better than the
    reference in every coordinate adds nothing."""
    inside = [p for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    if len(reference) == 1:
        return reference[0] - min((p[0] for p in inside), default=reference[0])
    if len(reference) == 2:
        return _area(inside, reference)
    if len(reference) == 3:
        return _volume(inside, reference)
    worst_first = sorted((inside[i] for i in front(inside)), key=lambda p: p[-1], reverse=True)
    flat = [p[:-1] for p in worst_first]  # later points cover the whole depth of earlier ones: one coordinate fewer
    slices = (
        (reference[-1] - p[-1]) * hypervolume_contribution(flat[i], flat[i + 1 :], reference[:-1])
        for i, p in enumerate(worst_first)
    )
    return math.fsum(slices)


def hypervolume_contribution(point: Point, others: Sequence[Point], reference: Point) -> float:
    """What ``point`` adds to the hypervolume of ``others``."""
    box = math.prod(max(r - x, 0.0) for x, r in zip(point, reference, strict=True))
    if not others or box == 0.0:
        return box
    limited = [tuple(max(x, y) for x, y in zip(point, q, strict=True)) for q in others]
    return max(box - hypervolume(limited, reference), 0.0)


def _area(points: list[Point], reference: Point) -> float:
    """Two objectives: a sweep along the first, one strip for each new best of the second."""
    area, ceiling = 0.0, reference[1]
    for x, y in sorted(points):
        if y < ceiling:
            area += (reference[0] - x) * (ceiling - y)
            ceiling = y
    return area


def _volume(points: list[Point], reference: Point) -> float:
    """Three objectives: a sweep along the first over the staircase that the other two make (Fonseca, Paquete and
    López-Ibáñez 2006), a slab at each new step."""
    slabs, area, since = [], 0.0, 0.0
    steps = [(-math.inf, reference[2]), (reference[1], -math.inf)]  # the second ascending, the third descending
    for x, y, z in sorted(points):
        at = end = bisect_left(steps, (y, -math.inf))
        if steps[at - 1][1] <= z or (steps[at][0] == y and steps[at][1] <= z):
            continue
        slabs.append(area * (x - since))
        since = x
        left, ceiling = y, steps[at - 1][1]
        while steps[end][1] >= z:
            area += (steps[end][0] - left) * (ceiling - z)
            left, ceiling = steps[end]
            end += 1
        area += (steps[end][0] - left) * (ceiling - z)
        steps[at:end] = [(y, z)]
    return math.fsum([*slabs, area * (reference[0] - since)])
