"""A benchmark in plain words: the same sentences in every form of its report."""

from collections.abc import Sequence
from itertools import combinations

from reports.benchmark.agreement import agreement
from reports.benchmark.dominance import comparisons
from reports.benchmark.groups import Group, Measure, Pair, accuracy, energy, groups, pairs, params, prices_of
from reports.document.wording import count, duration, listing, moment, number, ratio, times
from reports.records.benchmark import KINDS, BenchmarkRecord, Setup
from reports.storage.benchmarks import benchmark_status

SPREAD_NOTE = (
    "Accuracy and F1 are on test images, of the weights after the last epoch: no epoch and no network was chosen by "
    "them. Figures are means over the seeds: ± is the sample standard deviation of three or more, a range that of two. "
    "A seed decides the weights, the order of the images, the validation images, and which images are used where it is "
    "not all of them. Operations and energy are per inference, the mean over the validation images."
)


def summary(record: BenchmarkRecord) -> str:
    """What was trained, how far it is, and how long it took: one paragraph."""
    header, state = record.header, benchmark_status(record)
    kinds = list(dict.fromkeys(KINDS[cell.kind] for cell in header.cells))
    seeds = sorted({cell.seed for cell in header.cells})
    data = listing([setup.data for setup in header.setups])
    counts = [f"{n:,} {status}" for status, n in state.counts.items()]
    text = (
        f"{count(len(header.networks), 'network')} on {data}, each as {listing(kinds)}, from "
        f"{count(len(seeds), 'seed')} ({', '.join(map(str, seeds))}): {count(state.total, 'training')}, "
        f"{listing(counts)}"
    )
    text += f"; {duration(state.training_s)} of training" if state.training_s else ""
    ended = state.last_finished_at
    return f"{text}, the last ended {moment(ended)}." if ended else f"{text}."


def circumstances(record: BenchmarkRecord) -> list[tuple[str, str]]:
    """On what machine, from which commit and by which command; then each data set's training."""
    sittings = record.header.sittings
    facts = [
        ("machine", listing(list(dict.fromkeys(sitting.machine for sitting in sittings)))),
        ("commit", listing(list(dict.fromkeys(sitting.commit or "no checkout" for sitting in sittings)))),
        ("command", listing(list(dict.fromkeys(sitting.command for sitting in sittings)))),
        ("versions", listing(list(dict.fromkeys(_versions(sitting.versions) for sitting in sittings)))),
    ]
    return [*facts, *((f"on {setup.data}", _setup(setup)) for setup in record.header.setups)]


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def _setup(setup: Setup) -> str:
    used = (
        f"trained on {setup.train:,} of its {setup.train_of:,} training images, {setup.validation:,} more for "
        f"validation, tested on {setup.test:,} of {setup.test_of:,}, {setup.side} pixels a side, {setup.classes} of "
        f"{count(setup.classes_of, 'class', 'classes')}"
    )
    own = "".join(f"; but {network}: {told}" for network, told in setup.own.items())
    return f"{used}; SNNs with T = {setup.timesteps}; {setup.training}{own}"


def findings(record: BenchmarkRecord) -> dict[str, list[str]]:
    """What the finished trainings show, by data set, one statement each; a data set without one is left out."""
    prices = prices_of(record)
    found = {}
    for setup in record.header.setups:
        members = [group for group in groups(record) if group.data == setup.data and group.n]
        snns, twins = [group for group in members if group.kind == "snn"], pairs(members)
        lines = [*agreement(members, setup, record.header.price), *_order_of_accuracy(snns)]
        lines += [*_order_of_energy(snns, prices), *_gap(twins), *_ratios(twins, prices), *_zeros(twins, prices)]
        lines += dominance(record, setup.data)
        if lines:
            found[setup.data] = lines
    return found


def dominance(record: BenchmarkRecord, data: str) -> list[str]:
    """Which published points are dominated, and by which of our networks."""
    told = []
    for comparison in comparisons(record, data):
        point = comparison.reference
        figures = f"{ratio(point.accuracy)}, {number(point.energy_mj)} mJ by {point.price}, {point.params:,} parameters"
        if not comparison.dominated_by:
            told.append(f"{point.label} ({figures}) is not dominated.")
            continue
        by = [f"{g.network} ({_against(g, point.price)})" for g in comparison.dominated_by]
        told.append(f"{point.label} ({figures}) is dominated by {listing(by)}.")
    return told


def _against(group: Group, price: str) -> str:
    return f"{ratio(_mean(group, accuracy))}, {_mj(group, price)} mJ, {_mean(group, params):,.0f}, n = {group.n}"


def _order_of_accuracy(found: Sequence[Group]) -> list[str]:
    """Whether the networks rank as published."""
    both = [g for g in found if g.published]
    if len(both) < 2:
        return []
    ours = [g.network for g in sorted(both, key=lambda g: -_mean(g, accuracy))]
    theirs = [g.network for g in sorted(both, key=lambda g: -g.published.accuracy if g.published else 0.0)]
    text = f"By accuracy the SNNs on {both[0].data} rank {' > '.join(ours)}"
    same = f"{text}, as published" if ours == theirs else f"{text}; the published order is {' > '.join(theirs)}"
    few = min(g.n for g in both)
    return [f"{same}. This is from {count(few, 'training')} each: small differences may be chance."]


def _order_of_energy(members: Sequence[Group], prices: tuple[str, ...]) -> list[str]:
    """Where another price orders two networks otherwise than the benchmark's own."""
    if len(members) < 2 or len(prices) < 2:
        return []
    lines, same = [], []
    for other in prices[1:]:
        flips = [
            (a, b)
            for a, b in combinations(sorted(members, key=lambda g: _mean(g, energy(prices[0]))), 2)
            if _mean(a, energy(other)) > _mean(b, energy(other))
        ]
        if not flips:
            same.append(other)
            continue
        a, b = max(flips, key=lambda pair: _mean(pair[0], energy(other)) / _mean(pair[1], energy(other)))
        many = len(members) * (len(members) - 1) // 2
        lines.append(
            f"The energy model matters on {a.data}: by {other} instead of {prices[0]}, {len(flips)} of "
            f"{count(many, 'pair')} of SNNs change places: {a.network} needs less than {b.network} by {prices[0]} "
            f"({_mj(a, prices[0])} against {_mj(b, prices[0])} mJ) but more by {other} ({_mj(a, other)} against "
            f"{_mj(b, other)} mJ)."
        )
    if same:
        order = " < ".join(g.network for g in sorted(members, key=lambda g: _mean(g, energy(prices[0]))))
        lines.append(f"By energy the SNNs on {members[0].data} rank {order}, by {listing([prices[0], *same])} alike.")
    return lines


def _gap(twins: Sequence[Pair]) -> list[str]:
    if not twins:
        return []
    told = []
    for pair in twins:
        gap = _mean(pair.snn, accuracy) - _mean(pair.cnn, accuracy)
        told.append(f"{ratio(abs(gap))} {'below' if gap < 0 else 'above'} ({pair.snn.network})")
    return [f"Against their CNN twins on {twins[0].snn.data}, the SNNs' test accuracy is {listing(told)}."]


def _ratios(twins: Sequence[Pair], prices: tuple[str, ...]) -> list[str]:
    """How many times the SNN's energy the twin needs, price by price; below 1 the spikes cost more."""
    told: list[str] = []
    dearer: list[str] = []
    for price in prices:
        factors = {pair.snn.network: spread.mean for pair in twins if (spread := pair.ratio(price))}
        if not factors:
            continue
        span = dict.fromkeys((times(min(factors.values())), times(max(factors.values()))))
        told.append(f"{' to '.join(span)} times {'' if told else 'the energy of the SNNs '}by {price}")
        if above := [network for network, value in factors.items() if value < 1]:
            need, kinds = ("needs", "an SNN than as a CNN") if len(above) == 1 else ("need", "SNNs than as CNNs")
            dearer.append(f"by {price} {listing(above, 12)} {need} more energy as {kinds}")
    if not told:
        return []
    text = f"The CNN twins on {twins[0].snn.data} need {listing(told)}"
    return [f"{text}; {listing(dearer)}." if dearer else f"{text}."]


def _zeros(twins: Sequence[Pair], prices: tuple[str, ...]) -> list[str]:
    """The comparison that spares the CNN, too, what it multiplies by zero."""
    price = "horowitz45/exact"  # MACs alone: energy falls as they do
    if price not in prices:
        return []
    told = []
    for pair in twins:
        factor, left = pair.ratio(price), pair.cnn.mean(lambda m: m.nonzero_macs / m.macs if m.nonzero_macs else None)
        if factor is not None and left is not None:
            told.append(f"{times(factor.mean * left)} instead of {times(factor.mean)} ({pair.snn.network})")
    if not told:
        return []
    return [
        f"Were the CNN twins on {twins[0].snn.data} spared their multiplications by zero, as spikes spare the SNNs "
        f"theirs, they would need {listing(told)} times the SNN's energy by {price}."
    ]


def _mean(group: Group, measure: Measure) -> float:
    mean = group.mean(measure)
    assert mean is not None  # asked of groups with a finished training, and of prices that all of those have
    return mean


def _mj(group: Group, price: str) -> str:
    return number(_mean(group, energy(price)))
