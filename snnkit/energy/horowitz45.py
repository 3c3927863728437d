"""Arithmetic alone, fp32 in 45 nm at 0.9 V (Horowitz, ISSCC 2014): the price that most papers on SNNs use."""

from typing import TYPE_CHECKING

from snnkit.energy.presets import PRESETS
from snnkit.energy.pricing import Energy, EnergyConfig

if TYPE_CHECKING:
    from snnkit.energy.operations import OperationCounts

E_AC_PJ = 0.9  # add
E_MAC_PJ = 4.6  # 3.7 multiply + 0.9 add


def horowitz45(activity: "OperationCounts", pricing: EnergyConfig) -> Energy:
    """MACs and ACs of ``pricing.preset``; biases, neurons and memory cost nothing.

    ``alternatives``: ``nonzero_macs``, multiplications by zero skipped, where a twin was run and its counts are exact.
    """
    operations = PRESETS[pricing.preset](activity)
    layers = {name: {"macs": E_MAC_PJ * ops.macs, "acs": E_AC_PJ * ops.acs} for name, ops in operations.items()}
    alternatives = {}
    if pricing.preset == "exact" and not activity.spiking and activity.nonzero_macs is not None:
        alternatives["nonzero_macs"] = E_MAC_PJ * activity.nonzero_macs
    return Energy.from_pj(layers, alternatives)
