"""A genetic algorithm that knows the modules of a space: NSGA-II's order (Deb et al. 2002), one child at a time.

Trials that were stopped early are parents only while few trials are complete. Candidates that were tried are not
proposed again while new children can be found. The constants were chosen on a draft of `benchmarks.search.standin` and
on the table of masks, among 6 to 16 first trials, 6 to 40 parents, tournaments of 2 to 5, and 0.5 to 2 mutations.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from reports.analysis.pareto import Direction, Point, as_losses, ranks
from reports.records.study import Leaf
from search.samplers.history import at_rungs
from search.samplers.variation import crossover, mutate
from search.space.dials import Dial

FIRST = 8  # complete trials before the first child
PARENTS = 20  # so many may have children, the best
ROUND = 5  # a parent is the best of so many that are drawn: studies are short, and two explored for too long
TRIES = 50  # children that equal an earlier trial, until one is proposed all the same

Params = Mapping[str, Leaf]


class GeneticSampler(BaseSampler):
    """Random until ``FIRST`` trials are complete, then children of the ``PARENTS`` best."""

    def __init__(self, dials: tuple[Dial, ...], seed: int) -> None:
        self._rng = random.Random(seed)
        self._independent = RandomSampler(seed=seed)
        self._dials = dials

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return distributions(self._dials) if len(complete) >= FIRST else {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        directions: list[Direction] = [
            "maximize" if each == StudyDirection.MAXIMIZE else "minimize" for each in study.directions
        ]
        parents = best_first(others, directions)[:PARENTS]
        tried = {frozenset(other.params.items()) for other in others}
        return next(
            (child for _ in range(TRIES) if frozenset((child := self._child(parents)).items()) not in tried),
            self._child(parents),
        )

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _child(self, parents: Sequence[Params]) -> dict[str, Leaf]:
        mother, father = (parents[min(self._rng.choices(range(len(parents)), k=ROUND))] for _ in range(2))
        return mutate(self._dials, crossover(self._dials, mother, father, self._rng), self._rng)


def distributions(dials: Sequence[Dial]) -> dict[str, BaseDistribution]:
    """What Optuna calls the values of each dial."""
    asked = FixedTrial({dial.path: dial.anchor for dial in dials})
    for dial in dials:
        dial.values.suggest(asked, dial.path)  # type: ignore[arg-type]  # overloads, narrower than it is
    return dict(asked.distributions)


def best_first(trials: Sequence[FrozenTrial], directions: Sequence[Direction]) -> list[Params]:
    """The complete trials, then those stopped at the last rung, and so on: by rank, and on a front by spread."""
    stages: dict[float, list[tuple[Point, Params]]] = {}
    for trial in trials:
        for stage, values in _measured(trial).items():
            stages.setdefault(stage, []).append((as_losses(values, directions), trial.params))
    found: list[Params] = []
    for _, reached in sorted(stages.items(), reverse=True):
        points = [point for point, _ in reached]
        of = ranks(points)
        gaps = crowding_distance(points, of)
        found += [reached[at][1] for at in sorted(range(len(points)), key=lambda at: (of[at], -gaps[at]))]
    return found


def _measured(trial: FrozenTrial) -> dict[float, Sequence[float]]:
    """Its objectives, under the last rung that it reached or infinity; nothing where none was measured."""
    if trial.state == TrialState.COMPLETE:
        return {math.inf: trial.values}
    if trial.state != TrialState.PRUNED:
        return {}
    rungs = at_rungs(trial.user_attrs)
    return {max(rungs): rungs[max(rungs)]} if rungs else {}


def crowding_distance(points: Sequence[Point], of: Sequence[int]) -> list[float]:
    """How far the neighbours of each point on its front, the points of its rank, are apart: the shares of the front's
    width along each axis added up, infinity at an end. Amounts, all above 0, are compared by their ratios."""
    found = [0.0] * len(points)
    for axis in zip(*points, strict=True):
        scaled = [math.log(x) for x in axis] if min(axis) > 0 else list(axis)
        for rank in set(of):
            front = sorted((at for at in range(len(points)) if of[at] == rank), key=lambda at: scaled[at])
            width = scaled[front[-1]] - scaled[front[0]]
            for before, at, after in zip(front, front[1:], front[2:], strict=False):
                found[at] += (scaled[after] - scaled[before]) / width if width else 0.0
            found[front[0]] = found[front[-1]] = math.inf
    return found
