"""`study.supernet`: all networks of a pure pruning space ranked by shared weights, before the first trial.

A supernet is trained once (`snnkit.weights.supernet`), then every candidate, or a sample of a space that has too many,
is judged with its weights. What stands in front is put to real training first; after it the sampler goes on. Everything
lies in the study's folder, ``supernet/``: a checkpoint, and a line for each candidate that was judged, so that a stage
that was interrupted goes on where it was.
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
from reports.records.objectives import OBJECTIVES
from reports.records.study import Leaf, Measured, Record, SharedRecord, SupernetRecord
from reports.storage.files import append_line
from search.samplers.evolutionary import crowding_distance
from search.samplers.initial_design import initial_design
from search.space.candidate import Candidate
from search.space.space import Space
from search.trial.job import Placement
from snnkit.base.seeds import derived_seed
from snnkit.data import Splits, load_dataset, split_dataset

if TYPE_CHECKING:
    from snnkit.weights.supernet import Supernet

FOLDER, CHECKPOINT, RANKING = "supernet", "checkpoint.pt", "ranking.jsonl"
DRAWS = 20  # for each candidate that is to be ranked, until a space counts as exhausted

Say = Callable[[str], None]
Params = Mapping[str, Leaf]


class Judged(Record):
    """A line of ``ranking.jsonl``."""

    key: str
    params: dict[str, Leaf]
    measured: Measured
    images: int
    macs: float
    wall_s: float


@dataclass(frozen=True)
class Entrant:
    params: Params
    candidate: Candidate


@dataclass(frozen=True)
class Ranking:
    """``places``: by candidate key; ``first``: the dials of those that go on to real training, the best first."""

    cost: SupernetRecord
    places: Mapping[str, SharedRecord]
    first: tuple[Params, ...]


def pool(space: Space) -> list[Entrant]:
    """What is ranked, the largest first: all candidates that meet the constraints, or as many as
    ``study.supernet.candidates`` of them, corners and named ones first and the others at random."""
    assert space.study.supernet is not None
    most = space.study.supernet.candidates
    rng = random.Random(derived_seed(space.study.seed, "supernet"))
    found: dict[str, Entrant] = {}
    seen: set[frozenset[tuple[str, Leaf]]] = set()
    draws = (space.sample(rng) for _ in range(DRAWS * most))
    for params in itertools.chain(initial_design(space), space.candidates.values(), draws):
        if (one := frozenset(params.items())) in seen:
            continue
        seen.add(one)
        candidate = space.candidate(params)
        if not space.refusals(candidate):
            found.setdefault(candidate.key, Entrant(dict(params), candidate))
        if len(found) == most:
            break
    return sorted(found.values(), key=lambda entrant: -entrant.candidate.static()["dense_macs"])


def rank(space: Space, folder: Path, placement: Placement, say: Say) -> Ranking:
    """Train, judge and rank, or go on with it; ``say`` is told of the progress. Raises CheckpointError, OSError."""
    assert space.study.supernet is not None
    folder.mkdir(parents=True, exist_ok=True)
    entrants = pool(space)
    data, encoding = space.base.data, space.base.encoding
    images = load_dataset(data.name, placement.data_root, side=data.resolution)
    parts = split_dataset(images, data, space.study.seed, frames=encoding.frames)
    cost, supernet = _trained(space, entrants, parts, folder / CHECKPOINT, placement, say)
    judged = _judged(supernet, entrants, parts, folder / RANKING, placement, say)
    return _ranking(space, cost, judged)


def recalled(space: Space, folder: Path, cost: SupernetRecord) -> Ranking:
    """The ranking that an earlier run has ended with, from its lines alone."""
    judged = {each.key: each for each in _lines(folder / RANKING)}
    return _ranking(space, SupernetRecord(ranked=cost.ranked), judged)


def _trained(
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
    apart = {"distill": 0.0, "ema": None, "short_epochs": 0}  # for a network that is trained by itself
    recipe = base.train.model_copy(update={"epochs": rule.epochs, "rungs": (), **apart})
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


def _judged(
    supernet: "Supernet", entrants: Sequence[Entrant], parts: Splits, path: Path, placement: Placement, say: Say
) -> dict[str, Judged]:
    """By key; a line is added for each candidate that has none."""
    from search.trial.run import figures
    from snnkit.weights.supernet_evaluation import evaluate_in_supernet

    found = {judged.key: judged for judged in _lines(path)}
    left = [entrant for entrant in entrants if entrant.candidate.key not in found]
    for number, entrant in enumerate(left, start=1):
        began = time.monotonic()
        candidate = entrant.candidate
        evaluated = evaluate_in_supernet(supernet, candidate.plan(), parts, device=placement.device)
        judged = Judged(
            key=candidate.key,
            params=dict(entrant.params),
            measured=figures(evaluated.counts, evaluated.evaluation.accuracy, candidate.energy),
            images=evaluated.images,
            macs=evaluated.macs,
            wall_s=time.monotonic() - began,
        )
        append_line(path, judged.model_dump_json())
        found[judged.key] = judged
        if number % 50 == 0 or number == len(left):
            say(f"{len(entrants) - len(left) + number} of {len(entrants)} candidates judged")
    return {entrant.candidate.key: found[entrant.candidate.key] for entrant in entrants}


def _lines(path: Path) -> Iterator[Judged]:
    """What was judged so far; a line that a kill cut short is judged again."""
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(ValidationError):
            yield Judged.model_validate_json(line)


def _ranking(space: Space, cost: SupernetRecord, judged: Mapping[str, Judged]) -> Ranking:
    """By non-dominated rank, and on a front by how far the neighbours are."""
    rule, objectives = space.study.supernet, space.study.objectives
    assert rule is not None
    price = space.base.energy.key
    values = {
        key: {name: OBJECTIVES[name].value(each.measured, price) for name in objectives} for key, each in judged.items()
    }
    points = [as_losses(list(each.values()), list(objectives.values())) for each in values.values()]
    found = ranks(points)
    gaps = crowding_distance(points, found)
    order = sorted(range(len(points)), key=lambda at: (found[at], -gaps[at], at))
    keys = list(judged)
    places = {
        keys[at]: SharedRecord(place=place, rank=found[at], values=values[keys[at]])
        for place, at in enumerate(order, start=1)
    }
    spent = {
        name: getattr(cost, name) + sum(getattr(each, name) for each in judged.values())
        for name in ("images", "macs", "wall_s")
    }
    return Ranking(
        cost=cost.model_copy(update=spent),
        places=places,
        first=tuple(judged[keys[at]].params for at in order[: rule.finalists]),
    )
