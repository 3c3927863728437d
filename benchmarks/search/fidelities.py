"""Compare a search with fidelities with searches at one fidelity, with a formula in place of training.

    python -m benchmarks.search.fidelities spaces/squeezenet_prune.yaml --worlds 5

Full trainings have the outcome of `benchmarks.search.standin`. A training at the cheapest of the space's fidelities
has a lower accuracy, which falls with the depth of the network and differs by a deviation drawn for each candidate:
small (the cheap training ranks candidates well) or large (badly). Energy and parameters are as in full. Costs are
multiply-accumulates of the trainings. Three searches have the same operations to spend:

    full         every candidate in full
    cheap first  two thirds of the operations for cheap trainings, the rest for the full training of their front
    fidelities   `study.fidelities`: new candidates and promotions by expected gain per operation

All three use the default sampler. The result is the hypervolume of the candidates trained in full, as a share of the
hypervolume of all of them together.
"""

import argparse
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.search.standin import Values, normal, outcome, shares, without_accuracy_bound
from reports.analysis.pareto import front
from reports.records.study import Leaf
from search.samplers.ehvi import propose
from search.samplers.fidelities import Promotion, Proposal, next_step
from search.samplers.history import Observation, losses
from search.samplers.surrogate import training_cost
from search.space.loading.loader import load_space
from search.space.space import Space

DEVIATIONS = {"ranks well": 0.02, "ranks badly": 0.08}  # of the accuracy between cheap and full trainings
FULL_TRAININGS = 4  # budget of a search: so many full trainings of the largest named candidate
PARTS = (0.25, 0.5, 1.0)  # of the budget, at which searches are compared
CHEAP_SHARE = 2 / 3  # of the budget of "cheap first"


def cheap_outcome(params: Mapping[str, Leaf], space: Space, world: int, deviation: float) -> Values:
    """Return accuracy, energy in mJ and parameters after the cheap training."""
    candidate = space.candidate(params)
    accuracy, energy_mj, size = outcome(params, candidate, world)
    depth = sum(each.state != "removed" for each in candidate.modules())
    drawn = deviation * normal(world, "cheap", candidate.fingerprint)
    return max(0.05, 0.7 * accuracy - 0.01 * depth + drawn), energy_mj, size


@dataclass
class Search:
    """One search in one world. ``found`` are the outcomes of full trainings, with the operations spent before each."""

    space: Space
    world: int
    deviation: float
    budget: float
    spent: float = 0.0

    def __post_init__(self) -> None:
        self.found: list[tuple[float, Values]] = []
        self._rng = random.Random(self.world)

    def full(self) -> None:
        """Train every candidate in full."""
        history: list[Observation] = []
        while self.spent < self.budget:
            params = self._next(history)
            history.append(self._observed(params, len(history), values=self._train(params)))

    def cheap_first(self) -> None:
        """Train candidates cheaply, then their front in full: the most accurate first."""
        history: list[Observation] = []
        while self.spent < CHEAP_SHARE * self.budget:
            params = self._next(history)
            history.append(self._observed(params, len(history), values=self._train_cheaply(params)))
        best = front([trial.losses for trial in history if trial.losses is not None])
        for at in sorted(best, key=lambda at: history[at].losses or ()):
            if self.spent < self.budget:
                self._train(history[at].params)

    def fidelities(self) -> None:
        """Let the sampler choose between cheap trainings and promotions."""
        history: list[Observation] = []
        named = list(self.space.candidates.values())
        while self.spent < self.budget:
            step = Proposal(named.pop(0)) if named else self._step(history)
            match step:
                case None:
                    return
                case Promotion(number):
                    full = losses(self.space, self._train(history[number].params))
                    history[number] = replace(history[number], paused=False, complete=True, losses=full)
                case Proposal(params):
                    cheap = losses(self.space, self._train_cheaply(params))
                    trial = self._observed(params, len(history), values=None)
                    history.append(replace(trial, below=(cheap,), paused=True))

    def _step(self, history: list[Observation]) -> Promotion | Proposal | None:
        left = self.budget - self.spent
        return next_step(self.space, history, left, self._rng, share_left=left / self.budget)

    def _next(self, history: list[Observation]) -> Mapping[str, Leaf]:
        named = list(self.space.candidates.values())
        return named[len(history)] if len(history) < len(named) else propose(self.space, history, self._rng)

    def _observed(self, params: Mapping[str, Leaf], number: int, *, values: Values | None) -> Observation:
        found = None if values is None else losses(self.space, values)
        key = self.space.candidate(params).fingerprint
        return Observation(params, key, found, number=number, complete=values is not None)

    def _train(self, params: Mapping[str, Leaf]) -> Values:
        self.spent += cost(self.space, params, -1)
        values = outcome(params, self.space.candidate(params), self.world)
        self.found.append((self.spent, values))
        return values

    def _train_cheaply(self, params: Mapping[str, Leaf]) -> Values:
        self.spent += cost(self.space, params, 0)
        return cheap_outcome(params, self.space, self.world, self.deviation)


def cost(space: Space, params: Mapping[str, Leaf], fidelity: int) -> float:
    """Return the multiply-accumulates of a training at a fidelity: 0 is the cheapest, -1 the full one."""
    candidate = space.fidelities(space.candidate(params))[fidelity]
    return training_cost(candidate, candidate.plan())


SEARCHES: Mapping[str, Callable[[Search], None]] = {
    "full": Search.full,
    "cheap first": Search.cheap_first,
    "fidelities": Search.fidelities,
}


def world_shares(space: Space, world: int, deviation: float) -> dict[str, list[float]]:
    """Return the share of hypervolume that each search has found in one world after each part of the budget."""
    budget = FULL_TRAININGS * max(cost(space, params, -1) for params in space.candidates.values())
    runs = {}
    for name, run in SEARCHES.items():
        search = Search(space, world, deviation, budget)
        run(search)
        runs[name] = search.found
    together = {name: [values for _, values in found] for name, found in runs.items()}
    counts = {
        name: [sum(spent <= part * budget for spent, _ in found) for part in PARTS] for name, found in runs.items()
    }
    by_count = shares(together, range(1 + max(map(len, together.values()))))
    return {name: [by_count[name][count] for count in counts[name]] for name in SEARCHES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("space", type=Path)
    parser.add_argument("--worlds", type=int, default=5)
    options = parser.parse_args()
    space = without_accuracy_bound(load_space(options.space))
    print("| cheap training | search | " + " | ".join(f"{part:.0%} of the operations" for part in PARTS) + " |")
    print("|---" * (2 + len(PARTS)) + "|")
    for word, deviation in DEVIATIONS.items():
        found = [world_shares(space, world, deviation) for world in range(options.worlds)]
        for name in SEARCHES:
            columns = zip(*(each[name] for each in found), strict=True)
            cells = [f"{statistics.median(at):.3f} ({min(at):.3f} to {max(at):.3f})" for at in columns]
            print(f"| {word} | {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
