"""An objective of the user's own: a function of a trained network, and how reports and samplers treat its value."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from reports.records.objectives import register
from reports.records.study import Direction, FigureRecord

if TYPE_CHECKING:
    from torch import Tensor

    from snnkit.energy.operations import OperationCounts
    from snnkit.nn.network import Network


@dataclass(frozen=True)
class TrainedNetwork:
    """What an objective may look at. The network is a copy in evaluation mode, on its device."""

    network: "Network"  # a torch module: (N, C, H, W) images -> (N, classes) logits
    counts: "OperationCounts"  # per inference, averaged over the validation images; `counts.plan` has the layers
    accuracy: float  # on the validation images, 0..1
    images: Callable[[int], "Tensor"]  # the first N validation images as the network's input, on its device


Measure = Callable[[TrainedNetwork], float]


@dataclass(frozen=True)
class Objective:
    """A figure to optimise or to bound. `objective` makes one from a function."""

    measure: Measure
    direction: Direction
    unit: str
    label: str
    low: float
    high: float
    log: bool

    def record(self, name: str) -> FigureRecord:
        """Return what a study stores about the figure. Raises ValueError if range and scale contradict each other."""
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"its range is {self.low:g} to {self.high:g}; low must be less than high, and above 0 on a logarithmic "
                "scale (or write log=False)"
            )
        return FigureRecord(
            name=name, direction=self.direction, unit=self.unit, label=self.label, low=self.low, high=self.high,
            log=self.log,
        )  # fmt: skip


class _Decorator(Protocol):
    def __call__(self, measure: Measure, /) -> Objective: ...


def objective(
    *, direction: Direction, low: float, high: float, unit: str = "", label: str | None = None, log: bool | None = None
) -> _Decorator:
    """Make an objective from a function that takes a `TrainedNetwork` and returns a number.

        @objective(direction="minimize", unit="ms", low=0.1, high=1000)
        def latency(trained): ...

    ``low`` and ``high`` are the range of usual values. Samplers scale to it, and the hypervolume counts within it;
    values outside are allowed. ``log`` says whether factors matter rather than differences; by default they do if
    ``low`` is above 0. ``unit`` is printed after values; ``ratio`` stands for a share from 0 to 1. ``label`` is the
    name in reports, by default the function's.
    """

    def make(measure: Measure, /) -> Objective:
        name = label or measure.__name__.replace("_", " ")
        return Objective(measure, direction, unit, name, low, high, low > 0 if log is None else log)

    return make


MEASURES: dict[str, Measure] = {}
"""The functions of the objectives that are measured only if a space names them, by name."""


def add_objective(name: str, objective: Objective) -> None:
    """Register an objective. Raises ValueError if its range is wrong, or if the name is a built-in one's."""
    register(objective.record(name))
    MEASURES[name] = objective.measure


def measure_figure(name: str, trained: TrainedNetwork) -> float:
    """Return the value of the objective ``name``, which gets a copy of the network.

    Raises ValueError if it is not a finite number, and RuntimeError if the objective wants to end the process.
    """
    try:
        value = MEASURES[name](replace(trained, network=copy.deepcopy(trained.network)))
    except SystemExit as error:
        raise RuntimeError(f"objective {name} raised SystemExit({error.code}); it must return a number") from error
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"objective {name} returned {value!r}; it must return a finite number")
    return float(value)
