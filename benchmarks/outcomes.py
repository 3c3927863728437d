"""What candidates of a benchmark came to, on one scale: accuracy linear, energy and parameters logarithmic."""

import math
from collections.abc import Mapping
from typing import TypeVar

from reports.pareto import Point

Key = TypeVar("Key")


def losses(accuracy: float, energy_mj: float, params: float) -> Point:
    """To be minimised."""
    return (-accuracy, math.log(energy_mj), math.log(params))


def scaled(points: Mapping[Key, Point]) -> dict[Key, Point]:
    """Each objective 0 at the best of all points and 1 at the worst."""
    ends = [(min(column), max(column)) for column in zip(*points.values(), strict=True)]
    return {
        key: tuple((x - low) / (high - low) for x, (low, high) in zip(point, ends, strict=True))
        for key, point in points.items()
    }
