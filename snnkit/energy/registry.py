"""The energy models: one line each. A space selects one as ``energy: {model: NAME}``."""

from collections.abc import Mapping

from snnkit.energy.horowitz45 import HOROWITZ45
from snnkit.energy.lemaire2022 import LEMAIRE2022
from snnkit.energy.model import EnergyModel

ENERGY_MODELS: dict[str, EnergyModel] = {
    "horowitz45": HOROWITZ45,
    "lemaire2022": LEMAIRE2022,
}

BUILT_IN = tuple(ENERGY_MODELS)

ENERGY_RULES: Mapping[str, str] = {
    f"{name}/{preset}": rule for name, model in ENERGY_MODELS.items() for preset, rule in model.presets.items()
}
"""The description of every built-in rule by its key, ``model/preset``."""
