"""Which published points of other networks our networks dominate in accuracy, energy and parameters together."""

from dataclasses import dataclass

from reports.analysis.comparisons import losses_against
from reports.analysis.pareto import Point, dominates
from reports.benchmark.groups import Group, accuracy, energy, groups, params
from reports.document.wording import listing, number, ratio
from reports.records.benchmark import BenchmarkRecord
from reports.records.study import ReferencePoint


@dataclass(frozen=True)
class Comparison:
    """A published point, compared in test accuracy, energy by the point's model, and parameters."""

    reference: ReferencePoint
    dominated_by: tuple[tuple[Point, Group], ...]  # the losses of SNNs whose means dominate it, most accurate first


def comparisons(record: BenchmarkRecord, data: str) -> tuple[Comparison, ...]:
    """Compare every published point with the SNNs on ``data``; empty if none of them is finished."""
    snns = [group for group in groups(record) if group.data == data and group.kind == "snn" and group.n]
    return tuple(_compare(reference, snns) for reference in record.header.references) if snns else ()


def dominance(record: BenchmarkRecord, data: str) -> list[str]:
    """Say for each published point whether it is dominated, and by which of our networks."""
    lines = []
    for comparison in comparisons(record, data):
        point = comparison.reference
        figures = f"{ratio(point.accuracy)}, {number(point.energy_mj)} mJ by {point.price}, {point.params:,} parameters"
        by = [_group(losses, group) for losses, group in comparison.dominated_by]
        verdict = f"is dominated by {listing(by)}" if by else "is not dominated"
        lines.append(f"{point.label} ({figures}) {verdict}.")
    return lines


def _group(losses: Point, group: Group) -> str:
    negative_accuracy, energy_mj, n_params = losses
    return f"{group.network} ({ratio(-negative_accuracy)}, {number(energy_mj)} mJ, {n_params:,.0f}, n = {group.n})"


def _compare(reference: ReferencePoint, snns: list[Group]) -> Comparison:
    own, points = losses_against(reference, snns, lambda group: _point(group, reference.price))
    return Comparison(reference, tuple((point, group) for point, group in points if dominates(point, own)))


def _point(group: Group, energy_model: str) -> Point | None:
    """Return the means over the seeds as losses; None without energy by that model."""
    mean_accuracy, energy_mj, n_params = (group.mean(metric) for metric in (accuracy, energy(energy_model), params))
    if mean_accuracy is None or energy_mj is None or n_params is None:
        return None
    return (-mean_accuracy, energy_mj, n_params)
