"""Estimate the energy of an inference from its counted operations. Works on plain numbers: no torch."""

from typing import TYPE_CHECKING

from snnkit.energy.config import EnergyConfig
from snnkit.energy.described import EnergyDescription
from snnkit.energy.model import Constant, Energy, EnergyModel
from snnkit.energy.presets import PRESETS
from snnkit.energy.registry import ENERGY_MODELS

if TYPE_CHECKING:
    from snnkit.energy.operations import OperationCounts

__all__ = [
    "ENERGY_MODELS",
    "PRESETS",
    "Constant",
    "Energy",
    "EnergyConfig",
    "EnergyDescription",
    "EnergyModel",
    "estimate_all",
    "estimate_energy",
]


def estimate_energy(counts: "OperationCounts", config: EnergyConfig = EnergyConfig()) -> Energy:  # noqa: B008  # frozen
    """Energy of one inference, in mJ, under the model and the counting preset of ``config``."""
    return config.energy_models[config.model].estimate(counts, config)


def estimate_all(
    counts: "OperationCounts",
    config: EnergyConfig = EnergyConfig(),  # noqa: B008  # frozen
) -> dict[str, Energy]:
    """Energy under every rule of ``config``, keyed ``model/preset``; it also gives the models' other options."""
    return {
        f"{name}/{preset}": model.estimate(counts, config.model_copy(update={"model": name, "preset": preset}))
        for name, model in config.energy_models.items()
        for preset in model.presets
    }
