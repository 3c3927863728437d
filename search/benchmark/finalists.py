"""Finalists: candidates that are trained in full, from the front of a study or from a space's named candidates.

They become the networks of a benchmark, each with its CNN twin, so they have several seeds, can be resumed, and are
measured on the test images once, after training.
"""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from reports.analysis.front import front_trials
from reports.analysis.hypervolume import hypervolume_subset
from reports.document.commands import command
from reports.document.wording import count, duration, ratio
from reports.records.study import StudyRecord, TrialRecord
from search.benchmark.benchmark import Benchmark
from search.benchmark.loader import LABEL
from search.errors import InputError, listed, nearest
from search.executors import WorkerPool
from search.runner.progress import TRAINED_TO_END
from search.space import document
from search.space.candidate import Candidate
from search.space.retrain import data_of, train_of
from search.space.space import Space
from snnkit.architecture.plan import training_macs
from snnkit.architecture.resizing import resized

THIRDS = (1 / 6, 1 / 2, 5 / 6)  # the middle of each third of a training; its images may grow from third to third


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
    return [Finalist(each.label, with_recipe(each.candidate, space.retrain)) for each in found]


def of_front(record: StudyRecord, space: Space, best: int, recipe: Mapping[str, Any]) -> list[Finalist]:
    """Return the ``best`` candidates of the front by joint hypervolume, with ``recipe``; none if the front is empty."""
    trials, _ = hypervolume_subset(record, best)
    found = [_finalist(trial, space) for trial in trials]
    return [Finalist(each.label, with_recipe(each.candidate, recipe)) for each in found]


def named(space: Space, name: str) -> Finalist:
    """Return a named candidate of the space. Raises InputError."""
    if name not in space.candidates:
        allowed = f"{listed(space.candidates)}{nearest(name, space.candidates)}" if space.candidates else "none"
        raise InputError(f"space {space.study.name} names no candidate {name!r}; it has {allowed}")
    return Finalist(_label(name, name), space.candidate(space.candidates[name]))


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
        "benchmark": {"name": name, "seeds": list(seeds), "twins": True},
        "networks": networks,
        **{name: getattr(base, name).model_dump(mode="json") for name in ("neuron", "encoding", "train", "energy")},
        "data": {base.data.name: base.data.model_dump(mode="json", exclude={"name"})},
        **({"overrides": overrides} if overrides else {}),
        "reference": [point.model_dump(mode="json") for point in space.reference],
    }
    return document.dump(tree)


def foreword(record: StudyRecord, benchmark: Benchmark, pool: WorkerPool, best: int | None) -> str:
    """Return how the ``best`` finalists were chosen from the front, and how long their training will take.

    ``best`` is None if the user chose the finalists.
    """
    lines = []
    if best is not None:
        front = front_trials(record)
        chosen, share = hypervolume_subset(record, best)
        if len(chosen) < len(front):
            lines.append(
                f"front     {len(chosen)} of its {count(len(front), 'candidate')}: chosen from the more accurate half, "
                f"with {ratio(share)} of its hypervolume together; to choose others: --best {len(front)}, --trials N,N"
            )
    if (seconds := expected_s(record, benchmark, pool)) is not None:
        place = f" on {record.header.machine}" if record.header.machine else ""
        lines.append(
            f"expected  about {duration(seconds)} in all with {count(pool.workers or 1, 'worker')}, "
            f"estimated from the study's trials{place}"
        )
    return "\n".join(lines)


def expected_s(record: StudyRecord, benchmark: Benchmark, pool: WorkerPool) -> float | None:
    """Estimate the seconds that the benchmark takes on the study's machine; None if no trial of the study was trained.

    The time per training image and per multiply-accumulate is fitted to the study's trials.
    """
    done = [trial for trial in record.trials if trial.status in TRAINED_TO_END and trial.training_macs and trial.wall_s]
    if not done:
        return None
    work = np.array([(trial.training_images, trial.training_macs) for trial in done], dtype=float)
    threads = pool.placement.threads  # assumed for trials whose record does not have them
    spent = np.array([trial.wall_s * (trial.threads or threads) for trial in done])
    unit = work.mean(axis=0)
    (per_image, per_mac), _ = nnls(work / unit, spent)
    candidates = [each for row in benchmark.candidates.values() for each in row.values()]
    images, macs = np.sum([_work(each, twin=benchmark.section.twins) for each in candidates], axis=0) / unit
    seconds = len(benchmark.section.seeds) * (per_image * images + per_mac * macs)
    return float(seconds / ((pool.workers or 1) * threads))


def _work(candidate: Candidate, *, twin: bool) -> tuple[float, float]:
    """Return the images and multiply-accumulates of its training, and of its CNN twin's if that is trained."""
    recipe, frames, plan = candidate.train, candidate.encoding.frames, candidate.plan()
    images, steps = candidate.data.train_images, candidate.encoding.timesteps
    short = min(recipe.short_timesteps, steps)
    epochs = Counter({short: recipe.short_epochs})
    epochs[steps] += recipe.epochs - recipe.short_epochs
    if twin or recipe.start == "cnn":
        epochs[1] += recipe.for_cnn_twin.epochs
    plans = [resized(plan, recipe.resolution(progress, plan.in_shape[1])) for progress in THIRDS]
    macs = statistics.mean(
        sum(count * training_macs(at, timesteps=t, input_steps=t if frames else 1) for t, count in epochs.items())
        for at in plans
    )
    return float(images * epochs.total()), float(images * macs)


def _finalist(trial: TrialRecord, space: Space) -> Finalist:
    return Finalist(_label(trial.name, f"trial {trial.number}"), space.candidate(trial.params))


def _label(wanted: str | None, other: str) -> str:
    """Return ``wanted`` if it can be a network's label in a benchmark, else ``other`` with '-' for other letters."""
    if wanted is not None and LABEL.fullmatch(wanted):
        return wanted
    text = "".join(letter if LABEL.fullmatch(f"a{letter}") else "-" for letter in other)
    return (text if LABEL.fullmatch(text[:1]) else f"candidate {text}")[:40]
