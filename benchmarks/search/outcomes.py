"""Scale the results of candidates for a comparison, and select the figures that every run must reproduce."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from reports.analysis.pareto import Point
from reports.records.study import TrialRecord

Key = TypeVar("Key")


def losses(accuracy: float, energy_mj: float, params: float) -> Point:
    """Return the objectives to be minimised: accuracy is linear, energy and parameters are logarithmic."""
    return (-accuracy, math.log(energy_mj), math.log(params))


def scaled(points: Mapping[Key, Point]) -> dict[Key, Point]:
    """Scale each objective to 0 at the best of all points and 1 at the worst."""
    ends = [(min(column), max(column)) for column in zip(*points.values(), strict=True)]
    return {
        key: tuple((x - low) / (high - low) for x, (low, high) in zip(point, ends, strict=True))
        for key, point in points.items()
    }


def figures(record: TrialRecord) -> dict[str, Any]:
    """Return what must not depend on interruptions: everything except clocks and counts of starts."""
    kept = record.model_dump(exclude={"started_at", "finished_at", "wall_s", "restarts", "device"})
    kept["history"] = [{key: value for key, value in epoch.items() if key != "wall_s"} for epoch in kept["history"]]
    return kept
