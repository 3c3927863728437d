"""What the finished candidates show, one statement each."""

from collections import Counter

from reports.analysis.comparisons import (
    Comparison,
    RankReversal,
    compare_references,
    dominated_names,
    energy,
    rank_reversals,
    shared_weights_agreement,
)
from reports.analysis.finalists import intervals_overlap, wilson_interval
from reports.analysis.front import finished, front_trials, initializations_differ
from reports.document.model import Bullets, Section
from reports.document.wording import candidate_name, candidate_phrase, count, duration, listing, number, ratio
from reports.records.objectives import objective_label
from reports.records.study import StudyRecord, TrialRecord

INITIALIZATIONS = {
    "scratch": "from scratch",
    "inherit": "from the weights of another trial",
    "fidelity": "from their own weights at the fidelity below",
    "cnn": "from the weights of a CNN twin that was trained first",
    "mean": "from the mean of other trials' weights",
}
MAX_NAMES = 12


def findings_section(study: StudyRecord) -> Section | None:
    """Return the findings; None before the first trial is complete."""
    statements = findings(study)
    return Section("Findings", (Bullets(statements),)) if statements else None


def findings(study: StudyRecord) -> tuple[str, ...]:
    """Return the statements, most important first; none before the first trial is complete."""
    if not finished(study):
        return ()
    return (
        *_published_points(study),
        *_named_candidates(study),
        *_shared_weights(study),
        *_fidelities(study),
        _accuracy_gap(study),
        *_chance(study),
        *_initializations(study),
        *_energy_models(study),
    )


def _published_points(study: StudyRecord) -> list[str]:
    comparisons = compare_references(study)
    lines = [_dominated(c) for c in comparisons if c.dominated_by]
    undominated = [c.reference for c in comparisons if c.comparable and not c.dominated_by]
    if undominated:
        points = "point" if len(undominated) == 1 else "points"
        lines.append(
            f"No candidate dominates the published {points} {listing([r.label for r in undominated], MAX_NAMES)} in "
            f"test accuracy, energy by {listing(sorted({r.price for r in undominated}))} and parameters."
        )
    if incomparable := [c.reference.label for c in comparisons if not c.comparable]:
        lines.append(
            f"Not compared, because no candidate has energy by the same model: {listing(incomparable, MAX_NAMES)}."
        )
    return lines


def _dominated(comparison: Comparison) -> str:
    r, by = comparison.reference, [candidate_name(t) for t in comparison.dominated_by]
    return (
        f"{listing(by)} {'dominates' if len(by) == 1 else 'dominate'} the published {r.label}: test accuracy at least "
        f"{ratio(r.accuracy)}, at most {number(r.energy_mj)} mJ by {r.price}, at most {number(r.params)} parameters."
    )


def _named_candidates(study: StudyRecord) -> list[str]:
    named = {t.number: t for t in finished(study) if t.name is not None}
    if not named:
        return []
    beaten = {number: found for number, found in dominated_names(study).items() if found}
    objectives = listing([objective_label(o.name) for o in study.header.objectives])
    if not beaten:
        which = "the named candidate" if len(named) == 1 else f"any of the {len(named)} named candidates"
        return [f"No found candidate dominates {which} in {objectives}."]
    who = "; ".join(
        f"{named[n].name} by {listing([candidate_name(f) for f in found], 4)}" for n, found in beaten.items()
    )
    verb = "is" if len(beaten) == 1 else "are"
    total = count(len(named), "named candidate")
    return [f"{len(beaten)} of {total} {verb} dominated by found ones in {objectives}: {who}."]


def _shared_weights(study: StudyRecord) -> list[str]:
    """Say how a supernet ranked the candidates before training, and how well that agrees with training."""
    cost, agreement = study.header.supernet, shared_weights_agreement(study)
    if cost is None:
        return []
    text = (
        f"Before the first trial, {count(cost.ranked, 'candidate')} "
        f"{'was' if cost.ranked == 1 else 'were'} ranked by the weights of one supernet, trained for "
        f"{count(cost.epochs, 'epoch')}, in {duration(cost.wall_s)} ({cost.macs:.3g} dense multiply-accumulates)."
    )
    if named := [f"{t.name} at {t.shared.place:,}" for t in finished(study) if t.name and t.shared]:
        text += f" Places of the named ones: {listing(named, MAX_NAMES)}."
    if agreement:
        values = listing([f"{value:+.2f} in {objective_label(name)}" for name, value in agreement.correlations.items()])
        text += f" Rank correlation with the results of the {agreement.trials} that were then trained: {values}."
    return [text]


def _fidelities(study: StudyRecord) -> list[str]:
    """Say how many candidates were trained at each fidelity, if the study has several."""
    trained = [t for t in study.trials if t.fidelities]
    if not trained:
        return []
    full = trained[0].fidelities[0].of
    reached = Counter(found.fidelity for t in trained for found in t.fidelities)
    parts = [f"{reached[fidelity]} at fidelity {fidelity}" for fidelity in range(1, full) if reached[fidelity]]
    parts.append(f"{sum(bool(t.fidelities) for t in finished(study))} in full")
    return [
        f"Of {count(len(trained), 'candidate')}, the search trained {listing(parts)}. All figures of the front were "
        "measured after full training."
    ]


def _accuracy_gap(study: StudyRecord) -> str:
    front = [t.metrics for t in front_trials(study) if t.metrics]
    gap = sum(m.test_accuracy - m.accuracy for m in front) / len(front)
    difference = f"{ratio(abs(gap))} {'higher' if gap > 0 else 'lower'} than" if abs(gap) >= 0.0005 else "equal to"
    return (
        f"On the front, test accuracy is {difference} validation accuracy on average. Every candidate was trained "
        "once, from one seed: small differences in accuracy may be chance."
    )


def _chance(study: StudyRecord) -> list[str]:
    """Say which candidates of the front may be as accurate as the best one: their intervals overlap its interval."""
    images = study.header.validation_images
    if images is None or len(front_trials(study)) < 2:
        return []
    best, *others = sorted(front_trials(study), key=lambda t: -_accuracy(t))
    low, high = wilson_interval(_accuracy(best), images)
    same = [candidate_name(t) for t in others if intervals_overlap(_accuracy(t), _accuracy(best), images)]
    text = (
        f"Validation accuracy is a share of {images:,} images. The highest on the front, {ratio(_accuracy(best))} of "
        f"{candidate_phrase(best)}, has a 95 % interval of {ratio(low)} to {ratio(high)} (Wilson)"
    )
    if not same:
        return [f"{text}; no other interval on the front reaches it."]
    return [f"{text}. In accuracy, it cannot be told apart from {listing(same, MAX_NAMES)}."]


def _accuracy(trial: TrialRecord) -> float:
    assert trial.metrics is not None  # on the front
    return trial.metrics.accuracy


def _initializations(study: StudyRecord) -> list[str]:
    """Say where the front's first weights came from, if not all candidates train from scratch."""
    if not initializations_differ(study):
        return []
    front = front_trials(study)
    kinds = Counter(_initialization(t) for t in front)
    parts = [f"{kinds[kind]} {text}" for kind, text in INITIALIZATIONS.items() if kinds[kind]]
    lines = [f"First weights of the candidates on the front: {listing(parts)}."]
    if len(kinds) > 1:
        lines[0] += " They were not trained equally, so their accuracies should not be compared as if they were."
    inherited = [t.start.inherited_images for t in front if t.start and t.start.inherited_images]
    if inherited:
        low, high = min(inherited), max(inherited)
        images = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        lines.append(
            f"The inherited weights on the front were trained on {images} images in other trials, in addition to the "
            "images that each candidate was trained on itself. The study's total counts every image once."
        )
    return lines


def _initialization(trial: TrialRecord) -> str:
    """Return the key of ``INITIALIZATIONS``."""
    if trial.start is None:
        return "scratch"
    return "fidelity" if trial.start.fidelity is not None else trial.start.kind


def _energy_models(study: StudyRecord) -> list[str]:
    reversals = rank_reversals(study)
    lines = [_reversal(study.header.price, each) for each in reversals if each.reversed_pairs]
    if same := [each.model for each in reversals if each.pairs and not each.reversed_pairs]:
        lines.append(f"The front candidates rank the same in energy by {study.header.price} and by {listing(same)}.")
    return lines


def _reversal(own: str, reversal: RankReversal) -> str:
    assert reversal.example is not None  # there is one if pairs are reversed
    a, b = reversal.example
    other = reversal.model
    return (
        f"The energy model matters: by {other} instead of {own}, {reversal.reversed_pairs} of "
        f"{count(reversal.pairs, 'pair')} of front candidates change places: {candidate_phrase(a)} needs less than "
        f"{candidate_phrase(b)} by {own} ({number(energy(a, own))} against {number(energy(b, own))} mJ) but more by "
        f"{other} ({number(energy(a, other))} against {number(energy(b, other))} mJ)."
    )
