"""What the finished trainings of a benchmark show, data set by data set, one statement each."""

from collections.abc import Sequence
from itertools import combinations

from reports.benchmark.agreement import agreement
from reports.benchmark.dominance import dominance
from reports.benchmark.groups import Group, Metric, Pair, accuracy, energy, energy_models_of, groups, pairs
from reports.document.model import Bullets, Section
from reports.document.wording import count, factor, listing, number, ratio
from reports.records.benchmark import BenchmarkRecord

ZERO_SKIPPING_MODEL = "horowitz45/exact"  # its CNN energy is proportional to the MACs
MAX_NAMES = 12


def findings_section(record: BenchmarkRecord) -> Section | None:
    """Return the findings; None before the first training is finished."""
    parts = tuple(Section(f"{data}: findings", (Bullets(tuple(lines)),)) for data, lines in findings(record).items())
    return Section("Findings", parts) if parts else None


def findings(record: BenchmarkRecord) -> dict[str, list[str]]:
    """Map each data set to its statements. Data sets without a statement are left out."""
    models = energy_models_of(record)
    found = {}
    for setup in record.header.setups:
        members = [group for group in groups(record) if group.data == setup.data and group.n]
        snns, twins = [group for group in members if group.kind == "snn"], pairs(members)
        lines = [*agreement(members, setup, record.header.price), *_order_of_accuracy(snns)]
        lines += [
            *_order_of_energy(snns, models),
            *_accuracy_gap(twins),
            *_energy_ratios(twins, models),
            *_zero_skipping(twins, models),
        ]
        lines += dominance(record, setup.data)
        if lines:
            found[setup.data] = lines
    return found


def _order_of_accuracy(found: Sequence[Group]) -> list[str]:
    """Say whether the networks rank by accuracy as published."""
    both = [g for g in found if g.published]
    if len(both) < 2:
        return []
    ours = [g.network for g in sorted(both, key=lambda g: -_mean(g, accuracy))]
    theirs = [g.network for g in sorted(both, key=lambda g: -g.published.accuracy if g.published else 0.0)]
    text = f"By accuracy the SNNs on {both[0].data} rank {' > '.join(ours)}"
    same = f"{text}, as published" if ours == theirs else f"{text}; the published order is {' > '.join(theirs)}"
    few = min(g.n for g in both)
    return [f"{same}. This is from {count(few, 'training')} each: small differences may be chance."]


def _order_of_energy(members: Sequence[Group], models: tuple[str, ...]) -> list[str]:
    """Say for which energy models the networks rank differently than by the benchmark's own model, the first."""
    if len(members) < 2 or len(models) < 2:
        return []
    lines, same = [], []
    for other in models[1:]:
        reversed_pairs = [
            (a, b)
            for a, b in combinations(sorted(members, key=lambda g: _mean(g, energy(models[0]))), 2)
            if _mean(a, energy(other)) > _mean(b, energy(other))
        ]
        if not reversed_pairs:
            same.append(other)
            continue
        a, b = max(reversed_pairs, key=lambda pair: _mean(pair[0], energy(other)) / _mean(pair[1], energy(other)))
        many = len(members) * (len(members) - 1) // 2
        lines.append(
            f"The energy model matters on {a.data}: by {other} instead of {models[0]}, {len(reversed_pairs)} of "
            f"{count(many, 'pair')} of SNNs change places: {a.network} needs less than {b.network} by {models[0]} "
            f"({_mj(a, models[0])} against {_mj(b, models[0])} mJ) but more by {other} ({_mj(a, other)} against "
            f"{_mj(b, other)} mJ)."
        )
    if same:
        order = " < ".join(g.network for g in sorted(members, key=lambda g: _mean(g, energy(models[0]))))
        lines.append(f"By energy the SNNs on {members[0].data} rank {order}, by {listing([models[0], *same])} alike.")
    return lines


def _accuracy_gap(twins: Sequence[Pair]) -> list[str]:
    """Compare the accuracies of the SNNs and their CNN twins."""
    if not twins:
        return []
    gaps = []
    for pair in twins:
        gap = _mean(pair.snn, accuracy) - _mean(pair.cnn, accuracy)
        gaps.append(f"{ratio(abs(gap))} {'below' if gap < 0 else 'above'} ({pair.snn.network})")
    return [f"Against their CNN twins on {twins[0].snn.data}, the SNNs' test accuracy is {listing(gaps)}."]


def _energy_ratios(twins: Sequence[Pair], models: tuple[str, ...]) -> list[str]:
    """Say how many times the SNN's energy the twin needs by each energy model. Below 1 the SNN needs more."""
    spans: list[str] = []
    above: list[str] = []
    for model in models:
        factors = {pair.snn.network: spread.mean for pair in twins if (spread := pair.energy_ratio(model))}
        if not factors:
            continue
        low_high = dict.fromkeys((factor(min(factors.values())), factor(max(factors.values()))))
        spans.append(f"{' to '.join(low_high)} times {'' if spans else 'the energy of the SNNs '}by {model}")
        if costlier := [network for network, value in factors.items() if value < 1]:
            need, kinds = ("needs", "an SNN than as a CNN") if len(costlier) == 1 else ("need", "SNNs than as CNNs")
            above.append(f"by {model} {listing(costlier, MAX_NAMES)} {need} more energy as {kinds}")
    if not spans:
        return []
    text = f"The CNN twins on {twins[0].snn.data} need {listing(spans)}"
    return [f"{text}; {listing(above)}." if above else f"{text}."]


def _zero_skipping(twins: Sequence[Pair], models: tuple[str, ...]) -> list[str]:
    """Say how the ratios would change if the CNNs skipped multiplications by zero, as spikes let the SNNs do."""
    model = ZERO_SKIPPING_MODEL
    if model not in models:
        return []
    changes = []
    for pair in twins:
        times = pair.energy_ratio(model)
        nonzero = pair.cnn.mean(lambda m: m.nonzero_macs / m.macs if m.nonzero_macs else None)
        if times is not None and nonzero is not None:
            changes.append(f"{factor(times.mean * nonzero)} instead of {factor(times.mean)} ({pair.snn.network})")
    if not changes:
        return []
    return [
        f"If the CNN twins on {twins[0].snn.data} skipped multiplications by zero, as the SNNs do, they would need "
        f"{listing(changes)} times the SNN's energy by {model}."
    ]


def _mean(group: Group, metric: Metric) -> float:
    mean = group.mean(metric)
    assert mean is not None  # callers pass groups with a finished training, and energy models that all of them have
    return mean


def _mj(group: Group, model: str) -> str:
    return number(_mean(group, energy(model)))
