"""A genetic algorithm over the modules of a space. It orders trials like NSGA-II (Deb et al. 2002).

It creates one child at a time. Trials that were stopped early become parents only while few trials are complete. A
candidate is not proposed twice while new children can be found. The constants were chosen on a draft of
`benchmarks.search.standin` and on the table of masks, among 6 to 16 startup trials, 6 to 40 parents, tournaments of 2
to 5, and 0.5 to 2 mutations.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from reports.analysis.pareto import Point, as_losses, ranks
from reports.records.study import Direction, Leaf
from search.samplers.history import at_rungs
from search.samplers.stateless import distributions
from search.samplers.variation import crossover, mutate
from search.space.space import Space

N_STARTUP_TRIALS = 8  # complete trials before the first child
N_PARENTS = 20  # the best trials, which may have children
TOURNAMENT_SIZE = 5  # a parent is the best of this many draws; studies are short, and 2 explored for too long
MAX_REPEATS = 50  # children that equal an earlier trial before such a child is proposed after all

Params = Mapping[str, Leaf]


class GeneticSampler(BaseSampler):
    """Random until N_STARTUP_TRIALS trials are complete, then children of the N_PARENTS best."""

    def __init__(self, space: Space, seed: int) -> None:
        self._rng = random.Random(seed)
        self._independent = RandomSampler(seed=seed)
        self._dials = space.dials

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return distributions(self._dials) if len(complete) >= N_STARTUP_TRIALS else {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        directions: list[Direction] = [
            "maximize" if each == StudyDirection.MAXIMIZE else "minimize" for each in study.directions
        ]
        parents = sorted_by_fitness(others, directions)[:N_PARENTS]
        seen = {frozenset(other.params.items()) for other in others}
        return next(
            (child for _ in range(MAX_REPEATS) if frozenset((child := self._child(parents)).items()) not in seen),
            self._child(parents),
        )

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _child(self, parents: Sequence[Params]) -> dict[str, Leaf]:
        mother, father = (parents[min(self._rng.choices(range(len(parents)), k=TOURNAMENT_SIZE))] for _ in range(2))
        return mutate(self._dials, crossover(self._dials, mother, father, self._rng), self._rng)


def sorted_by_fitness(trials: Sequence[FrozenTrial], directions: Sequence[Direction]) -> list[Params]:
    """Return the dials of the measured trials, best first.

    Complete trials precede those stopped at the last rung, and so on. Within such a group trials are ordered by rank,
    and within a rank by crowding distance.
    """
    groups: dict[float, list[tuple[Point, Params]]] = {}
    for trial in trials:
        for epoch, values in _last_measured(trial).items():
            groups.setdefault(epoch, []).append((as_losses(values, directions), trial.params))
    ordered: list[Params] = []
    for _, members in sorted(groups.items(), reverse=True):
        points = [point for point, _ in members]
        rank = ranks(points)
        gaps = crowding_distance(points, rank)
        ordered += [members[at][1] for at in sorted(range(len(points)), key=lambda at: (rank[at], -gaps[at]))]
    return ordered


def _last_measured(trial: FrozenTrial) -> dict[float, Sequence[float]]:
    """Return {epoch of the last rung, or infinity: objectives}; empty if nothing was measured."""
    if trial.state == TrialState.COMPLETE:
        return {math.inf: trial.values}
    if trial.state != TrialState.PRUNED:
        return {}
    rungs = at_rungs(trial.user_attrs)
    return {max(rungs): rungs[max(rungs)]} if rungs else {}


def crowding_distance(points: Sequence[Point], rank: Sequence[int]) -> list[float]:
    """Return how far apart the neighbours of each point on its front are.

    A front is all points of one rank. Distances are shares of the front's width, summed over the axes, and infinite at
    its ends. An axis with positive values only is compared by ratio.
    """
    distances = [0.0] * len(points)
    for axis in zip(*points, strict=True):
        scaled = [math.log(x) for x in axis] if min(axis) > 0 else list(axis)
        for each in set(rank):
            front = sorted((at for at in range(len(points)) if rank[at] == each), key=lambda at: scaled[at])
            width = scaled[front[-1]] - scaled[front[0]]
            for before, at, after in zip(front, front[1:], front[2:], strict=False):
                distances[at] += (scaled[after] - scaled[before]) / width if width else 0.0
            distances[front[0]] = distances[front[-1]] = math.inf
    return distances
