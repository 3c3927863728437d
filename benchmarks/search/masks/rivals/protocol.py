"""The protocol that every adapter implements, and what the adapters share.

Every rival gets the same information: masks of eight bits to choose from and, for each trained mask, three losses to be
minimised. These are the negative accuracy and the logarithms of energy and parameters, as in the measure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from reports.analysis.pareto import Point
from snnkit.families.squeezenet import FIRES

N_LOSSES = 3
N_STARTUP = 10  # random masks before the first model, for libraries without a default that fits; Optuna's default
SMALL_POPULATION = 20  # of evolutionary rivals: with their default, the first generation takes most of the budget


@dataclass(frozen=True)
class Facts:
    """Figures of one mask that are known before its training."""

    size_loss: float  # the third loss
    cost: float  # of its whole training


class Rival(Protocol):
    """A search by another library. It is made from the facts of all masks, by mask, and a seed."""

    def ask(self) -> str | None:
        """Return the next mask to train, or None if the library has none."""

    def tell(self, mask: str, losses: Point) -> None:
        """Learn the losses of a mask that ``ask`` has returned."""


def mask_of(params: Mapping[str, object]) -> str:
    return "".join("1" if params[fire] else "0" for fire in FIRES)
