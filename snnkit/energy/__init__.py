"""Energy of an inference from its counted operations. Prices plain numbers: no torch."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from snnkit.energy.horowitz45 import horowitz45
from snnkit.energy.lemaire2022 import lemaire2022
from snnkit.energy.presets import PRESETS
from snnkit.energy.pricing import Energy, EnergyConfig

if TYPE_CHECKING:
    from snnkit.energy.operations import OperationCounts

__all__ = ["ENERGY_MODELS", "PRESETS", "PRICES", "Energy", "EnergyConfig", "all_prices", "price"]

ENERGY_MODELS: Mapping[str, Callable[["OperationCounts", EnergyConfig], Energy]] = {
    "horowitz45": horowitz45,
    "lemaire2022": lemaire2022,
}

PRICES = ("horowitz45/exact", "horowitz45/paper2602", "lemaire2022/exact")  # model/preset, as records name them


def estimate_energy(activity: "OperationCounts", pricing: EnergyConfig) -> Energy:
    return ENERGY_MODELS[pricing.model](activity, pricing)


def estimate_all(
    activity: "OperationCounts", sram: Literal["horowitz64", "lemaire"] = "horowitz64"
) -> dict[str, Energy]:
    """By price name; ``sram`` as in `EnergyConfig`."""
    prices = {}
    for key in PRICES:
        model, preset = key.split("/")
        prices[key] = estimate_energy(
            activity, EnergyConfig.model_validate({"model": model, "preset": preset, "sram": sram})
        )
    return prices
