"""Hard constraints: an upper bound of a figure that is minimised, a lower bound of a figure that is maximised.

Sizes are known before training. For energy, only a lower bound is known then: the energy if no neuron fires. A
candidate whose lower bound exceeds the constraint is never trained. A trained candidate whose measured figure is
outside its bound is infeasible.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reports.records.objectives import OBJECTIVES
from reports.records.study import Measured
from search.space.candidate import Candidate

ENERGY = "energy_mj"

Constraints = Mapping[str, Mapping[str, int | float]]  # {"params": {"max": 800_000}, "accuracy": {"min": 0.7}}


def examples() -> dict[str, str]:
    """Return a bound of each figure as an example: ``{max: 800_000}``."""
    return {name: f"{{{bound_key(name)}: {info.constraint_example}}}" for name, info in OBJECTIVES.items()}


def bound_key(name: str) -> Literal["min", "max"]:
    """Return the key of a figure's bound: ``min`` if more of it is better."""
    return "min" if OBJECTIVES[name].direction == "maximize" else "max"


def bound_of(constraints: Constraints, name: str) -> float:
    """Return the bound of a constrained figure."""
    return constraints[name][bound_key(name)]


def known_constraints(constraints: Constraints) -> Constraints:
    """Return the constraints that can refuse a candidate before training."""
    return {name: limit for name, limit in constraints.items() if OBJECTIVES[name].known_before_training}


@dataclass(frozen=True)
class Refusal:
    """The reason why a candidate is refused or infeasible. ``str()`` returns the sentence that records store.

    ``kind`` is "build" if the network cannot be built (``reason`` says why), "bound" if ``value`` of ``name`` is
    outside ``bound``, and "least" if ``value`` exceeds ``bound`` even when no neuron fires.
    """

    kind: Literal["build", "bound", "least"]
    name: str = "network"
    value: float = 0
    bound: float = 0
    reason: str = ""

    def __str__(self) -> str:
        if self.kind == "build":
            return f"does not build: {self.reason}"
        least = ", the least if no neuron fires," if self.kind == "least" else ""
        value, bound, excess = map(_format_figure, (self.value, self.bound, abs(self.value - self.bound)))
        side = "above" if self.value > self.bound else "below"
        return f"{self.name} {value}{least} is {side} the limit of {bound} by {excess}"


def known_figures(candidate: Candidate, constraints: Constraints) -> dict[str, float]:
    """Return the figures that are known before training; ``energy_mj``, if it is constrained, is the lower bound.

    Empty if the network does not build.
    """
    figures: dict[str, float] = {**candidate.static()}
    if figures and ENERGY in constraints:
        figures[ENERGY] = candidate.least_energy_mj()
    return figures


def measured_figures(measured: Measured, price: str) -> dict[str, float]:
    """Return the figures of a trained candidate."""
    return {name: info.value(measured, price) for name, info in OBJECTIVES.items()}


def excesses(figures: Mapping[str, float], constraints: Constraints) -> dict[str, float]:
    """Return how far each constrained figure is outside its bound; negative if it is within.

    A figure that is not known yet counts as on its bound. A candidate that does not build, which has no figures,
    exceeds each bound by the bound itself.
    """
    found = {}
    for name in constraints:
        bound = bound_of(constraints, name)
        excess = figures.get(name, bound) - bound
        found[name] = bound if not figures else -excess if bound_key(name) == "min" else excess
    return found


def exceeded(figures: Mapping[str, float], constraints: Constraints, *, trained: bool) -> list[Refusal]:
    """Return a refusal for each bound that ``figures`` are outside of."""
    return [
        Refusal(
            "least" if name == ENERGY and not trained else "bound", name, figures[name], bound_of(constraints, name)
        )
        for name, excess in excesses(figures, constraints).items()
        if excess > 0
    ]


def _format_figure(figure: float) -> str:
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.4g}"
