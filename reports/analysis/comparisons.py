"""Comparisons within a study: published points, named candidates, energy models, and ranking by shared weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import correlation
from typing import TypeVar

from reports.analysis.front import dominators, finished, front_trials
from reports.analysis.pareto import Point, dominates
from reports.records.study import Metrics, ReferencePoint, StudyRecord, TrialRecord

Member = TypeVar("Member")
MIN_RANKED = 3  # trained candidates below which a rank correlation says nothing
MIN_ENERGY_MJ = 1e-12  # stands in for zero, so that the ratio of two energies is finite


@dataclass(frozen=True)
class Comparison:
    """A comparison of a published point with the finished candidates in test accuracy, energy by its model and size."""

    reference: ReferencePoint
    dominated_by: tuple[TrialRecord, ...]  # most accurate on the test set first
    within: TrialRecord | None  # the most accurate candidate with no more energy and no more parameters
    comparable: bool  # at least one candidate has energy by the point's model


@dataclass(frozen=True)
class RankReversal:
    """The pairs of front candidates that two energy models order differently: the study's model and ``model``."""

    model: str
    pairs: int
    reversed_pairs: int
    example: tuple[TrialRecord, TrialRecord] | None  # the first needs less by the study's model, more by ``model``


@dataclass(frozen=True)
class SharedWeightsAgreement:
    """Spearman's rank correlation between values by shared weights and values after training, for each objective."""

    trials: int
    correlations: dict[str, float]


def shared_weights_agreement(study: StudyRecord) -> SharedWeightsAgreement | None:
    """Return how well shared weights ranked the candidates; None for fewer than three trained candidates."""
    pairs = [(t.shared.values, t.values) for t in finished(study) if t.shared is not None]
    found = {}
    for objective in study.header.objectives if len(pairs) >= MIN_RANKED else ():
        before, after = (
            _mean_ranks([values[objective.name] for values in column]) for column in zip(*pairs, strict=True)
        )
        if len(set(before)) > 1 and len(set(after)) > 1:
            found[objective.name] = correlation(before, after)
    return SharedWeightsAgreement(len(pairs), found) if found else None


def _mean_ranks(values: list[float]) -> list[float]:
    """Return the rank of each value. Equal values share the mean of their ranks."""
    return [sum(other < value for other in values) + values.count(value) / 2 for value in values]


def compare_references(study: StudyRecord) -> tuple[Comparison, ...]:
    """Compare every published point of the space with the finished candidates, in the order of the space."""
    return tuple(_compare(reference, finished(study)) for reference in study.header.references)


def losses_against(
    reference: ReferencePoint, members: Sequence[Member], point_of: Callable[[Member], Point | None]
) -> tuple[Point, list[tuple[Point, Member]]]:
    """Return a published point as losses, and the losses of the members that have all three values, most accurate
    first."""
    points = [(point, member) for member in members if (point := point_of(member)) is not None]
    own = (-reference.accuracy, reference.energy_mj, float(reference.params))
    return own, sorted(points, key=lambda pair: pair[0])


def _compare(reference: ReferencePoint, trials: tuple[TrialRecord, ...]) -> Comparison:
    own, points = losses_against(reference, trials, lambda trial: _point(trial.metrics, reference.price))
    within = [t for point, t in points if point[1] <= own[1] and point[2] <= own[2]]
    return Comparison(
        reference=reference,
        dominated_by=tuple(t for point, t in points if dominates(point, own)),
        within=within[0] if within else None,
        comparable=bool(points),
    )


def _point(metrics: Metrics | None, model: str) -> Point | None:
    if metrics is None or model not in metrics.energy_mj:
        return None
    return (-metrics.test_accuracy, metrics.energy_mj[model], float(metrics.params))


def dominated_names(study: StudyRecord) -> dict[int, tuple[TrialRecord, ...]]:
    """Map the number of each finished named candidate to the found candidates that dominate it."""
    trials = finished(study)
    found = [t for t in trials if t.name is None]
    return {t.number: dominators(study, t, found) for t in trials if t.name is not None}


def rank_reversals(study: StudyRecord) -> tuple[RankReversal, ...]:
    """Compare the study's energy model with every other model that all front candidates have."""
    front = [t for t in front_trials(study) if t.metrics and study.header.price in t.metrics.energy_mj]
    shared = [set(t.metrics.energy_mj) for t in front if t.metrics]
    models = sorted(set.intersection(*shared)) if shared else []
    return tuple(_rank_reversal(study.header.price, model, front) for model in models if model != study.header.price)


def _rank_reversal(own: str, other: str, front: list[TrialRecord]) -> RankReversal:
    """Compare two models. The example is the pair whose smaller ratio of energies is largest: the clearest case."""
    ordered = sorted(front, key=lambda t: (energy(t, own), t.number))
    pairs = list(combinations(ordered, 2))
    turned = [(a, b) for a, b in pairs if energy(a, own) < energy(b, own) and energy(a, other) > energy(b, other)]
    example = max(turned, key=lambda ab: min(_ratio(ab[1], ab[0], own), _ratio(ab[0], ab[1], other)), default=None)
    return RankReversal(other, len(pairs), len(turned), example)


def _ratio(a: TrialRecord, b: TrialRecord, model: str) -> float:
    """Return how many times the energy of ``b`` ``a`` needs. A network without a spike may need none."""
    return energy(a, model) / max(energy(b, model), MIN_ENERGY_MJ)


def energy(trial: TrialRecord, model: str) -> float:
    """Return a complete trial's millijoules per inference."""
    assert trial.metrics is not None  # complete trials have metrics
    return trial.metrics.energy_mj[model]
