"""Early stopping by the median of one objective (Golovin et al. 2017, doi 10.1145/3097983.3098043).

At a rung, a trial is stopped if its first objective, usually the accuracy, is worse than the median of the other trials
that reached the rung. The rule stops about half of the trials. It ignores the other objectives, so small and frugal
networks, which learn more slowly, are stopped too.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from reports.document.wording import objective_value
from reports.records.study import Direction
from search.space.sections import EarlyStopping


class MedianPruner:
    """Stops the trials whose first objective is worse than the median at a rung."""

    def __init__(self, rule: EarlyStopping, objectives: Mapping[str, Direction]) -> None:
        self._rule = rule
        self._name, direction = next(iter(objectives.items()))
        self._sign = 1 if direction == "maximize" else -1
        self._margin = rule.margin if self._name == "accuracy" else 0.0
        self._rungs: dict[int, dict[int, float]] = {}  # epoch -> trial -> first objective

    @staticmethod
    def describe(rule: EarlyStopping) -> str:
        return f"below the median of the first objective (margin {rule.margin:g})"

    def add(self, epoch: int, trial: int, values: Sequence[float]) -> None:
        self._rungs.setdefault(epoch, {}).setdefault(trial, values[0])

    def prune_reason(self, epoch: int, trial: int) -> str | None:
        rung = self._rungs[epoch]
        others = [value for other, value in rung.items() if other != trial]
        if len(rung) < self._rule.first or not others:
            return None
        own, middle = rung[trial], median(others)
        if self._sign * (middle - own) <= self._margin:
            return None
        value, bound = (objective_value(self._name, each) for each in (own, middle))
        return f"early: after epoch {epoch} {self._name} {value}, worse than the median {bound} of {len(others)} trials"
