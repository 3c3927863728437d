"""Hard constraints: upper bounds of a candidate's size and energy.

Sizes are known before training. For energy, only a lower bound is known then: the energy if no neuron fires. A
candidate whose lower bound exceeds the constraint is never trained. A trained candidate whose measured energy exceeds
the constraint is infeasible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reports.document.wording import listing
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
            return self.cause
        least = ", the least if no neuron fires," if self.kind == "least" else ""
        value, bound, excess = map(_format_figure, (self.value, self.bound, self.excess))
        return f"{self.name} {value}{least} is above the limit of {bound} by {excess}"

    @property
    def cause(self) -> str:
        """The sentence without the candidate's own figure: equal for all candidates that the same bound refuses."""
        if self.kind == "build":
            return f"does not build: {self.reason}"
        least = "even if no neuron fires, " if self.kind == "least" else ""
        return f"{least}{self.name} is above the limit of {_format_figure(self.bound)}"

    @property
    def excess(self) -> float:
        return self.value - self.bound


def joint_cause(refusals: Sequence[Refusal]) -> str:
    """Return why one candidate is refused, in words that are equal for all candidates with the same causes."""
    return "; ".join(refusal.cause for refusal in refusals)


def refused_together(refusals: Mapping[str, Sequence[Refusal]], kind: str) -> list[tuple[str, str]]:
    """Return (candidates, reason) for each joint cause of refusal, from the refusals of each candidate by its name.

    If one cause refuses all of several candidates, they are ``all 9`` and then ``kind``. The reason of several has the
    range of their excesses.
    """
    groups: dict[str, dict[str, Sequence[Refusal]]] = {}
    for name, each in refusals.items():
        if each:
            groups.setdefault(joint_cause(each), {})[name] = each
    found = []
    for group in groups.values():
        every = len(group) == len(refusals) > 1
        names = f"all {len(group)} {kind}" if every else listing(list(group))
        found.append((names, "; ".join(map(_range_reason, zip(*group.values(), strict=True)))))
    return found


def _range_reason(refusals: Sequence[Refusal]) -> str:
    """Return one cause of several candidates: ``params is above the limit of 500 by 178 to 4,094``."""
    if len(refusals) == 1 or refusals[0].kind == "build":
        return str(refusals[0])
    low, high = (_format_figure(end(each.excess for each in refusals)) for end in (min, max))
    return f"{refusals[0].cause} by {low}" + (f" to {high}" if high != low else "")


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
