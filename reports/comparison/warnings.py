"""What keeps the figures of several studies from being compared, one sentence each."""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from reports.comparison.comparison import Comparison, Entry
from reports.document.energy_models import describe
from reports.records.study import StudyHeader


def warnings(comparison: Comparison) -> tuple[str, ...]:
    """Return the warnings, the most important first."""
    entries, price = comparison.entries, comparison.price
    found = [
        f"{one.name} and {other.name} have the same origin: one is a copy of the other, so they share trials."
        for one, other in combinations(entries, 2)
        if one.study.header.created_at == other.study.header.created_at
    ]
    if _differ(entries, lambda h: h.data):
        data = _listed(entries, lambda h: h.data)
        found.append(f"The data differ, so accuracies are shares of different images: {data}.")
    elif _differ(entries, lambda h: h.validation_images):
        images = _listed(entries, lambda h: h.validation_images or "unknown")
        found.append(f"The numbers of validation images differ: {images}.")
    if _differ(entries, lambda h: h.seed):
        seeds = _listed(entries, lambda h: h.seed)
        found.append(
            f"The seeds differ: {seeds}. The seed chooses the validation images, so accuracies may be shares of "
            "different images, and it chooses what the search tries."
        )
    if _differ(entries, lambda h: h.training):
        training = _listed(entries, lambda h: h.training)
        found.append(f"Candidates were trained in different ways, which may explain a difference: {training}.")
    if _differ(entries, lambda h: describe(price, h.energy_rules)):
        versions = _listed(entries, lambda h: h.versions.get("snnsearch", "unknown"))
        found.append(
            f"The rule of energy by {price} changed between the versions of snnsearch ({versions}), so energies are "
            "not comparable."
        )
    if _differ(entries, lambda h: h.machine):
        machines = _listed(entries, lambda h: h.machine)
        found.append(f"The machines differ, so compare by MACs and not by time: {machines}.")
    return (*found, *comparison.notes)


def _differ(entries: Sequence[Entry], value: Callable[[StudyHeader], Any]) -> bool:
    return len({value(entry.study.header) for entry in entries}) > 1


def _listed(entries: Sequence[Entry], value: Callable[[StudyHeader], Any]) -> str:
    """Return ``A value; B value``."""
    return "; ".join(f"{entry.name}: {value(entry.study.header)}" for entry in entries)
