"""Pareto dominance and exact hypervolume, for any number of objectives.

Everything works on losses: points as tuples of finite floats, every coordinate to be minimised; `as_losses` turns
values with directions into one. Ranks by efficient non-dominated sorting (Zhang et al. 2015), hypervolume by the WFG
recursion over exclusive volumes (While, Bradstreet and Barone 2012), one objective fewer each time.
"""

import math
from collections.abc import Sequence
from typing import Literal

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
    fronts: list[list[Point]] = []
    for index in sorted(
        range(len(points)), key=lambda i: points[i]
    ):  # so that a point is dominated by earlier ones only
        point = points[index]
        rank = next(
            (r for r, front in enumerate(fronts) if not any(dominates(q, point) for q in front)),
            len(fronts),
        )
        if rank == len(fronts):
            fronts.append([])
        fronts[rank].append(point)
        found[index] = rank
    return found


def front(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other point dominates, in the order given."""
    return [i for i, rank in enumerate(ranks(points)) if rank == 0]


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume dominated by ``points`` and bounded by ``reference``: exact. A point that is not better than the
    reference in every coordinate adds nothing."""
    inside = [p for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    if len(reference) == 1:
        return reference[0] - min((p[0] for p in inside), default=reference[0])
    if len(reference) == 2:
        return _area(inside, reference)
    worst_first = sorted((inside[i] for i in front(inside)), key=lambda p: p[-1], reverse=True)
    flat = [p[:-1] for p in worst_first]  # later points cover the whole depth of earlier ones: one coordinate fewer
    slices = (
        (reference[-1] - p[-1]) * exclusive_volume(flat[i], flat[i + 1 :], reference[:-1])
        for i, p in enumerate(worst_first)
    )
    return math.fsum(slices)


def exclusive_volume(point: Point, others: Sequence[Point], reference: Point) -> float:
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
