"""A candidate: one network with its neurons, encoding, recipe, data and energy model, ready to train and to count."""

import hashlib
import json
from functools import cached_property, lru_cache
from typing import Any

from pydantic import SerializeAsAny, field_validator

from snnkit.architecture.plan import ModuleView, Plan, PlanError, Shape
from snnkit.architecture.resizing import resized
from snnkit.base.config import Config, EncodingConfig, NeuronConfig
from snnkit.data.choice import DataChoice, without_place
from snnkit.energy import EnergyConfig, estimate_energy
from snnkit.energy.operations import silent_counts
from snnkit.families import FAMILIES, Family, family_of
from snnkit.training.recipe import Recipe


class Candidate(Config):
    """A value for every leaf of a space. ``network`` is a design of one of ``FAMILIES``."""

    network: SerializeAsAny[Config]
    neuron: NeuronConfig
    encoding: EncodingConfig
    train: Recipe
    data: DataChoice
    energy: EnergyConfig

    @field_validator("network", mode="before")
    @classmethod
    def _as_design(cls, network: Any) -> Any:
        """Turn plain values, as another process sends them, into the design of their family."""
        return FAMILIES[network["family"]].design.model_validate(network) if isinstance(network, dict) else network

    @property
    def family(self) -> Family[Any]:
        return family_of(self.network)

    def plan(self) -> Plan:
        """Return the network's operations on the data set's images.

        Raises PlanError if the shapes do not fit, or if they do not fit images of ``train.first_resolution``.
        """
        return _plan(self.network, self.data.outputs, self.data.shape, self.train.first_resolution)

    def static(self) -> dict[str, int]:
        """Return ``params`` and ``dense_macs``, which need no training; empty if the network does not build."""
        try:
            plan = self.plan()
        except PlanError:
            return {}
        return {"params": plan.params, "dense_macs": plan.dense_macs}

    def least_energy_mj(self) -> float:
        """Return the energy of one inference if no neuron fires: a lower bound for any weights. Raises PlanError."""
        return estimate_energy(silent_counts(self.plan(), self.neuron, self.encoding), self.energy).total_mj

    def modules(self) -> tuple[ModuleView, ...]:
        return self.family.modules(self.network)

    def different(self, other: "Candidate") -> dict[str, dict[str, Any]]:
        """Return the leaves of neuron, encoding and train whose values differ from ``other``, by section."""
        found = {}
        for section in ("neuron", "encoding", "train"):
            own, theirs = (getattr(each, section).model_dump(mode="json") for each in (self, other))
            if leaves := {name: value for name, value in own.items() if value != theirs[name]}:
                found[section] = leaves
        return found

    @cached_property
    def fingerprint(self) -> str:
        """Identify the training.

        Candidates with the same operations, neurons, encoding, data and recipe share a fingerprint, so the second one
        is a duplicate. Widths inside removed modules, module names, leaves without effect and energy models do not
        matter.
        """
        trained = self.model_dump(mode="json", exclude={"energy", "network", "neuron", "train"})
        trained["data"] = without_place(trained["data"])
        trained["neuron"] = self.neuron.effective(self.encoding.timesteps)
        trained["train"] = self.train.effective()
        try:
            trained["network"] = repr(self.plan().unnamed)
        except PlanError:  # there are no operations to compare
            trained["network"] = self.network.model_dump(mode="json")
        return hashlib.sha256(json.dumps(trained, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def network_key(self) -> str:
        """Identify the network with its neurons and encoding, whatever its modules are called and however it trains."""
        try:
            operations = repr(self.plan().unnamed)
        except PlanError:
            operations = self.network.model_dump_json()
        parts = (operations, self.neuron.effective(self.encoding.timesteps), self.encoding.model_dump(mode="json"))
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(64)  # size, fingerprint and constraints of a proposal are read one after the other
def _plan(network: Config, outputs: int, shape: Shape, smallest: int | None) -> Plan:
    plan = family_of(network).plan(network, outputs, shape)
    if smallest is not None:
        _check_resolution(plan, smallest)
    return plan


def _check_resolution(plan: Plan, smallest: int) -> None:
    """Check that training may begin with images of ``smallest`` pixels. Raises PlanError if not."""
    _, height, width = plan.in_shape
    if smallest >= height:
        raise PlanError(
            f"given train.first_resolution {smallest} for images of {height}x{width} pixels; write a smaller one, such "
            f"as {height // 2}, or leave it out"
        )
    try:
        resized(plan, smallest)
    except PlanError as error:
        raise PlanError(f"with images of train.first_resolution {smallest}: {error}") from error
