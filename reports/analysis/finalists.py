"""The finalists of a study: means over their trainings, intervals, and the published points that they dominate."""

import math
import statistics
from dataclasses import dataclass

from reports.analysis.comparisons import losses_against
from reports.analysis.pareto import Point, dominates
from reports.records.study import FinalistRecord, ReferencePoint, StudyRecord

Z = 1.959964  # of a normal distribution: 95 % lie within this many standard deviations


@dataclass(frozen=True)
class Finalist:
    """A finalist, with means over its trainings."""

    record: FinalistRecord
    accuracy: float  # on the test images
    interval: tuple[float, float]  # 95 % Wilson interval of the accuracy, for this number of test images
    twin_accuracy: float | None
    energy_mj: float  # by the study's energy model
    params: int
    own: dict[str, float]  # the study's own objectives and constraints; those that were not measured are left out
    dominated: tuple[str, ...]  # labels of the published points


def compare_finalists(study: StudyRecord) -> tuple[Finalist, ...]:
    """Return the finalists of ``study``, the most accurate first."""
    found = [_finalist(study, record) for record in study.finalists]
    return tuple(sorted(found, key=lambda each: -each.accuracy))


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, 0 to 1, of ``n`` images (Wilson 1927)."""
    spread = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    middle = share + Z**2 / (2 * n)
    scale = 1 + Z**2 / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def intervals_overlap(share: float, best: float, n: int) -> bool:
    """Return whether the 95 % intervals of two shares of ``n`` images overlap; ``best`` is the larger one."""
    return wilson_interval(share, n)[1] >= wilson_interval(best, n)[0]


def _finalist(study: StudyRecord, record: FinalistRecord) -> Finalist:
    accuracy = statistics.fmean(each.test_accuracy for each in record.trainings)
    twins = [each.test_accuracy for each in record.twins]
    names = [figure.name for figure in study.header.own_figures]
    dominated = [point.label for point in study.header.references if _dominates(record, point)]
    return Finalist(
        record=record,
        accuracy=accuracy,
        interval=wilson_interval(accuracy, record.test_images),
        twin_accuracy=statistics.fmean(twins) if twins else None,
        energy_mj=statistics.fmean(each.energy_mj[study.header.price] for each in record.trainings),
        params=record.trainings[0].params,
        own={name: statistics.fmean(values) for name in names if (values := _measured(record, name))},
        dominated=tuple(dominated),
    )


def _measured(record: FinalistRecord, name: str) -> list[float]:
    return [each.own[name] for each in record.trainings if name in each.own]


def _dominates(record: FinalistRecord, reference: ReferencePoint) -> bool:
    """Return whether the means of a finalist dominate a published point, with energy by the point's model."""
    own, found = losses_against(reference, [record], lambda each: _point(each, reference.price))
    return any(dominates(losses, own) for losses, _ in found)


def _point(record: FinalistRecord, energy_model: str) -> Point | None:
    """Return the means over the trainings as losses; None without energy by that model."""
    trainings = record.trainings
    if any(energy_model not in each.energy_mj for each in trainings):
        return None
    accuracy = statistics.fmean(each.test_accuracy for each in trainings)
    return (-accuracy, statistics.fmean(each.energy_mj[energy_model] for each in trainings), float(trainings[0].params))
