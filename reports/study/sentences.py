"""A study and its findings in plain words: the same sentences in every form of the report."""

from collections import Counter

from reports.analysis.comparisons import (
    Comparison,
    RankReversal,
    compare_references,
    dominated_names,
    energy,
    energy_flips,
    shared_ranks,
)
from reports.analysis.front import STATUSES, finished, front_trials, starts_differ, status_summary
from reports.document.wording import (
    COUNTS,
    UNITS,
    candidate,
    count,
    duration,
    label,
    listing,
    moment,
    number,
    ratio,
    subject,
)
from reports.records.study import ObjectiveRecord, StudyHeader, StudyRecord

STARTS = {
    "scratch": "started from scratch",
    "inherit": "from the weights of another trial",
    "cnn": "from the weights of a CNN twin that was trained first",
}
ACCURACY_NOTE = (
    "The search sees validation accuracy only. Test accuracy was measured once for each finished candidate, after its "
    "training; the front is chosen without it. Published accuracies are test accuracies: comparisons with them use it."
)


def summary(study: StudyRecord) -> str:
    """What was searched, on what data, how long, on what machine and how it went: one paragraph."""
    header = study.header
    parts = [_aim(header), f"Data: {header.data}." if header.data else ""]
    parts += [f"Training of a candidate: {header.training}." if header.training else "", _effort(study)]
    return " ".join(filter(None, parts))


def _aim(header: StudyHeader) -> str:
    size = "a continuous space" if header.space_size is None else count(round(header.space_size), "possible candidate")
    bounds = [
        f"{label(name)} {'at most' if kind == 'max' else 'at least'} {number(value)}{_unit(name, header.price)}"
        for name, limits in header.constraints.items()
        for kind, value in limits.items()
    ]
    return (
        f"A search for spiking networks with {listing([_wanted(o) for o in header.objectives])}: "
        f"{count(len(header.dials), 'dial')}, {size}{', ' + listing(bounds) if bounds else ''}; "
        f"sampler {header.sampler}, seed {header.seed}."
    )


def _unit(name: str, price: str) -> str:
    return f" {UNITS[name]} by {price}" if name == "energy_mj" else ""


def _wanted(objective: ObjectiveRecord) -> str:
    low = "few" if objective.name in COUNTS else "low"
    return f"{'high' if objective.direction == 'maximize' else low} {label(objective.name)}"


def _effort(study: StudyRecord) -> str:
    state = status_summary(study)
    counts = [f"{state.counts[status]:,} {status}" for status in STATUSES if status in state.counts]
    text = f"{count(state.total, 'trial')}: {listing(counts)}" if state.total else "No trial yet"
    text += f"; {duration(state.training_s)} of training" if state.training_s else ""
    if state.training_macs:
        text += f" ({state.training_images:,} images, {state.training_macs:.3g} dense multiply-accumulates)"
    text += f" on {study.header.machine}" if study.header.machine else ""
    if state.started_at is not None and state.last_finished_at is not None:
        text += f", {moment(state.started_at)} to {moment(state.last_finished_at)}"
    return text + "."


def findings(study: StudyRecord) -> tuple[str, ...]:
    """What the finished candidates show, one statement each; none where no trial is complete."""
    if not finished(study):
        return ()
    return (*_references(study), *_names(study), *_shared(study), _gap(study), *_starts(study), *_flips(study))


def _shared(study: StudyRecord) -> list[str]:
    """What shared weights said before, and how far trained candidates agree."""
    cost, found = study.header.supernet, shared_ranks(study)
    if cost is None:
        return []
    text = (
        f"Before the first trial, {count(cost.ranked, 'candidate')} "
        f"{'was' if cost.ranked == 1 else 'were'} ranked by the weights of one supernet, trained for "
        f"{count(cost.epochs, 'epoch')}, in {duration(cost.wall_s)} ({cost.macs:.3g} dense multiply-accumulates)."
    )
    if named := [f"{t.name} at {t.shared.place:,}" for t in finished(study) if t.name and t.shared]:
        text += f" Places of the named ones: {listing(named, 12)}."
    if found:
        agreed = listing([f"{value:+.2f} in {label(name)}" for name, value in found.correlations.items()])
        text += f" Rank correlation with what the {found.trials} of them that were trained came to: {agreed}."
    return [text]


def _references(study: StudyRecord) -> list[str]:
    comparisons = compare_references(study)
    lines = [_dominated(c) for c in comparisons if c.dominated_by]
    standing = [c.reference for c in comparisons if c.comparable and not c.dominated_by]
    if standing:
        points = "point" if len(standing) == 1 else "points"
        lines.append(
            f"No candidate dominates the published {points} {listing([r.label for r in standing], 12)} in test "
            f"accuracy, energy by {listing(sorted({r.price for r in standing}))} and parameters."
        )
    if unpriced := [c.reference.label for c in comparisons if not c.comparable]:
        lines.append(f"Not compared, because no candidate is priced the same way: {listing(unpriced, 12)}.")
    return lines


def _dominated(comparison: Comparison) -> str:
    r, by = comparison.reference, [candidate(t) for t in comparison.dominated_by]
    return (
        f"{listing(by)} {'dominates' if len(by) == 1 else 'dominate'} the published {r.label}: test accuracy at least "
        f"{ratio(r.accuracy)}, at most {number(r.energy_mj)} mJ by {r.price}, at most {number(r.params)} parameters."
    )


def _names(study: StudyRecord) -> list[str]:
    named = {t.number: t for t in finished(study) if t.name is not None}
    if not named:
        return []
    beaten = {number: found for number, found in dominated_names(study).items() if found}
    objectives = listing([label(o.name) for o in study.header.objectives])
    if not beaten:
        which = "the named candidate" if len(named) == 1 else f"any of the {len(named)} named candidates"
        return [f"No found candidate dominates {which} in {objectives}."]
    who = "; ".join(f"{named[n].name} by {listing([candidate(f) for f in found], 4)}" for n, found in beaten.items())
    verb = "is" if len(beaten) == 1 else "are"
    total = count(len(named), "named candidate")
    return [f"{len(beaten)} of {total} {verb} dominated by found ones in {objectives}: {who}."]


def _gap(study: StudyRecord) -> str:
    front = [t.metrics for t in front_trials(study) if t.metrics]
    gap = sum(m.test_accuracy - m.accuracy for m in front) / len(front)
    amount = f"{ratio(abs(gap))} {'higher' if gap > 0 else 'lower'} than" if abs(gap) >= 0.0005 else "equal to"
    return (
        f"On the front, test accuracy is {amount} validation accuracy on average. Every candidate was trained once, "
        "from one seed: small differences in accuracy may be chance."
    )


def _starts(study: StudyRecord) -> list[str]:
    """What the front's candidates started from, where a study has other starts than scratch."""
    if not starts_differ(study):
        return []
    front = front_trials(study)
    kinds = Counter[str]("scratch" if t.start is None else t.start.kind for t in front)
    parts = [f"{kinds[kind]} {text}" for kind, text in STARTS.items() if kinds[kind]]
    lines = [f"On the front {listing(parts)}."]
    if len(kinds) > 1:
        lines[0] += " Their accuracies do not come of equal training, and should not be compared as if they did."
    behind = [t.start.inherited_images for t in front if t.start and t.start.inherited_images]
    if behind:
        span = f"{min(behind):,}" if min(behind) == max(behind) else f"{min(behind):,} to {max(behind):,}"
        lines.append(
            f"Behind inherited weights on the front stand {span} images of training in other trials, beside those that "
            "such a candidate was trained on itself. In the study's total each is counted once."
        )
    return lines


def _flips(study: StudyRecord) -> list[str]:
    flips = energy_flips(study)
    lines = [_flip(study.header.price, flip) for flip in flips if flip.flipped]
    if same := [flip.price for flip in flips if flip.pairs and not flip.flipped]:
        lines.append(f"The front candidates rank the same in energy by {study.header.price} and by {listing(same)}.")
    return lines


def _flip(own: str, flip: RankReversal) -> str:
    assert flip.example is not None  # there is one where pairs were flipped
    a, b = flip.example
    return (
        f"The energy model matters: by {flip.price} instead of {own}, {flip.flipped} of {count(flip.pairs, 'pair')} of "
        f"front candidates change places: {subject(a)} needs less than {subject(b)} by {own} "
        f"({number(energy(a, own))} against {number(energy(b, own))} mJ) but more by {flip.price} "
        f"({number(energy(a, flip.price))} against {number(energy(b, flip.price))} mJ)."
    )
