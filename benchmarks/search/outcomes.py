"""What candidates of a benchmark came to: on one scale, accuracy linear, energy and parameters logarithmic; and what of
it must be the same in every run."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from reports.analysis.pareto import Point
from reports.records.study import TrialRecord

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


def figures(record: TrialRecord) -> dict[str, Any]:
    """What must not depend on interruptions: everything but clocks and counts of starts."""
    kept = record.model_dump(exclude={"started_at", "finished_at", "wall_s", "restarts", "device"})
    kept["history"] = [{key: value for key, value in epoch.items() if key != "wall_s"} for epoch in kept["history"]]
    return kept
