"""Searches replayed on the table of masks: what each has found by the time a share of the exhaustive cost is spent.

    python -m benchmarks.masks.replay benchmarks/masks/table.csv --seeds 20

Cost is dense multiply-accumulates times images, of all epochs that a search lets a mask have: the same on any machine.
Found is the hypervolume of finished masks, as a share of that of the whole table; accuracy is linear, energy and
parameters are logarithmic, each from the table's best to its worst. What a search stops early is lost to it, as in a
study.
"""

import argparse
import math
import os
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import optuna
from optuna.trial import TrialState
from scipy.stats import spearmanr

from benchmarks.masks.train import RECIPE, Row, read
from reports.pareto import Direction, Point, front, hypervolume
from search.dials import Choices, Dial
from search.samplers import StatelessSampler, choose
from search.stopping import RUNG, Rungs, Stopping

OBJECTIVES: Mapping[str, Direction] = {"accuracy": "maximize", "energy_mj": "minimize", "params": "minimize"}
FIRES = tuple(Dial(f"network.fire{n}.keep", Choices((True, False))) for n in range(2, 10))
CORNERS = ("0" * 8, "1" * 8)  # what a study begins with
SHARES = (0.10, 0.15, 0.25, 0.50, 1.00)


@dataclass(frozen=True)
class Table:
    """``trainings``: mask -> its epochs, of one seed."""

    trainings: Mapping[str, Sequence[Row]]

    @cached_property
    def cost(self) -> float:
        """Of training all masks to the end."""
        return sum(cost(row) for rows in self.trainings.values() for row in rows)

    @cached_property
    def losses(self) -> dict[str, Point]:
        """Every mask's final objectives, 0 at the table's best and 1 at its worst."""
        scaled = {}
        for mask, rows in self.trainings.items():
            accuracy, energy, params = objectives(rows[-1])
            scaled[mask] = (-accuracy, math.log(energy), math.log(params))
        columns = list(zip(*scaled.values(), strict=True))
        ends = [(min(column), max(column)) for column in columns]
        return {
            mask: tuple((x - low) / (high - low) for x, (low, high) in zip(point, ends, strict=True))
            for mask, point in scaled.items()
        }


def table_of(rows: Sequence[Row], seed: int = 0) -> Table:
    """Those masks of ``seed`` that were trained to the end."""
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


class Order:
    """Masks in random order: what plain random search asks for, without asking twice."""

    def __init__(self, table: Table, seed: int) -> None:
        self._left = random.Random(seed).sample(sorted(table.trainings), len(table.trainings))

    def ask(self) -> str | None:
        return self._left.pop() if self._left else None

    def note(self, mask: str, epoch: int, values: Sequence[float]) -> None:
        """Nothing is learnt."""

    def tell(self, mask: str, values: Sequence[float] | None) -> None:
        """Nothing is learnt."""


class Sampled:
    """Masks that one of this project's samplers proposes; an untried neighbour where it repeats itself."""

    def __init__(self, table: Table, seed: int, name: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = StatelessSampler(choose(name, FIRES), seed)
        self._study = optuna.create_study(directions=list(OBJECTIVES.values()), sampler=sampler)
        self._left = set(table.trainings)
        self._rng = random.Random(seed)
        self._live: dict[str, optuna.Trial] = {}
        for mask in CORNERS if os.environ.get("CORN") else ():
            self._study.enqueue_trial(_params(mask))

    def ask(self) -> str | None:
        while self._left:
            trial = self._study.ask()
            kept = [dial.values.suggest(trial, dial.path) for dial in FIRES]  # type: ignore[arg-type]  # overloads
            mask = "".join(str(int(each)) for each in kept)
            if mask in self._left:
                self._left.remove(mask)
                self._live[mask] = trial
                return mask
            self._study.tell(trial, state=TrialState.FAIL)
            self._study.enqueue_trial(_params(self._nearest(mask)))
        return None

    def note(self, mask: str, epoch: int, values: Sequence[float]) -> None:
        self._live[mask].set_user_attr(f"{RUNG}{epoch}", list(values))

    def tell(self, mask: str, values: Sequence[float] | None) -> None:
        state = TrialState.PRUNED if values is None else TrialState.COMPLETE
        self._study.tell(self._live.pop(mask), values, state=state)

    def _nearest(self, mask: str) -> str:
        def distance(other: str) -> int:
            return sum(a != b for a, b in zip(mask, other, strict=True))

        least = min(map(distance, self._left))
        return self._rng.choice(sorted(other for other in self._left if distance(other) == least))


def _params(mask: str) -> dict[str, bool]:
    return {dial.path: bit == "1" for dial, bit in zip(FIRES, mask, strict=True)}


Search = Order | Sampled
SEARCHES: Mapping[str, Callable[[Table, int], Search]] = {
    "random": Order,
    "tpe": lambda table, seed: Sampled(table, seed, "tpe"),
    "nsga2": lambda table, seed: Sampled(table, seed, "nsga2"),
    "ga": lambda table, seed: Sampled(table, seed, "ga"),
    "gp": lambda table, seed: Sampled(table, seed, "gp"),
}


def replay(table: Table, search: Search, rule: Stopping | None) -> Iterator[tuple[float, str]]:
    """(cost so far, mask) of every mask that the search has trained to the end, until it has seen all."""
    rungs = None if rule is None else Rungs(rule, OBJECTIVES)
    spent, number = 0.0, 0
    while (mask := search.ask()) is not None:
        values: Sequence[float] | None = None
        for row in table.trainings[mask]:
            spent += cost(row)
            values = objectives(row)
            if rungs is not None and row.epoch in RECIPE.rungs:
                rungs.add(row.epoch, number, values)
                search.note(mask, row.epoch, values)
                if rungs.verdict(row.epoch, number) is not None:
                    values = None
                    break
        search.tell(mask, values)
        number += 1
        if values is not None:
            yield spent, mask


def found(table: Table, finished: Sequence[tuple[float, str]]) -> list[float]:
    """The share of the table's hypervolume at each of ``SHARES`` of its cost."""
    losses, whole, box = table.losses, table.cost, (1.0, 1.0, 1.0)
    best = hypervolume(list(losses.values()), box)
    return [
        hypervolume([losses[mask] for spent, mask in finished if spent <= share * whole], box) / best
        for share in SHARES
    ]


def correlations(table: Table) -> Iterator[tuple[str, float]]:
    """Spearman's rank correlation, over the table's masks, of what is known early with what comes out."""
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
    parser.add_argument("--searches", nargs="*", default=["random", "tpe", "nsga2"], choices=list(SEARCHES))
    options = parser.parse_args()
    table = table_of(read(options.table))
    finals = table.losses
    print(f"{len(table.trainings)} of 256 masks, {len(front(list(finals.values())))} of them on the front\n")
    print("| search | early stopping | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |")
    print("|---" * (2 + len(SHARES)) + "|")
    for name in options.searches:
        for rule in (None, Stopping()):
            runs = [
                found(table, list(replay(table, SEARCHES[name](table, seed), rule))) for seed in range(options.seeds)
            ]
            cells = [f"{statistics.median(at):.3f} ({min(at):.3f} to {max(at):.3f})" for at in zip(*runs, strict=True)]
            print(f"| {name} | {'no' if rule is None else 'yes'} | " + " | ".join(cells) + " |", flush=True)
    print("\n| rank correlation | |\n|---|---|")
    for what, value in correlations(table):
        print(f"| {what} | {value:+.2f} |")


if __name__ == "__main__":
    main()
