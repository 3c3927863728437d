"""Which trials are not worth more epochs: non-dominated ranks at rungs, for any number of objectives.

At a rung, an epoch of `Recipe.rungs`, a trial is compared with all that came to that rung before it, by what was
measured there. Accuracy is noisy so early, parameters are exact, energy is close: hence ranks, and a margin for
accuracy, and never a decision against a trial that nothing dominates. The rule is that of multi-objective asynchronous
successive halving in its stopping form (Schmucker et al. 2021, arXiv:2106.12639), without its tie-break inside a front.
"""

from collections.abc import Mapping, Sequence

from reports.analysis.pareto import Direction, Point, as_losses, dominates, ranks
from search.space.sections import EarlyStopping


class ParetoPruner:
    """What was measured at each rung, in the objectives' own units."""

    def __init__(self, rule: EarlyStopping, objectives: Mapping[str, Direction]) -> None:
        self._rule = rule
        self._directions = tuple(objectives.values())
        self._margins = tuple(rule.margin if name == "accuracy" else 0.0 for name in objectives)
        self._rungs: dict[int, dict[int, Point]] = {}  # epoch -> trial -> losses

    def add(self, epoch: int, trial: int, values: Sequence[float]) -> None:
        """``values`` of the objectives as ``trial`` had them after ``epoch``. A second time changes nothing."""
        self._rungs.setdefault(epoch, {}).setdefault(trial, as_losses(values, self._directions))

    def prune_reason(self, epoch: int, trial: int) -> str | None:
        """Why ``trial``, which is at the rung ``epoch``, is to be stopped; None where it goes on."""
        rung = self._rungs[epoch]
        if len(rung) < self._rule.first:
            return None
        found = dict(zip(rung, ranks(list(rung.values())), strict=True))
        better = sum(rank < found[trial] for rank in found.values())
        if better * self._rule.reduction < len(rung):  # among the best 1 / reduction, as every trial of rank 0 is
            return None
        above = [other for other, point in rung.items() if dominates(point, self._eased(rung[trial]))]
        if not above:
            return None
        return (
            f"early: after epoch {epoch} dominated by {_trials(above)}, and {better} of {len(rung)} trials there have "
            "a better rank"
        )

    def _eased(self, point: Point) -> Point:
        """The trial as it would be with its accuracy better by the margin."""
        return tuple(loss - margin for loss, margin in zip(point, self._margins, strict=True))


def _trials(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:3]))
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return f"trial{'s' if len(numbers) > 1 else ''} {shown}{more}"
