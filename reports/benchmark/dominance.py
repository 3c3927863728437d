"""Published points of other networks against ours: which are dominated in accuracy, energy and parameters together."""

from dataclasses import dataclass

from reports.analysis.comparisons import on_its_terms
from reports.analysis.pareto import Point, dominates
from reports.benchmark.groups import Group, accuracy, energy, groups, params
from reports.records.benchmark import BenchmarkRecord
from reports.records.study import ReferencePoint


@dataclass(frozen=True)
class Comparison:
    """A published point on its own terms: test accuracy, energy by its price, parameters."""

    reference: ReferencePoint
    dominated_by: tuple[Group, ...]  # SNNs whose means dominate it, the most accurate first


def comparisons(record: BenchmarkRecord, data: str) -> tuple[Comparison, ...]:
    """Every published point, where some SNN on ``data`` is finished; none otherwise."""
    snns = [group for group in groups(record) if group.data == data and group.kind == "snn" and group.n]
    return tuple(_compared(reference, snns) for reference in record.header.references) if snns else ()


def _compared(reference: ReferencePoint, snns: list[Group]) -> Comparison:
    own, points = on_its_terms(reference, snns, lambda group: _point(group, reference.price))
    return Comparison(reference, tuple(group for point, group in points if dominates(point, own)))


def _point(group: Group, price: str) -> Point | None:
    """Means over the seeds; None where they are not priced so."""
    accurate, mj, size = (group.mean(measure) for measure in (accuracy, energy(price), params))
    return None if accurate is None or mj is None or size is None else (-accurate, mj, size)
