"""Finalists: candidates that are trained in full, from the front of a study or from a space's named candidates.

They become the networks of a benchmark, each with its CNN twin, so they have several seeds, can be resumed, and are
measured on the test images once, after training.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.analysis.front import front_trials
from reports.analysis.hypervolume import hypervolume_subset
from reports.document.commands import command
from reports.document.wording import count, ratio
from reports.records.objectives import objective_values
from reports.records.study import Metrics, StudyRecord, TrialRecord
from search.benchmark.loader import LABEL
from search.errors import InputError, listed, nearest
from search.space import document
from search.space.candidate import Candidate
from search.space.retrain import data_of, train_of
from search.space.space import Space


@dataclass(frozen=True)
class Finalist:
    """A candidate to train in full, with its label in the benchmark."""

    label: str
    candidate: Candidate


def of_study(
    record: StudyRecord, space: Space, numbers: Sequence[int], names: Sequence[str], *, best: int
) -> list[Finalist]:
    """Return the trials ``numbers`` and the named candidates ``names``, with the recipe for finalists.

    Without either, return the ``best`` candidates of the front by joint hypervolume. Raises InputError.
    """
    if not numbers and not names:
        found = of_front(record, space, best, space.retrain)
        if not found:
            raise InputError(
                f"study {record.header.name!r} has no finished trial yet; continue it: "
                f"{command('resume', record.header.name)}"
            )
        return found
    for number in numbers:
        if not 0 <= number < len(record.trials) or not record.trials[number].params:
            front = listed([trial.number for trial in front_trials(record)])
            raise InputError(
                f"study {record.header.name!r} has no candidate for trial {number}; its front is {front}, and it has "
                f"{len(record.trials)} trials"
            )
    found = [*(_finalist(record.trials[number], space) for number in numbers), *(named(space, each) for each in names)]
    return [retrained(each, space.retrain) for each in found]


def of_front(
    record: StudyRecord, space: Space, best: int, recipe: Mapping[str, Any],
    *, cost: Callable[[Candidate], float] = lambda _: 0.0, limit: float = math.inf,
) -> list[Finalist]:  # fmt: skip
    """Return the ``best`` candidates of the front by joint hypervolume, with ``recipe``.

    If the front has fewer, paused candidates follow: the front of those that reached the highest fidelity and are
    within the space's upper bounds. Their costs together are within ``limit`` if so many candidates are. ``cost`` takes
    a candidate with ``recipe``.
    """

    def trial_cost(trial: TrialRecord) -> float:
        return cost(with_recipe(space.candidate(trial.params), recipe))

    trials, _ = hypervolume_subset(record, best, cost=trial_cost, limit=limit)
    if len(trials) < best:
        left = limit - sum(map(trial_cost, trials))
        paused, _ = hypervolume_subset(
            _at_highest_fidelity(record, space), best - len(trials), cost=trial_cost, limit=left
        )
        trials += paused
    return [retrained(_finalist(trial, space), recipe) for trial in trials]


def _at_highest_fidelity(record: StudyRecord, space: Space) -> StudyRecord:
    """Return the study as if its paused trials that reached the highest fidelity had been trained in full.

    Those outside an upper bound there are left out, unless all are: full training does not save energy.
    """
    paused = [trial for trial in record.trials if trial.status == "paused"]
    within = [trial for trial in paused if not space.exceeded(trial.fidelities[-1].measured, at_rung=True)]
    paused = within or paused
    highest = max((len(trial.fidelities) for trial in paused), default=0)
    price, names = record.header.price, [objective.name for objective in record.header.objectives]

    def as_complete(trial: TrialRecord) -> TrialRecord:
        measured = trial.fidelities[-1].measured
        values = objective_values(measured, names, price)
        metrics = Metrics(**dict(measured), test_accuracy=0, test_f1=0)  # not used
        return trial.model_copy(update={"status": "complete", "values": values, "metrics": metrics})

    trials = tuple(as_complete(trial) for trial in paused if len(trial.fidelities) == highest)
    return record.model_copy(update={"trials": trials})


def named(space: Space, name: str) -> Finalist:
    """Return a named candidate of the space. Raises InputError."""
    if name not in space.candidates:
        allowed = f"{listed(space.candidates)}{nearest(name, space.candidates)}" if space.candidates else "none"
        raise InputError(f"space {space.study.name} names no candidate {name!r}; it has {allowed}")
    return Finalist(_label(name, name), space.candidate(space.candidates[name]))


def retrained(finalist: Finalist, recipe: Mapping[str, Any]) -> Finalist:
    """Return the finalist trained in full with ``recipe``."""
    return Finalist(finalist.label, with_recipe(finalist.candidate, recipe))


def with_recipe(candidate: Candidate, recipe: Mapping[str, Any]) -> Candidate:
    """Return the candidate trained in full, on all images, with ``recipe`` (path of train or data -> value) on top."""
    train, data = train_of(candidate.train, recipe), data_of(candidate.data, recipe)
    return candidate.model_copy(update={"train": train, "data": data})


def benchmark_text(
    name: str, finalists: Sequence[Finalist], space: Space, seeds: Sequence[int], *, base: Candidate
) -> str:
    """Return the benchmark of the finalists as YAML, with their differences from ``base`` as overrides.

    Finalists that are equal with the recipe for finalists, for example two that differed only in epochs, appear once.
    """
    networks, overrides = {}, {}
    seen: set[str] = set()
    for finalist in finalists:
        candidate = finalist.candidate
        if candidate.fingerprint in seen:
            continue
        seen.add(candidate.fingerprint)
        networks[finalist.label] = candidate.network.model_dump(mode="json")
        if different := candidate.different(base):
            overrides[finalist.label] = different
    tree = {
        "benchmark": {"name": name, "seeds": list(seeds), "twins": True, "figures": list(space.own_figures)},
        "networks": networks,
        **{name: getattr(base, name).model_dump(mode="json") for name in ("neuron", "encoding", "train", "energy")},
        "data": {base.data.name: base.data.model_dump(mode="json", exclude={"name"})},
        **({"overrides": overrides} if overrides else {}),
        "reference": [point.model_dump(mode="json") for point in space.reference],
        **space.plugins.dump(),
    }
    return document.dump(tree)


def describe_choice(record: StudyRecord, best: int) -> str:
    """Return how the ``best`` finalists were chosen from the front; empty if all of the front were."""
    front = front_trials(record)
    chosen, share = hypervolume_subset(record, best)
    if len(chosen) == len(front):
        return ""
    return (
        f"front     {len(chosen)} of its {count(len(front), 'candidate')}: chosen from the more accurate half, "
        f"with {ratio(share)} of its hypervolume together; to choose others: --best {len(front)}, --trials N,N"
    )


def _finalist(trial: TrialRecord, space: Space) -> Finalist:
    return Finalist(_label(trial.name, f"trial {trial.number}"), space.candidate(trial.params))


def _label(wanted: str | None, other: str) -> str:
    """Return ``wanted`` if it can be a network's label in a benchmark, else ``other`` with '-' for other letters."""
    if wanted is not None and LABEL.fullmatch(wanted):
        return wanted
    text = "".join(letter if LABEL.fullmatch(f"a{letter}") else "-" for letter in other)
    return (text if LABEL.fullmatch(text[:1]) else f"candidate {text}")[:40]
