"""A candidate: every leaf of the tree has a value. What is trained, counted and recorded is one of these."""

import hashlib
import json
from functools import cached_property, lru_cache
from typing import Any

from pydantic import SerializeAsAny, field_validator

from snnkit.architecture.plan import ModuleView, Plan, PlanError, Shape
from snnkit.base.config import Config, EncodingConfig, NeuronConfig
from snnkit.data.choice import DataChoice
from snnkit.energy import EnergyConfig, estimate_energy
from snnkit.energy.operations import silent_counts
from snnkit.families import FAMILIES, Family
from snnkit.training.recipe import Recipe


class Candidate(Config):
    """``network`` is a design of one of ``FAMILIES``."""

    network: SerializeAsAny[Config]
    neuron: NeuronConfig
    encoding: EncodingConfig
    train: Recipe
    data: DataChoice
    energy: EnergyConfig

    @field_validator("network", mode="before")
    @classmethod
    def _of_its_family(cls, network: Any) -> Any:
        """A design that comes as plain values, from another process."""
        return FAMILIES[network["family"]].design.model_validate(network) if isinstance(network, dict) else network

    @property
    def family(self) -> Family[Any]:
        return _family(self.network)

    def plan(self) -> Plan:
        """The network's operations on the data set's images; raises PlanError where the shapes do not work out."""
        return _planned(self.network, self.data.outputs, self.data.shape)

    def static(self) -> dict[str, int]:
        """``params`` and ``dense_macs``, known without training; empty where the network does not build."""
        try:
            plan = self.plan()
        except PlanError:
            return {}
        return {"params": plan.params, "dense_macs": plan.dense_macs}

    def least_energy_mj(self) -> float:
        """What it costs if no neuron fires, by its own price: whatever it learns, no less. Raises PlanError."""
        return estimate_energy(silent_counts(self.plan(), self.neuron, self.encoding), self.energy).total_mj

    def modules(self) -> tuple[ModuleView, ...]:
        return self.family.modules(self.network)

    def different(self, other: "Candidate") -> dict[str, dict[str, Any]]:
        """Its leaves of neuron, encoding and training that ``other`` has not, by section."""
        found = {}
        for section in ("neuron", "encoding", "train"):
            here, there = (getattr(each, section).model_dump(mode="json") for each in (self, other))
            if leaves := {name: value for name, value in here.items() if value != there[name]}:
                found[section] = leaves
        return found

    @cached_property
    def key(self) -> str:
        """Equal for candidates that train the same thing up to the draw of their first weights: those with the same
        operations. What a removed module would have had does not count, nor which of two modules that are alike is
        kept, nor a choice that nothing follows, nor the energy's price."""
        trained = self.model_dump(mode="json", exclude={"energy", "network", "neuron", "train"})
        trained["neuron"] = self.neuron.effective(self.encoding.timesteps)
        trained["train"] = self.train.effective()
        try:
            trained["network"] = repr(self.plan().unnamed)
        except PlanError:  # no operations to know it by
            trained["network"] = self.network.model_dump(mode="json")
        return hashlib.sha256(json.dumps(trained, sort_keys=True).encode()).hexdigest()[:16]


def _family(network: Config) -> Family[Any]:
    return next(family for family in FAMILIES.values() if type(network) is family.design)


@lru_cache(64)  # a proposal's size, key and constraints are asked for one after the other
def _planned(network: Config, outputs: int, shape: Shape) -> Plan:
    return _family(network).plan(network, outputs, shape)
