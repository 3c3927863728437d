"""Early stopping by Pareto rank: stop a trial that many others at the same rung beat, for any number of objectives.

A rung is an epoch of `Recipe.rungs`. There a trial is compared with every trial that reached the rung before it, by the
objectives measured at that epoch. At a rung accuracy is noisy, energy is close to its final value and parameters are
exact. The rule therefore uses ranks, grants a margin on accuracy, and never stops a trial that nothing dominates. It is
the stopping form of multi-objective asynchronous successive halving (Schmucker et al. 2021, arXiv:2106.12639), without
its tie-break inside a front.
"""

from collections.abc import Mapping, Sequence

from reports.analysis.pareto import Point, as_losses, dominates, ranks
from reports.records.study import Direction
from search.space.sections import EarlyStopping

MAX_NAMED_TRIALS = 3  # trials that a reason names; it counts the others


class ParetoPruner:
    """Stops the trials at a rung that many others beat."""

    def __init__(self, rule: EarlyStopping, objectives: Mapping[str, Direction]) -> None:
        self._rule = rule
        self._directions = tuple(objectives.values())
        self._margins = tuple(rule.margin if name == "accuracy" else 0.0 for name in objectives)
        self._rungs: dict[int, dict[int, Point]] = {}  # epoch -> trial -> losses

    @staticmethod
    def describe(rule: EarlyStopping) -> str:
        return f"by rank (1 in {rule.reduction:g}, margin {rule.margin:g})"

    def add(self, epoch: int, trial: int, values: Sequence[float]) -> None:
        self._rungs.setdefault(epoch, {}).setdefault(trial, as_losses(values, self._directions))

    def prune_reason(self, epoch: int, trial: int) -> str | None:
        rung = self._rungs[epoch]
        if len(rung) < self._rule.first:
            return None
        rank = dict(zip(rung, ranks(list(rung.values())), strict=True))
        better = sum(other < rank[trial] for other in rank.values())
        if better * self._rule.reduction < len(rung):  # among the best 1 / reduction, like every trial of rank 0
            return None
        dominating = [other for other, point in rung.items() if dominates(point, self._with_margin(rung[trial]))]
        if not dominating:
            return None
        return (
            f"early: after epoch {epoch} dominated by {_trials(dominating)}, and {better} of {len(rung)} trials there "
            "have a better rank"
        )

    def _with_margin(self, point: Point) -> Point:
        """Return the trial's losses as if its accuracy were higher by the margin."""
        return tuple(loss - margin for loss, margin in zip(point, self._margins, strict=True))


def _trials(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:MAX_NAMED_TRIALS]))
    hidden = len(numbers) - MAX_NAMED_TRIALS
    return f"trial{'s' if len(numbers) > 1 else ''} {shown}" + (f" and {hidden} more" if hidden > 0 else "")
