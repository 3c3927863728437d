"""What a study shows: which published and named candidates are dominated, and whether the energy model decides it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import correlation
from typing import TypeVar

from reports.analysis.front import dominators, finished, front_trials
from reports.analysis.pareto import Point, dominates
from reports.records.study import Metrics, ReferencePoint, StudyRecord, TrialRecord

Member = TypeVar("Member")


@dataclass(frozen=True)
class Comparison:
    """A published point against the finished candidates, on its own terms: test accuracy, its price, parameters."""

    reference: ReferencePoint
    dominated_by: tuple[TrialRecord, ...]  # most accurate on the test set first
    within: TrialRecord | None  # the most accurate at no more energy and no more parameters
    comparable: bool  # some candidate is priced as the published point is


@dataclass(frozen=True)
class RankReversal:
    """Pairs of front candidates whose order by energy differs between the study's price and another."""

    price: str
    pairs: int
    flipped: int
    example: tuple[TrialRecord, TrialRecord] | None  # less energy first by the study's price, more by the other


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of each objective by shared weights with that of the finished candidates."""

    trials: int
    correlations: dict[str, float]


def shared_ranks(study: StudyRecord) -> Agreement | None:
    """How far shared weights ranked as training did; None where fewer than three trained candidates tell."""
    pairs = [(t.shared.values, t.values) for t in finished(study) if t.shared is not None]
    found = {}
    for objective in study.header.objectives if len(pairs) > 2 else ():
        before, after = (_places([values[objective.name] for values in column]) for column in zip(*pairs, strict=True))
        if len(set(before)) > 1 and len(set(after)) > 1:
            found[objective.name] = correlation(before, after)
    return Agreement(len(pairs), found) if found else None


def _places(values: list[float]) -> list[float]:
    """Of each value its rank; equal ones share the mean of theirs."""
    return [sum(other < value for other in values) + values.count(value) / 2 for value in values]


def compare_references(study: StudyRecord) -> tuple[Comparison, ...]:
    """Every published point of the space, in its order."""
    return tuple(_compare(reference, finished(study)) for reference in study.header.references)


def on_its_terms(
    reference: ReferencePoint, members: Sequence[Member], terms: Callable[[Member], Point | None]
) -> tuple[Point, list[tuple[Point, Member]]]:
    """A published point, and those of ``members`` that have its ``terms``, the most accurate first: losses."""
    points = [(point, member) for member in members if (point := terms(member)) is not None]
    own = (-reference.accuracy, reference.energy_mj, float(reference.params))
    return own, sorted(points, key=lambda pair: pair[0])


def _compare(reference: ReferencePoint, trials: tuple[TrialRecord, ...]) -> Comparison:
    own, points = on_its_terms(reference, trials, lambda trial: _published_terms(trial.metrics, reference.price))
    within = [t for point, t in points if point[1] <= own[1] and point[2] <= own[2]]
    return Comparison(
        reference=reference,
        dominated_by=tuple(t for point, t in points if dominates(point, own)),
        within=within[0] if within else None,
        comparable=bool(points),
    )


def _published_terms(metrics: Metrics | None, price: str) -> Point | None:
    if metrics is None or price not in metrics.energy_mj:
        return None
    return (-metrics.test_accuracy, metrics.energy_mj[price], float(metrics.params))


def dominated_names(study: StudyRecord) -> dict[int, tuple[TrialRecord, ...]]:
    """Number of each finished named candidate -> the found candidates that dominate it in the study's objectives."""
    trials = finished(study)
    found = [t for t in trials if t.name is None]
    return {t.number: dominators(study, t, found) for t in trials if t.name is not None}


def energy_flips(study: StudyRecord) -> tuple[RankReversal, ...]:
    """One for each price but the study's own that all front candidates have."""
    front = [t for t in front_trials(study) if t.metrics and study.header.price in t.metrics.energy_mj]
    shared = [set(t.metrics.energy_mj) for t in front if t.metrics]
    prices = sorted(set.intersection(*shared)) if shared else []
    return tuple(_flip(study.header.price, price, front) for price in prices if price != study.header.price)


def _flip(own: str, other: str, front: list[TrialRecord]) -> RankReversal:
    ordered = sorted(front, key=lambda t: (energy(t, own), t.number))
    pairs = list(combinations(ordered, 2))
    flipped = [(a, b) for a, b in pairs if energy(a, own) < energy(b, own) and energy(a, other) > energy(b, other)]
    example = max(
        flipped,
        key=lambda pair: min(
            energy(pair[1], own) / energy(pair[0], own), energy(pair[0], other) / energy(pair[1], other)
        ),
        default=None,
    )
    return RankReversal(other, len(pairs), len(flipped), example)


def _factor(pair: tuple[TrialRecord, ...], price: str) -> float:
    """How many times more the second needs than the first."""
    return energy(pair[1], price) / max(energy(pair[0], price), 1e-12)


def energy(trial: TrialRecord, price: str) -> float:
    """Millijoules per inference of a complete trial."""
    assert trial.metrics is not None  # complete trials have metrics
    return trial.metrics.energy_mj[price]
