"""What a study can optimise: each objective's direction, unit, and how it is read from what was measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from reports.records.study import Measured

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """``value``: (metrics, price name) to the number that is optimised, in ``unit``."""

    direction: Direction
    unit: str  # "ratio" is 0..1, "" a plain count
    text: str
    value: Callable[[Measured, str], float]


OBJECTIVES: dict[str, Objective] = {
    "accuracy": Objective("maximize", "ratio", "accuracy on the validation split", lambda m, price: m.accuracy),
    "energy_mj": Objective(
        "minimize",
        "mJ",
        "energy per inference, by the space's energy model and preset",
        lambda m, price: m.energy_mj[price],
    ),
    "params": Objective("minimize", "", "parameters", lambda m, price: m.params),
    "dense_macs": Objective(
        "minimize", "", "multiply-accumulates of one dense pass: a bound per time step", lambda m, price: m.dense_macs
    ),
    "macs": Objective("minimize", "", "multiply-accumulates per inference", lambda m, price: m.macs),
    "acs": Objective("minimize", "", "accumulates per inference: one per spike and synapse", lambda m, price: m.acs),
    "spikes": Objective("minimize", "", "spikes per inference", lambda m, price: m.spikes),
    "firing_rate": Objective("minimize", "ratio", "spikes per neuron and time step", lambda m, price: m.firing_rate),
    "timesteps": Objective("minimize", "", "time steps per inference", lambda m, price: m.timesteps),
}
