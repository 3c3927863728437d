"""An energy model by description: a space gives the constants of a chip, and this module the formula.

arithmetic   ac_pj x ACs + mac_pj x MACs, of the exact counts
neurons      neuron_pj x neurons x T
memory       sram_pj_per_byte x bits / 8 x words: a weight per AC and MAC, an input per MAC and incoming spike, an
             outgoing spike, and a potential, read and written, per AC and per neuron and time step
static       static_uw x latency, where latency = (ACs + MACs + neurons x T) / gops
"""

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from snnkit.base.config import Config
from snnkit.energy.model import Constant, Energy, EnergyModel, EnergyOptions

if TYPE_CHECKING:
    from snnkit.energy.operations import LayerCounts, OperationCounts

PRESET = "exact"


class EnergyDescription(Config):
    """The constants of a chip. Constants that are not given cost nothing."""

    ac_pj: float = Field(ge=0, description="Energy of an accumulate (AC), in pJ.")
    mac_pj: float = Field(ge=0, description="Energy of a multiply-accumulate (MAC), in pJ.")
    neuron_pj: float = Field(0.0, ge=0, description="Energy of updating one neuron at one time step, in pJ.")
    sram_pj_per_byte: float = Field(
        0.0, ge=0, description="Energy of reading or writing a byte of memory, in pJ. 0: memory costs nothing."
    )
    bits: int = Field(32, ge=1, le=64, description="Width of weights, inputs, potentials and spike addresses.")
    static_uw: float = Field(0.0, ge=0, description="Power that the chip draws without any operation, in µW.")
    gops: float | None = Field(
        None, gt=0, description="Operations per second, in 1e9. static_uw needs it: static energy is power x latency."
    )
    source: str = Field("", description="Where the constants come from: a data sheet, a paper, a measurement.")

    @model_validator(mode="after")
    def _latency_is_known(self) -> Self:
        if self.static_uw and self.gops is None:
            raise ValueError(
                f"given static_uw {self.static_uw:g} without gops; write gops: 1.0 (1e9 operations a second)"
            )
        return self

    def as_model(self, name: str) -> EnergyModel:
        """Return the energy model ``name`` with these constants."""
        source = self.source or "the space"
        given = (
            ("accumulate (AC)", self.ac_pj, "pJ"),
            ("multiply-accumulate (MAC)", self.mac_pj, "pJ"),
            ("update of a neuron", self.neuron_pj, "pJ"),
            ("access to a byte of memory", self.sram_pj_per_byte, "pJ"),
            ("width of a word", float(self.bits), "bits"),
            ("static power", self.static_uw, "µW"),
            ("operations per second", self.gops or 0.0, "1e9"),
        )
        constants = tuple(Constant(what, value, unit, source) for what, value, unit in given if value)
        return EnergyModel(self._estimate, {PRESET: self._rule(name)}, constants)

    def _estimate(self, counts: "OperationCounts", config: EnergyOptions) -> Energy:  # one preset
        return Energy.from_pj({layer.name: self._layer(layer) for layer in counts.layers}, {})

    def _layer(self, layer: "LayerCounts") -> dict[str, float]:
        """Energy by component, in pJ."""
        updates = layer.timesteps * layer.neurons
        synapses = layer.synapses + layer.macs
        words = synapses + layer.macs + layer.spikes_in + layer.spikes_out + 2 * (layer.acs + updates)
        operations = layer.acs + layer.macs + updates
        parts = {
            "acs": self.ac_pj * layer.acs,
            "macs": self.mac_pj * layer.macs,
            "neurons": self.neuron_pj * updates,
            "memory": self.sram_pj_per_byte * self.bits / 8 * words,
        }
        if self.gops is not None:
            seconds = operations / (self.gops * 1e9)
            parts["static"] = self.static_uw * 1e6 * seconds  # µW x s = 1e6 pJ
        return parts

    def _rule(self, name: str) -> str:
        """Return the formula in words, with the constants."""
        terms = [f"{self.ac_pj:g} pJ x ACs + {self.mac_pj:g} pJ x MACs"]
        if self.neuron_pj:
            terms.append(f"{self.neuron_pj:g} pJ x neurons x time steps")
        if self.sram_pj_per_byte:
            terms.append(
                f"{self.sram_pj_per_byte:g} pJ per byte x {self.bits} bits x words (a weight per AC and MAC, an input "
                "per MAC and incoming spike, an outgoing spike, and a potential, read and written, per AC and per "
                "neuron and time step)"
            )
        if self.static_uw:
            terms.append(f"{self.static_uw:g} µW x operations / {self.gops:g}e9 per second")
        source = f" Constants: {self.source}." if self.source else " The space gives the constants."
        return f"{name}: energy = {' + '.join(terms)}, of the exact counts.{source}"
