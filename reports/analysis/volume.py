"""Exact hypervolume by moocore (https://multi-objective.github.io/moocore), for any number of objectives.

Points are losses, as in `reports.analysis.pareto`, with shape (points, objectives).
"""

import math

import moocore
import numpy as np
from numpy.typing import ArrayLike

from reports.analysis.pareto import Point


def hypervolume(points: ArrayLike, reference: Point) -> float:
    """Return the exact volume that ``points`` dominate, bounded by ``reference``.

    A point that is not better than the reference in every coordinate adds nothing.
    """
    array = np.asarray(points)
    return float(moocore.hypervolume(array, ref=reference)) if len(array) else 0.0


def hypervolume_contribution(point: Point, others: ArrayLike, reference: Point) -> float:
    """Return the volume that ``point`` adds to the hypervolume of ``others``."""
    array = np.asarray(others)
    box = math.prod(max(r - x, 0.0) for x, r in zip(point, reference, strict=True))
    if not len(array) or box == 0.0:
        return box
    return max(box - hypervolume(np.maximum(array, point), reference), 0.0)
