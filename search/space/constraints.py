"""Hard constraints: the most that a candidate may have of a figure.

Sizes are known before training. Of energy the least is known then: what the network does when no neuron fires. A
candidate above its bound by that is never trained; one that comes to lie above it by its own spikes is infeasible.
"""

import math
from collections.abc import Mapping

from reports.records.objectives import OBJECTIVES
from reports.records.study import Measured
from search.space.candidate import Candidate

ENERGY = "energy_mj"

Constraints = Mapping[str, Mapping[str, int | float]]  # {"params": {"max": 800_000}}


def examples() -> dict[str, str]:
    """Return the objectives that can be constrained, each with a bound as an example."""
    return {name: info.constraint_example for name, info in OBJECTIVES.items() if info.constraint_example is not None}


def known(candidate: Candidate, constraints: Constraints) -> dict[str, float]:
    """The constrained figures as far as they are known before training: of energy the least. Empty where the network
    does not build."""
    figures: dict[str, float] = {**candidate.static()}
    if figures and ENERGY in constraints:
        figures[ENERGY] = candidate.least_energy_mj()
    return figures


def measured(found: Measured, price: str) -> dict[str, float]:
    """The figures as they were measured."""
    return {name: OBJECTIVES[name].value(found, price) for name in examples()}


def excesses(figures: Mapping[str, float], constraints: Constraints) -> dict[str, float]:
    """Each constrained figure minus its bound. A candidate that does not build breaks each by the bound itself."""
    limits = {name: limit["max"] for name, limit in constraints.items()}
    return {name: figures.get(name, 2 * bound) - bound for name, bound in limits.items()}


def broken(figures: Mapping[str, float], constraints: Constraints, *, trained: bool) -> list[str]:
    """A sentence for each constraint that ``figures`` break, whose first word is its name."""
    least = {} if trained else {ENERGY: ", the least if no neuron fires,"}
    return [
        f"{name} {_shown(figures[name])}{least.get(name, '')} is above the limit of "
        f"{_shown(constraints[name]['max'])} by {_shown(excess)}"
        for name, excess in excesses(figures, constraints).items()
        if excess > 0
    ]


def bound(name: str, most: object) -> int | float | None:
    """``most`` where it can bound ``name``: a whole number of parameters or operations, any amount of energy."""
    if isinstance(most, bool) or not isinstance(most, int | float) or not 0 < most < math.inf:
        return None
    if not OBJECTIVES[name].is_count:
        return float(most)
    return most if isinstance(most, int) else None


def _shown(figure: float) -> str:
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.4g}"
