"""Rank the candidates of a pure pruning space by the weights of a supernet, before the first trial.

A supernet is trained once (`snnkit.weights.supernet`). Then every candidate, or a sample of a large space, is evaluated
with its weights. The best are trained after the named candidates and the initial design; then the sampler proposes. A
checkpoint and one line for each evaluated candidate are kept in ``supernet/`` in the study's folder, so that an
interrupted stage continues.
"""

import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from reports.analysis.pareto import as_losses, ranks
from reports.records.objectives import objective_values
from reports.records.study import Leaf, Measured, Record, SharedRecord, SupernetRecord
from reports.storage.files import append_line
from search.samplers.evolutionary import crowding_distance
from search.samplers.initial_design import initial_design
from search.space.candidate import Candidate
from search.space.space import Space
from search.trial.folder import RunFolder
from search.trial.job import Placement
from snnkit.base.seeds import derived_seed
from snnkit.data import Splits, load_dataset, split_dataset

if TYPE_CHECKING:
    from snnkit.weights.supernet import Supernet

MAX_DRAWS = 20  # per wanted candidate; then the space counts as exhausted

Say = Callable[[str], None]
Params = Mapping[str, Leaf]


class Evaluated(Record):
    """A line of ``ranking.jsonl``."""

    key: str
    params: dict[str, Leaf]
    measured: Measured
    images: int
    macs: float
    wall_s: float


@dataclass(frozen=True)
class Entrant:
    """A candidate to rank, and its dials."""

    params: Params
    candidate: Candidate


@dataclass(frozen=True)
class Ranking:
    """``places`` by candidate key; ``first``: the dials of the candidates to train first, the best one first."""

    cost: SupernetRecord
    places: Mapping[str, SharedRecord]
    first: tuple[Params, ...]


def pool(space: Space) -> list[Entrant]:
    """Return the candidates to rank, largest first.

    They are all that meet the constraints, or ``study.supernet.candidates`` of them: the initial design and the named
    ones first, then random ones.
    """
    assert space.study.supernet is not None
    most = space.study.supernet.candidates
    rng = random.Random(derived_seed(space.study.seed, "supernet"))
    found: dict[str, Entrant] = {}
    seen: set[frozenset[tuple[str, Leaf]]] = set()
    draws = (space.sample(rng) for _ in range(MAX_DRAWS * most))
    for params in itertools.chain(initial_design(space), space.candidates.values(), draws):
        if (one := frozenset(params.items())) in seen:
            continue
        seen.add(one)
        candidate = space.candidate(params)
        if not space.refusals(candidate):
            found.setdefault(candidate.fingerprint, Entrant(dict(params), candidate))
        if len(found) == most:
            break
    return sorted(found.values(), key=lambda entrant: -entrant.candidate.static()["dense_macs"])


def rank(space: Space, run: RunFolder, placement: Placement, say: Say) -> Ranking:
    """Train the supernet, evaluate the candidates and rank them, or continue; pass progress lines to ``say``.

    Raises CheckpointError, OSError.
    """
    assert space.study.supernet is not None
    run.supernet_checkpoint.parent.mkdir(parents=True, exist_ok=True)
    entrants = pool(space)
    data, encoding = space.base.data, space.base.encoding
    images = load_dataset(data.source, placement.data_root, side=data.resolution)
    parts = split_dataset(images, data, space.study.seed, frames=encoding.frames)
    cost, supernet = _train_supernet(space, entrants, parts, run.supernet_checkpoint, placement, say)
    evaluations = _evaluate(supernet, entrants, parts, run.supernet_ranking, placement, say)
    return _rank(space, cost, evaluations)


def recalled(space: Space, run: RunFolder, cost: SupernetRecord) -> Ranking:
    """Return the ranking of an earlier run from its stored lines."""
    evaluations = {each.key: each for each in _read(run.supernet_ranking)}
    return _rank(space, SupernetRecord(ranked=cost.ranked), evaluations)


def _train_supernet(
    space: Space, entrants: Sequence[Entrant], parts: Splits, checkpoint: Path, placement: Placement, say: Say
) -> tuple[SupernetRecord, "Supernet"]:
    import torch

    from snnkit.training.loop import train
    from snnkit.weights.sandwich import SandwichStep
    from snnkit.weights.supernet import Supernet

    rule, base = space.study.supernet, space.base
    assert rule is not None
    torch.set_num_threads(placement.threads)
    plans = [entrant.candidate.plan() for entrant in entrants]
    supernet = Supernet(plans, base.neuron, base.encoding, seed=space.study.seed)
    off = {"distill": 0.0, "ema": None, "short_epochs": 0}  # these work only for a network trained by itself
    recipe = base.train.model_copy(update={"epochs": rule.epochs, "rungs": (), **off})
    make_step = partial(SandwichStep, plans=plans, paths=rule.paths)
    cost = SupernetRecord(ranked=len(entrants))
    for epoch in train(
        supernet, parts, recipe,
        seed=space.study.seed, device=placement.device, make_step=make_step, checkpoint=checkpoint,
    ):  # fmt: skip
        cost = cost.model_copy(
            update={
                "epochs": epoch.epoch,
                "images": cost.images + epoch.images,
                "macs": cost.macs + epoch.macs,
                "wall_s": cost.wall_s + epoch.wall_s,
            }
        )
        figures = f"loss {epoch.train_loss:.3f}, largest network {epoch.val_accuracy:.3f} without recalibration"
        say(f"epoch {epoch.epoch} of {rule.epochs}: {figures}, {epoch.wall_s:.0f} s")
    return cost, supernet


def _evaluate(
    supernet: "Supernet", entrants: Sequence[Entrant], parts: Splits, path: Path, placement: Placement, say: Say
) -> dict[str, Evaluated]:
    """Return the evaluation of each candidate by key, storing a line for each one that has none yet."""
    from search.trial.run import figures
    from snnkit.weights.supernet_evaluation import evaluate_in_supernet

    found = {each.key: each for each in _read(path)}
    left = [entrant for entrant in entrants if entrant.candidate.fingerprint not in found]
    for number, entrant in enumerate(left, start=1):
        began = time.monotonic()
        candidate = entrant.candidate
        evaluated = evaluate_in_supernet(supernet, candidate.plan(), parts, device=placement.device)
        line = Evaluated(
            key=candidate.fingerprint,
            params=dict(entrant.params),
            measured=figures(evaluated.counts, evaluated.evaluation.accuracy, candidate.energy),
            images=evaluated.images,
            macs=evaluated.macs,
            wall_s=time.monotonic() - began,
        )
        append_line(path, line.model_dump_json())
        found[line.key] = line
        if number % 50 == 0 or number == len(left):
            say(f"{len(entrants) - len(left) + number} of {len(entrants)} candidates evaluated")
    return {entrant.candidate.fingerprint: found[entrant.candidate.fingerprint] for entrant in entrants}


def _read(path: Path) -> Iterator[Evaluated]:
    """Read the stored evaluations, skipping a line that a kill cut short."""
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(ValidationError):
            yield Evaluated.model_validate_json(line)


def _rank(space: Space, cost: SupernetRecord, evaluations: Mapping[str, Evaluated]) -> Ranking:
    """Order candidates by non-dominated rank and, within a front, by crowding distance."""
    rule, objectives = space.study.supernet, space.study.objectives
    assert rule is not None
    price = space.base.energy.key
    values = {key: objective_values(each.measured, objectives, price) for key, each in evaluations.items()}
    points = [as_losses(list(each.values()), list(objectives.values())) for each in values.values()]
    found = ranks(points)
    gaps = crowding_distance(points, found)
    order = sorted(range(len(points)), key=lambda at: (found[at], -gaps[at], at))
    keys = list(evaluations)
    places = {
        keys[at]: SharedRecord(place=place, rank=found[at], values=values[keys[at]])
        for place, at in enumerate(order, start=1)
    }
    spent = {
        name: getattr(cost, name) + sum(getattr(each, name) for each in evaluations.values())
        for name in ("images", "macs", "wall_s")
    }
    return Ranking(
        cost=cost.model_copy(update=spent),
        places=places,
        first=tuple(evaluations[keys[at]].params for at in order[: rule.finalists]),
    )
