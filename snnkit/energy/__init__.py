"""Estimate the energy of an inference from its counted operations. Works on plain numbers: no torch."""

from typing import TYPE_CHECKING

from snnkit.energy.config import EnergyConfig
from snnkit.energy.model import Constant, Energy, EnergyModel
from snnkit.energy.presets import PRESETS
from snnkit.energy.registry import ENERGY_MODELS, ENERGY_RULES

if TYPE_CHECKING:
    from snnkit.energy.operations import OperationCounts

__all__ = [
    "ENERGY_MODELS",
    "ENERGY_RULES",
    "PRESETS",
    "Constant",
    "Energy",
    "EnergyConfig",
    "EnergyModel",
    "estimate_all",
    "estimate_energy",
]


def estimate_energy(counts: "OperationCounts", config: EnergyConfig = EnergyConfig()) -> Energy:  # noqa: B008  # frozen
    """Energy of one inference, in mJ, under the model and the counting preset of ``config``."""
    return ENERGY_MODELS[config.model].estimate(counts, config)


def estimate_all(
    counts: "OperationCounts",
    config: EnergyConfig = EnergyConfig(),  # noqa: B008  # frozen
) -> dict[str, Energy]:
    """Energy under every rule, keyed ``model/preset``; ``config`` gives the models' other options."""
    options = config.model_dump()
    keys = ((key, *key.split("/")) for key in ENERGY_RULES)
    return {
        key: estimate_energy(counts, EnergyConfig.model_validate(options | {"model": model, "preset": preset}))
        for key, model, preset in keys
    }
