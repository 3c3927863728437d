"""The objectives of a search, one record each: everything that the rest of the code needs to know about an objective.

To add an objective, add a record to `_RECORDS`. Space files, samplers, constraints, reports, the page's script and the
terminal read the record, so nothing else has to change if `Measured` already has the figure.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from reports.records.study import Direction, FigureRecord, Measured

KnownBeforeTraining = Literal["exactly", "lower bound"]


@dataclass(frozen=True)
class Scale:
    """A fixed range of an objective's values, logarithmic for values that differ by factors."""

    low: float
    high: float
    log: bool = True

    def loss(self, value: float, direction: Direction) -> float:
        """Return 0 at the better end of the range and 1 at the worse end. Values outside are clipped to the range."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return 1.0 - share if direction == "maximize" else share


@dataclass(frozen=True)
class ObjectiveInfo:
    """What the code needs to know about one objective."""

    name: str  # in space files and stored records: energy_mj
    direction: Direction
    unit: str  # "ratio": 0..1, printed with three decimals; "count": a number of things; else a unit: "mJ"
    label: str  # in reports: "energy per inference"
    sentence: str  # one line of help
    value: Callable[[Measured, str], float]  # (measurements, energy model/preset) -> value in `unit`
    box: Scale  # in the box of a report's hypervolume; changing it changes the curves of all reports
    sampler_scale: Scale  # for samplers; changing a range that studies have used changes what a resumed study proposes
    constraint_example: str  # a bound as written in a space file
    log_axis: bool = True  # whether plots offer a logarithmic axis
    known_before_training: KnownBeforeTraining | None = None  # "exactly": in Candidate.static; None: by training only

    @property
    def is_ratio(self) -> bool:
        return self.unit == "ratio"

    @property
    def is_count(self) -> bool:
        return self.unit == "count"

    @property
    def unit_symbol(self) -> str:
        """The unit to print after a value; empty for ratios and counts."""
        return "" if self.is_ratio or self.is_count else self.unit

    @property
    def axis_title(self) -> str:
        """The label with its unit: ``energy per inference, mJ``."""
        return ", ".join(filter(None, (self.label, self.unit_symbol)))


_RECORDS = (
    ObjectiveInfo(
        name="accuracy",
        direction="maximize",
        unit="ratio",
        label="validation accuracy",
        sentence="accuracy on the validation split",
        value=lambda measured, energy_model: measured.accuracy,
        box=Scale(0.0, 1.0, log=False),
        sampler_scale=Scale(0.0, 1.0, log=False),
        constraint_example="0.7",
        log_axis=False,
    ),
    ObjectiveInfo(
        name="energy_mj",
        direction="minimize",
        unit="mJ",
        label="energy per inference",
        sentence="energy per inference, by the space's energy model and counting preset",
        value=lambda measured, energy_model: measured.energy_mj[energy_model],
        box=Scale(1e-4, 1e2),
        sampler_scale=Scale(1e-4, 1e2),
        constraint_example="0.02",
        known_before_training="lower bound",  # the energy if no neuron fires
    ),
    ObjectiveInfo(
        name="params",
        direction="minimize",
        unit="count",
        label="parameters",
        sentence="parameters",
        value=lambda measured, energy_model: measured.params,
        box=Scale(1e3, 1e8),
        sampler_scale=Scale(1e3, 1e8),
        constraint_example="800_000",
        known_before_training="exactly",
    ),
    ObjectiveInfo(
        name="dense_macs",
        direction="minimize",
        unit="count",
        label="dense MACs",
        sentence="multiply-accumulates of one dense pass: an upper bound per time step",
        value=lambda measured, energy_model: measured.dense_macs,
        box=Scale(1e4, 1e11),
        sampler_scale=Scale(1e4, 1e11),
        constraint_example="60_000_000",
        known_before_training="exactly",
    ),
    ObjectiveInfo(
        name="macs",
        direction="minimize",
        unit="count",
        label="MACs per inference",
        sentence="multiply-accumulates per inference",
        value=lambda measured, energy_model: measured.macs,
        box=Scale(1e4, 1e11),
        sampler_scale=Scale(1e4, 1e11),
        constraint_example="5_000_000",
    ),
    ObjectiveInfo(
        name="acs",
        direction="minimize",
        unit="count",
        label="ACs per inference",
        sentence="accumulates per inference: one per spike and synapse",
        value=lambda measured, energy_model: measured.acs,
        box=Scale(1e4, 1e11),
        sampler_scale=Scale(1e4, 1e11),
        constraint_example="20_000_000",
    ),
    ObjectiveInfo(
        name="spikes",
        direction="minimize",
        unit="count",
        label="spikes per inference",
        sentence="spikes per inference",
        value=lambda measured, energy_model: measured.spikes,
        box=Scale(1e2, 1e9),
        sampler_scale=Scale(1e2, 1e9),
        constraint_example="50_000",
    ),
    ObjectiveInfo(
        name="firing_rate",
        direction="minimize",
        unit="ratio",
        label="firing rate",
        sentence="spikes per neuron and time step",
        value=lambda measured, energy_model: measured.firing_rate,
        box=Scale(0.0, 1.0, log=False),
        sampler_scale=Scale(0.0, 1.0, log=False),
        constraint_example="0.2",
        log_axis=False,
    ),
    ObjectiveInfo(
        name="timesteps",
        direction="minimize",
        unit="count",
        label="time steps",
        sentence="time steps per inference",
        value=lambda measured, energy_model: measured.timesteps,
        box=Scale(1.0, 64.0),
        sampler_scale=Scale(1.0, 64.0),
        constraint_example="4",
        log_axis=False,
    ),
)
OBJECTIVES: dict[str, ObjectiveInfo] = {record.name: record for record in _RECORDS}
_BUILT_IN = frozenset(OBJECTIVES)
OWN_FIGURES: dict[str, FigureRecord] = {}
"""What studies store about the objectives that are measured only if a space names them, by name."""


def register(record: FigureRecord) -> None:
    """Add an objective that is measured only if a space names it, a plug-in's for example.

    An objective of the same name is replaced, except one that is always measured. Raises ValueError.
    """
    if record.name in _BUILT_IN:
        raise ValueError(f"{record.name} is a built-in objective; give yours another name")
    OWN_FIGURES[record.name] = record
    scale = Scale(record.low, record.high, record.log)
    OBJECTIVES[record.name] = ObjectiveInfo(
        name=record.name,
        direction=record.direction,
        unit=record.unit or "count",
        label=record.label,
        sentence=record.label,
        value=lambda measured, energy_model: measured.own[record.name],
        box=scale,
        sampler_scale=scale,
        constraint_example=f"{record.high:g}" if record.unit else f"{round(record.high):_}",
        log_axis=record.log,
    )


def objective_values(measured: Measured, names: Iterable[str], energy_model: str) -> dict[str, float]:
    """Return the values of the objectives ``names``, in their order; energy by ``energy_model``."""
    return {name: OBJECTIVES[name].value(measured, energy_model) for name in names}


def objective_label(name: str) -> str:
    """Return the label of an objective; the name itself if a newer snnsearch stored it."""
    return OBJECTIVES[name].label if name in OBJECTIVES else name


def short_name(name: str) -> str:
    """Return the name of an objective for a terminal: the label of a plug-in's objective, else the name itself."""
    return OWN_FIGURES[name].label if ":" in name and name in OWN_FIGURES else name


def axis_title(name: str) -> str:
    """Return the label of an objective with its unit; the name itself if a newer snnsearch stored it."""
    return OBJECTIVES[name].axis_title if name in OBJECTIVES else name
