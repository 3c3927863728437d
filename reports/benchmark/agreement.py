"""Sentences that compare our figures with the published ones, and name the cause of a difference."""

from collections.abc import Sequence

from reports.benchmark.groups import Group, accuracy, acs, energy, macs, params, preset_of
from reports.document.energy_models import caveat
from reports.document.wording import count, listing, number, ratio
from reports.records.benchmark import KINDS, Kind, Published, Setup

ACCURACY_TOLERANCE = 0.01  # published accuracies have two digits
RELATIVE_TOLERANCE = 0.01  # of other figures: published ones have three or four digits
MAX_NAMES = 12


def agreement(found: Sequence[Group], setup: Setup, own: str) -> list[str]:
    """Compare the groups on one data set with their published figures.

    Args:
        found: the groups on the data set of ``setup``.
        own: the benchmark's energy model.
    """
    compared = [group for group in found if group.published and group.n]
    lines = []
    for kind in KINDS:
        if members := [group for group in compared if group.kind == kind]:
            lines += [_accuracies(members, setup, kind), *_parameters(members), *_energies(members, kind)]
            lines += [f"Note on the published {g.network} on {g.data}: {note}." for g in members if (note := _note(g))]
    return lines + _other_energy_models([group for group in compared if group.kind == "snn"], setup, own)


def _accuracies(members: Sequence[Group], setup: Setup, kind: Kind) -> str:
    """Compare the accuracies. If they differ, say how our networks were trained."""
    both = [f"{g.network} {ratio(_own(g))} (published {given_ratio(_published(g).accuracy)})" for g in members]
    gaps = [_own(g) - _published(g).accuracy for g in members]
    text = f"Test accuracy on {setup.data}, {KINDS[kind]}: {listing(both)}"
    if all(abs(gap) <= ACCURACY_TOLERANCE for gap in gaps):
        return f"{text}: equal to within {ACCURACY_TOLERANCE:g}."
    below = sum(gap < -ACCURACY_TOLERANCE for gap in gaps)
    above = sum(gap > ACCURACY_TOLERANCE for gap in gaps)
    where = "below" if not above else "above" if not below else "on both sides of"
    size = f"by up to {ratio(max(map(abs, gaps)))}"
    return f"{text}. Ours are {where} the published, {size}: they were trained for {_trained(setup, kind)}."


def _own(group: Group) -> float:
    mean = group.mean(accuracy)
    assert mean is not None  # only groups with a finished training are compared
    return mean


def _published(group: Group) -> Published:
    assert group.published is not None  # only groups with published figures are compared
    return group.published


def _trained(setup: Setup, kind: Kind) -> str:
    """Return ``3 epochs on 4,500 of 50,000 training images, T = 2, measured on 2,000 of 10,000 test images``."""
    parts = [f"{count(setup.epochs, 'epoch')} on {setup.train:,} of {setup.train_of:,} training images"]
    if setup.classes != setup.classes_of:
        parts.append(f"to tell {setup.classes} of {setup.classes_of} classes apart")
    if setup.side != setup.side_of:
        parts.append(f"at {setup.side} instead of {setup.side_of} pixels a side")
    if kind == "snn":
        parts.append(f"T = {setup.timesteps}")
    if setup.test != setup.test_of:
        parts.append(f"measured on {setup.test:,} of {setup.test_of:,} test images")
    return ", ".join(parts)


def _note(group: Group) -> str:
    return _published(group).note


def _parameters(members: Sequence[Group]) -> list[str]:
    compared = [(g, own, published) for g in members if (own := g.mean(params)) and (published := _published(g).params)]
    equal = [g.network for g, own, published in compared if _close(own, published)]
    where = f"on {members[0].data}"
    lines = (
        [f"Parameters are within {RELATIVE_TOLERANCE:.0%} of the published {where}: {listing(equal, MAX_NAMES)}."]
        if equal
        else []
    )
    for group, own, published in compared:
        if not _close(own, published):
            lines.append(
                f"{group.network} has {own:,.0f} parameters {where}, {_times_of(own, published)} the published "
                f"{published:,.0f}: not the same network, or not counted alike."
            )
    return lines


def _energies(members: Sequence[Group], kind: Kind) -> list[str]:
    """Compare the energies by the published rule, and name the operations that make the difference."""
    both, models = [], []
    for group in members:
        point = _published(group)
        own = group.mean(energy(point.price))
        if own is None or point.energy_mj is None:
            continue
        models.append(point.price)
        cause = _cause(group, point)
        both.append(
            f"{group.network} {number(own)} mJ (published {point.energy_mj:g}, {_share(own, point.energy_mj)}{cause})"
        )
    by = listing(sorted(set(models)))
    return [f"Energy on {members[0].data}, {KINDS[kind]}, by {by}: {listing(both)}."] if both else []


def _cause(group: Group, point: Published) -> str:
    """Return ``: MACs agree, ACs 0.72 times``; empty if the energies agree or no operations were published."""
    preset = preset_of(point.price)
    own = group.mean(energy(point.price))
    if own is None or point.energy_mj is None or _close(own, point.energy_mj):
        return ""
    counted = [("MACs", group.mean(macs(preset)), point.macs), ("ACs", group.mean(acs(preset)), point.acs)]
    parts = [
        f"{name} {'agree' if _close(mine, published) else f'{mine / published:.3g} times'}"
        for name, mine, published in counted
        if mine is not None and published
    ]
    return f": {', '.join(parts)}" if parts else ""


def _other_energy_models(members: Sequence[Group], setup: Setup, own: str) -> list[str]:
    """Compare the benchmark's own energy model with the models of the published figures, on our trainings."""
    lines = []
    for model in sorted({_published(g).price for g in members} - {own}):
        factors = [
            mine / theirs for g in members if (mine := g.mean(energy(own))) and (theirs := g.mean(energy(model)))
        ]
        if factors:
            span = " to ".join(dict.fromkeys((f"{min(factors):.2f}", f"{max(factors):.2f}")))
            lines.append(
                f"The published energies are by {model}{caveat(model)}. By {own}, over all T = {setup.timesteps} "
                f"time steps, the same SNNs need {span} times as much."
            )
    return lines


def given_ratio(value: float | None) -> str:
    """Return a ratio as published, with two decimals or as many as it has; empty for None."""
    return "" if value is None else max(f"{value:.2f}", f"{value:g}", key=len)


def _close(own: float, published: float) -> bool:
    return abs(own - published) <= RELATIVE_TOLERANCE * abs(published)


def _times_of(own: float, published: float) -> str:
    if not 0.5 < own / published < 2:
        return f"{own / published:.2g} times"
    return f"{abs(own / published - 1):.1%} {'more' if own > published else 'fewer'} than"


def _share(own: float, published: float) -> str:
    if _close(own, published):
        return f"within {RELATIVE_TOLERANCE:.0%}"
    return f"{abs(own / published - 1):.0%} less" if own < published else f"{own / published:.3g} times as much"
