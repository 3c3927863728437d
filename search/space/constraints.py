"""Hard constraints: upper bounds of a candidate's size and energy.

Sizes are known before training. For energy, only a lower bound is known then: the energy if no neuron fires. A
candidate whose lower bound exceeds the constraint is never trained. A trained candidate whose measured energy exceeds
the constraint is infeasible.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reports.records.objectives import OBJECTIVES
from reports.records.study import Measured
from search.space.candidate import Candidate

ENERGY = "energy_mj"

Constraints = Mapping[str, Mapping[str, int | float]]  # {"params": {"max": 800_000}}


def examples() -> dict[str, str]:
    """Return the objectives that can be constrained, each with a bound as an example."""
    return {name: info.constraint_example for name, info in OBJECTIVES.items() if info.constraint_example is not None}


@dataclass(frozen=True)
class Refusal:
    """The reason why a candidate is refused or infeasible. ``str()`` returns the sentence that records store.

    ``kind`` is "build" if the network cannot be built (``reason`` says why), "bound" if ``value`` of ``name`` exceeds
    ``bound``, and "least" if ``value`` exceeds ``bound`` even when no neuron fires.
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
        value, bound, excess = map(_format_figure, (self.value, self.bound, self.value - self.bound))
        return f"{self.name} {value}{least} is above the limit of {bound} by {excess}"


def known_figures(candidate: Candidate, constraints: Constraints) -> dict[str, float]:
    """Return the constrained figures that are known before training, with the least energy.

    Empty if the network does not build.
    """
    figures: dict[str, float] = {**candidate.static()}
    if figures and ENERGY in constraints:
        figures[ENERGY] = candidate.least_energy_mj()
    return figures


def measured_figures(measured: Measured, price: str) -> dict[str, float]:
    """Return the figures of a trained candidate."""
    return {name: OBJECTIVES[name].value(measured, price) for name in examples()}


def excesses(figures: Mapping[str, float], constraints: Constraints) -> dict[str, float]:
    """Return each constrained figure minus its bound. A candidate that does not build exceeds each bound by the bound
    itself."""
    bounds = {name: limit["max"] for name, limit in constraints.items()}
    return {name: figures.get(name, 2 * bound) - bound for name, bound in bounds.items()}


def exceeded(figures: Mapping[str, float], constraints: Constraints, *, trained: bool) -> list[Refusal]:
    """Return a refusal for each bound that ``figures`` exceed."""
    return [
        Refusal("least" if name == ENERGY and not trained else "bound", name, figures[name], constraints[name]["max"])
        for name, excess in excesses(figures, constraints).items()
        if excess > 0
    ]


def _format_figure(figure: float) -> str:
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.4g}"
