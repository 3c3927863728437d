"""Pareto dominance, fronts and ranks, for any number of objectives.

All functions take losses: points as tuples of finite floats, with every coordinate to be minimised. `as_losses` turns
values with directions into such a point. Ranks are computed by efficient non-dominated sorting with bisection (Zhang et
al. 2015), in pure Python: `snnsearch status` needs them and starts without NumPy.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Protocol

from reports.records.study import Direction

Point = tuple[float, ...]


def as_losses(values: Sequence[float], directions: Sequence[Direction]) -> Point:
    """Return the point as losses: values to be maximised change their sign."""
    return tuple(-v if d == "maximize" else v for v, d in zip(values, directions, strict=True))


def dominates(a: Point, b: Point) -> bool:
    """Return whether ``a`` is nowhere worse than ``b`` and somewhere better. Equal points dominate neither way."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def ranks(points: Sequence[Point]) -> list[int]:
    """Return the non-dominated rank of each point, 0 for the front. Equal points share a rank."""
    found = [0] * len(points)
    fronts: list[Layer] = []
    before, rank = None, 0
    for index in sorted(range(len(points)), key=points.__getitem__):  # only earlier points can dominate a point
        point = points[index]
        if point != before:
            # a point that one front dominates is dominated by every better front too
            rank = bisect_left(fronts, True, key=lambda front: not front.dominates(point))
            if rank == len(fronts):
                fronts.append(_layer(len(point)))
            fronts[rank].add(point)
            before = point
        found[index] = rank
    return found


def front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points that no other point dominates, in the given order."""
    found: list[int] = []
    before, free = None, False
    layer = _layer(len(points[0])) if points else _PointList()
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
    """The points of one front. They are added in lexicographic order, each once."""

    def dominates(self, point: Point) -> bool:
        """Return whether one of them dominates ``point``, which follows all of them in the order."""

    def add(self, point: Point) -> None: ...


class _Staircase:
    """A front with up to three objectives.

    A later point is nowhere better in the first objective, so the other two decide. Their undominated values form a
    staircase that bisection searches: 5,000 points take a tenth of a second.
    """

    def __init__(self) -> None:
        self._y: list[float] = []  # ascending
        self._z: list[float] = []  # descending

    def dominates(self, point: Point) -> bool:
        y, z = _second_and_third(point)
        at = bisect_right(self._y, y)
        return at > 0 and self._z[at - 1] <= z

    def add(self, point: Point) -> None:
        y, z = _second_and_third(point)
        at = end = bisect_left(self._y, y)
        while end < len(self._y) and self._z[end] >= z:
            end += 1
        self._y[at:end] = [y]
        self._z[at:end] = [z]


class _PointList:
    """A front with any number of objectives, compared point by point."""

    def __init__(self) -> None:
        self._points: list[Point] = []

    def dominates(self, point: Point) -> bool:
        return any(dominates(q, point) for q in self._points)

    def add(self, point: Point) -> None:
        self._points.append(point)


def _layer(objectives: int) -> Layer:
    return _Staircase() if objectives <= 3 else _PointList()


def _second_and_third(point: Point) -> tuple[float, float]:
    """Return the second and third objective; 0 for a missing one."""
    _, y, z = (*point, 0.0, 0.0)[:3]
    return y, z
