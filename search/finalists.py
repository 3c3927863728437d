"""Candidates that are trained in full: the front of a study, or what a space calls by name.

There is no second loop for them. What is to be trained becomes a benchmark, each finalist one of its networks, with its
CNN twin beside it: resumable, several seeds, the test images looked at when a training is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reports.front import front_trials
from reports.record import StudyRecord, TrialRecord
from search import yaml_source
from search.benchmark.source import LABEL
from search.candidate import Candidate
from search.errors import InputError, listed, nearest
from search.longer import data_of, train_of
from search.space import Space


@dataclass(frozen=True)
class Finalist:
    label: str
    candidate: Candidate


def of_study(record: StudyRecord, space: Space, numbers: Sequence[int], names: Sequence[str]) -> list[Finalist]:
    """The trials and named candidates that are asked for, the front where none is, as they are to be trained. Raises
    InputError."""
    if not numbers and not names:
        trials = front_trials(record)
        if not trials:
            raise InputError(
                f"study {record.header.name!r} has no finished trial yet; go on with it: snnsearch resume "
                f"{record.header.name}"
            )
        return [_longer(_finalist(trial, space), space) for trial in trials]
    for number in numbers:
        if not 0 <= number < len(record.trials) or not record.trials[number].params:
            front = listed([trial.number for trial in front_trials(record)])
            raise InputError(
                f"study {record.header.name!r} has no candidate of trial {number}; its front is {front}, and it has "
                f"{len(record.trials)} trials"
            )
    found = [*(_finalist(record.trials[number], space) for number in numbers), *(named(space, each) for each in names)]
    return [_longer(each, space) for each in found]


def named(space: Space, name: str) -> Finalist:
    """A candidate that the space names. Raises InputError."""
    if name not in space.candidates:
        allowed = f"{listed(space.candidates)}{nearest(name, space.candidates)}" if space.candidates else "none"
        raise InputError(f"space {space.study.name} names no candidate {name!r}; it has {allowed}")
    return Finalist(_label(name, name), space.candidate(space.candidates[name]))


def longer(candidate: Candidate, space: Space) -> Candidate:
    """The candidate with the recipe and the data that the space has for finalists."""
    train, data = train_of(candidate.train, space.retrain), data_of(candidate.data, space.retrain)
    return candidate.model_copy(update={"train": train, "data": data})


def benchmark_text(
    name: str, finalists: Sequence[Finalist], space: Space, seeds: Sequence[int], *, base: Candidate
) -> str:
    """The benchmark of the finalists, as YAML; ``base`` is what they are described against.

    Of finalists that are equal when they are trained so, such as two that differ in epochs alone, the first stands.
    """
    networks, own = {}, {}
    seen: set[str] = set()
    for finalist in finalists:
        candidate = finalist.candidate
        if candidate.key in seen:
            continue
        seen.add(candidate.key)
        networks[finalist.label] = candidate.network.model_dump(mode="json")
        if different := candidate.different(base):
            own[finalist.label] = different
    tree = {
        "benchmark": {"name": name, "seeds": list(seeds), "twins": True},
        "networks": networks,
        **{name: getattr(base, name).model_dump(mode="json") for name in ("neuron", "encoding", "train", "energy")},
        "data": {base.data.name: base.data.model_dump(mode="json", exclude={"name"})},
        **({"own": own} if own else {}),
        "reference": [point.model_dump(mode="json") for point in space.reference],
    }
    return yaml_source.dump(tree)


def _longer(finalist: Finalist, space: Space) -> Finalist:
    return Finalist(finalist.label, longer(finalist.candidate, space))


def _finalist(trial: TrialRecord, space: Space) -> Finalist:
    return Finalist(_label(trial.name, f"trial {trial.number}"), space.candidate(trial.params))


def _label(wanted: str | None, other: str) -> str:
    """``wanted`` where it can be a network's label in a benchmark."""
    if wanted is not None and LABEL.fullmatch(wanted):
        return wanted
    return "".join(letter if LABEL.fullmatch(f"a{letter}") else "-" for letter in other)[:40]
