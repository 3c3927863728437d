"""Arithmetic only: 32-bit float, 45 nm, 0.9 V (Horowitz, ISSCC 2014). The model that most SNN papers use."""

from typing import TYPE_CHECKING

from snnkit.energy.model import Constant, Energy, EnergyModel, EnergyOptions
from snnkit.energy.presets import PRESETS

if TYPE_CHECKING:
    from snnkit.energy.operations import OperationCounts

E_AC_PJ = 0.9  # add
E_MAC_PJ = 4.6  # 3.7 multiply + 0.9 add


def horowitz45(counts: "OperationCounts", config: EnergyOptions) -> Energy:
    """Energy of the MACs and ACs that ``config.preset`` counts. Biases, neurons and memory cost nothing.

    ``alternatives``: ``nonzero_macs``, the energy if multiplications by zero are skipped. Only the exact counts of a
    CNN twin that was run have it.
    """
    operations = PRESETS[config.preset](counts)
    layers = {name: {"macs": E_MAC_PJ * ops.macs, "acs": E_AC_PJ * ops.acs} for name, ops in operations.items()}
    alternatives = {}
    if config.preset == "exact" and not counts.spiking and counts.nonzero_macs is not None:
        alternatives["nonzero_macs"] = E_MAC_PJ * counts.nonzero_macs
    return Energy.from_pj(layers, alternatives)


SOURCE = "Horowitz, ISSCC 2014: 32-bit float, 45 nm, 0.9 V"
EXACT = (
    f"Energy = {E_MAC_PJ} pJ x MACs + {E_AC_PJ} pJ x ACs (32-bit floating point, 45 nm: multiply 3.7 pJ, add 0.9 pJ; "
    "Horowitz, ISSCC 2014). MACs multiply real numbers: in the first layer (once for a still image), in the first "
    "layer of a squeeze-excite, and once per spike and synapse behind a real gate. ACs are counted from real spikes "
    "over all time steps: one per spike and synapse that it reaches, and one per element of a residual sum of "
    "currents. Biases, neuron updates and memory cost nothing."
)
PAPER2602 = (
    f"The same {E_MAC_PJ} and {E_AC_PJ} pJ on the counts of arXiv 2602.09717, to compare with its tables. MACs = the "
    "first convolution with its bias, every other layer whose input is not binary, two per element that passes a "
    "BatchNorm, and one per element that enters the final pooling. ACs = firing rate x (dense operations + bias) "
    "of every layer that reads binary spikes, for one time step whatever T is."
)

HOROWITZ45 = EnergyModel(
    estimate=horowitz45,
    presets={"exact": EXACT, "paper2602": PAPER2602},
    constants=(
        Constant("accumulate (AC): addition", E_AC_PJ, "pJ", SOURCE),
        Constant("multiply-accumulate (MAC): 3.7 multiply + 0.9 add", E_MAC_PJ, "pJ", SOURCE),
    ),
)
