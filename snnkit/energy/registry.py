"""The energy models: one line each. A space selects one as ``energy: {model: NAME}``."""

from snnkit.energy.horowitz45 import HOROWITZ45
from snnkit.energy.lemaire2022 import LEMAIRE2022
from snnkit.energy.model import EnergyModel

ENERGY_MODELS: dict[str, EnergyModel] = {
    "horowitz45": HOROWITZ45,
    "lemaire2022": LEMAIRE2022,
}

BUILT_IN = tuple(ENERGY_MODELS)
