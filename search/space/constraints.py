"""Hard constraints: an upper bound of a figure that is minimised, a lower bound of a figure that is maximised.

Sizes are known before training. For energy, only a lower bound is known then: the energy if no neuron fires. A
candidate whose lower bound exceeds the constraint is never trained. A trained candidate whose measured figure is
outside its bound is infeasible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reports.document.wording import listing
from reports.records.objectives import OBJECTIVES
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


def tightened(constraints: Constraints, bounds: Mapping[str, float]) -> dict[str, dict[str, int | float]]:
    """Return ``constraints`` with ``bounds``, figure -> bound, where these are tighter or new."""
    found = {name: dict(limit) for name, limit in constraints.items()}
    for name, bound in bounds.items():
        key = bound_key(name)
        own = found.get(name, {key: bound})[key]
        found[name] = {key: max(own, bound) if key == "min" else min(own, bound)}
    return found


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
            return self.cause
        least = ", the least if no neuron fires," if self.kind == "least" else ""
        value, bound, excess = map(_format_figure, (self.value, self.bound, self.excess))
        return f"{self.name} {value}{least} is {self._side} the limit of {bound} by {excess}"

    @property
    def cause(self) -> str:
        """The sentence without the candidate's own figure: equal for all candidates that the same bound refuses."""
        if self.kind == "build":
            return f"does not build: {self.reason}"
        least = "even if no neuron fires, " if self.kind == "least" else ""
        return f"{least}{self.name} is {self._side} the limit of {_format_figure(self.bound)}"

    @property
    def excess(self) -> float:
        return abs(self.value - self.bound)

    @property
    def _side(self) -> str:
        return "above" if self.value > self.bound else "below"


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
    """Return the figures that are known before training; ``energy_mj``, if it is constrained, is the lower bound.

    Empty if the network does not build.
    """
    figures: dict[str, float] = {**candidate.static()}
    if figures and ENERGY in constraints:
        figures[ENERGY] = candidate.least_energy_mj()
    return figures


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
