"""Replay searches on the table of masks: what each finds with a given share of the cost of an exhaustive search.

    python -m benchmarks.search.masks.replay benchmarks/search/masks/table.csv --seeds 20

Cost is dense multiply-accumulates times images, over all epochs that a search trains: the same on any machine. The
result is the hypervolume of finished masks, as a share of the whole table's; accuracy is linear, energy and parameters
are logarithmic, each from the table's best to its worst. Masks that are stopped early do not count, as in a study.
"""

import argparse
import json
import random
import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol

import optuna
from optuna.trial import TrialState
from scipy.stats import spearmanr

from benchmarks.search.masks.train import DATA, ENCODING, NEURON, RECIPE, Row, read
from benchmarks.search.outcomes import losses, scaled
from reports.analysis.pareto import Point, front
from reports.analysis.volume import hypervolume
from reports.records.study import Direction, Leaf
from search.samplers import make_sampler
from search.samplers.history import RUNG_PREFIX
from search.samplers.initial_design import initial_design
from search.space.loading.loader import load_space
from search.space.sections import EarlyStopping
from search.space.space import Space
from search.study.pruners.pareto import ParetoPruner
from snnkit.families.squeezenet import FIRES

OBJECTIVES: Mapping[str, Direction] = {"accuracy": "maximize", "energy_mj": "minimize", "params": "minimize"}
SHARES = (0.05, 0.10, 0.15, 0.25, 0.50, 1.00)


@dataclass(frozen=True)
class Table:
    """The table of one seed. ``trainings``: mask -> its epochs."""

    trainings: Mapping[str, Sequence[Row]]

    @cached_property
    def cost(self) -> float:
        """Return the cost of training all masks to the end."""
        return sum(cost(row) for rows in self.trainings.values() for row in rows)

    @cached_property
    def losses(self) -> dict[str, Point]:
        """Return every mask's final objectives, 0 at the table's best and 1 at its worst."""
        return scaled({mask: losses(*objectives(rows[-1])) for mask, rows in self.trainings.items()})


def table_of(rows: Sequence[Row], seed: int = 0) -> Table:
    """Return the masks of ``seed`` that were trained to the end."""
    trainings: dict[str, list[Row]] = {}
    for row in rows:
        if row.seed == seed:
            trainings.setdefault(row.mask, []).append(row)
    return Table({mask: found for mask, found in trainings.items() if len(found) == RECIPE.epochs})


def cost(row: Row) -> float:
    return float(row.dense_macs) * row.images


def objectives(row: Row) -> tuple[float, float, float]:
    return (row.accuracy, row.energy_mj, float(row.params))


# -- searches -------------------------------------------------------------------------------------------------------


class Search(Protocol):
    """A search that `replay` can run."""

    def ask(self) -> str | None:
        """Return the next mask to train, or None if there is none."""

    def note(self, mask: str, epoch: int, values: Sequence[float]) -> None:
        """Learn the objectives of a mask after a rung."""

    def tell(self, mask: str, values: Sequence[float] | None) -> None:
        """Learn the final objectives of a mask; None if it was stopped early."""


class RandomOrder:
    """Random search without repetition."""

    def __init__(self, table: Table, seed: int) -> None:
        self._left = random.Random(seed).sample(sorted(table.trainings), len(table.trainings))

    def ask(self) -> str | None:
        return self._left.pop() if self._left else None

    def note(self, mask: str, epoch: int, values: Sequence[float]) -> None:
        """Learn nothing."""

    def tell(self, mask: str, values: Sequence[float] | None) -> None:
        """Learn nothing."""


class SamplerSearch:
    """Masks that one of this project's samplers proposes, or an untried neighbour if it repeats itself.

    ``corners``: begin with the smallest and the largest network. ``distinct``: of masks that differ only in the names
    of equal modules train the first only, as in a study.
    """

    def __init__(self, table: Table, seed: int, sampler: str, *, corners: bool = False, distinct: bool = False) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = _space(sampler)
        self._study = optuna.create_study(directions=list(OBJECTIVES.values()), sampler=make_sampler(self._space, seed))
        self._keys = {mask: self._space.candidate(_params(mask)).fingerprint for mask in table.trainings}
        self._distinct = distinct
        self._left = set(table.trainings)
        self._rng = random.Random(seed)
        self._live: dict[str, optuna.Trial] = {}
        for params in initial_design(self._space) if corners else ():
            self._study.enqueue_trial(params)

    def ask(self) -> str | None:
        while self._left:
            trial = self._study.ask()
            mask = _mask(self._space.suggest(trial))  # type: ignore[arg-type]  # Optuna overloads suggest_categorical
            trial.set_user_attr("key", self._keys.get(mask, mask))
            if mask in self._left:
                self._left -= self._equal(mask)
                self._live[mask] = trial
                return mask
            self._study.tell(trial, state=TrialState.FAIL)
            if self._left:
                self._study.enqueue_trial(_params(nearest(mask, self._left, self._rng)))
        return None

    def _equal(self, mask: str) -> set[str]:
        """Return the untried masks with the same network as ``mask``, and ``mask`` itself."""
        return {other for other in self._left if self._distinct and self._keys[other] == self._keys[mask]} | {mask}

    def note(self, mask: str, epoch: int, values: Sequence[float]) -> None:
        self._live[mask].set_user_attr(f"{RUNG_PREFIX}{epoch}", list(values))

    def tell(self, mask: str, values: Sequence[float] | None) -> None:
        state = TrialState.PRUNED if values is None else TrialState.COMPLETE
        self._study.tell(self._live.pop(mask), values, state=state)


def nearest(mask: str, others: Collection[str], rng: random.Random) -> str:
    """Return one of the ``others`` that differ from ``mask`` in the fewest modules."""

    def distance(other: str) -> int:
        return sum(a != b for a, b in zip(mask, other, strict=True))

    least = min(map(distance, others))
    return rng.choice(sorted(other for other in others if distance(other) == least))


def _space(sampler: str) -> Space:
    """Return the space of all masks, with the training of `benchmarks.search.masks.train`."""
    tree: dict[str, object] = {
        "study": {"name": "masks", "sampler": sampler, "budget": {"trials": 256}, "objectives": dict(OBJECTIVES)},
        "network": {"family": "squeezenet"} | {fire: {"keep": {"choices": [True, False]}} for fire in FIRES},
        "neuron": NEURON.model_dump(mode="json"),
        "encoding": ENCODING.model_dump(mode="json"),
        "train": RECIPE.model_dump(mode="json"),
        "data": DATA.model_dump(mode="json"),
    }
    return load_space(json.dumps(tree))  # JSON is YAML


def _params(mask: str) -> dict[str, Leaf]:
    return {f"network.{fire}.keep": bit == "1" for fire, bit in zip(FIRES, mask, strict=True)}


def _mask(params: Mapping[str, Leaf]) -> str:
    return "".join(str(int(bool(params[f"network.{fire}.keep"]))) for fire in FIRES)


SEARCHES: Mapping[str, Callable[[Table, int], Search]] = {
    "random": RandomOrder,
    **{name: partial(SamplerSearch, sampler=name) for name in ("tpe", "ga", "gp", "ehvi")},
    "ehvi, corners": partial(SamplerSearch, sampler="ehvi", corners=True),
    "ours": partial(SamplerSearch, sampler="ehvi", corners=True, distinct=True),
}


def replay(table: Table, search: Search, rule: EarlyStopping | None, until: float = 1.0) -> Iterator[tuple[float, str]]:
    """Yield (cost so far, mask) of every mask that the search trains to the end, until it has seen all masks or has
    spent the share ``until`` of their cost."""
    rungs = None if rule is None else ParetoPruner(rule, OBJECTIVES)
    spent, number = 0.0, 0
    while spent < until * table.cost and (mask := search.ask()) is not None:
        values: Sequence[float] | None = None
        for row in table.trainings[mask]:
            spent += cost(row)
            values = objectives(row)
            if rungs is not None and row.epoch in RECIPE.rungs:
                rungs.add(row.epoch, number, values)
                search.note(mask, row.epoch, values)
                if rungs.prune_reason(row.epoch, number) is not None:
                    values = None
                    break
        search.tell(mask, values)
        number += 1
        if values is not None:
            yield spent, mask


def hypervolume_shares(
    table: Table, finished: Sequence[tuple[float, str]], shares: Sequence[float] = SHARES
) -> list[float]:
    """Return the share of the table's hypervolume that was found at each of ``shares`` of its cost."""
    losses, whole, box = table.losses, table.cost, (1.0, 1.0, 1.0)
    best = hypervolume(list(losses.values()), box)
    return [
        hypervolume([losses[mask] for spent, mask in finished if spent <= share * whole], box) / best
        for share in shares
    ]


def correlations(table: Table) -> Iterator[tuple[str, float]]:
    """Yield Spearman's rank correlation of early figures with final ones, over the table's masks."""
    for column, name in enumerate(OBJECTIVES):
        finals = [objectives(rows[-1])[column] for rows in table.trainings.values()]
        for epoch in range(1, RECIPE.epochs):
            early = [objectives(rows[epoch - 1])[column] for rows in table.trainings.values()]
            if early != finals:  # parameters are known from the start
                yield f"{name} after epoch {epoch}, with its last", float(spearmanr(early, finals).statistic)
    accuracy = [rows[-1].accuracy for rows in table.trainings.values()]
    for name in ("params", "dense_macs"):
        known = [getattr(rows[-1], name) for rows in table.trainings.values()]
        yield f"{name}, with the last accuracy", float(spearmanr(known, accuracy).statistic)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--searches", nargs="*", default=list(SEARCHES), choices=list(SEARCHES))
    parser.add_argument("--until", type=float, default=1.0, help="share of the cost at which a search ends")
    options = parser.parse_args()
    shares = [share for share in SHARES if share <= options.until]
    table = table_of(read(options.table))
    finals = table.losses
    print(f"{len(table.trainings)} of 256 masks, {len(front(list(finals.values())))} of them on the front\n")
    print("| search | early stopping | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    print("|---" * (2 + len(shares)) + "|")
    for name in options.searches:
        for rule in (None, EarlyStopping()):
            runs = [
                hypervolume_shares(table, list(replay(table, SEARCHES[name](table, seed), rule, options.until)), shares)
                for seed in range(options.seeds)
            ]
            cells = [f"{statistics.median(at):.3f} ({min(at):.3f} to {max(at):.3f})" for at in zip(*runs, strict=True)]
            print(f"| {name} | {'no' if rule is None else 'yes'} | " + " | ".join(cells) + " |", flush=True)
    print("\n| rank correlation | |\n|---|---|")
    for what, value in correlations(table):
        print(f"| {what} | {value:+.2f} |")


if __name__ == "__main__":
    main()
