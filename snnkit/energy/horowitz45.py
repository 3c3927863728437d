"""Arithmetic only: 32-bit float, 45 nm, 0.9 V (Horowitz, ISSCC 2014). The model that most SNN papers use."""

from typing import TYPE_CHECKING

from snnkit.energy.model import Constant, Energy, EnergyModel, EnergyOptions
from snnkit.energy.presets import PRESETS

if TYPE_CHECKING:
    from snnkit.energy.operations import OperationCounts

E_AC_PJ = 0.9  # add
E_MULTIPLY_PJ = 3.7
E_MAC_PJ = 4.6  # 3.7 multiply + 0.9 add


def horowitz45(counts: "OperationCounts", config: EnergyOptions) -> Energy:
    """Energy of the MACs and ACs that ``config.preset`` counts. Biases, neurons and memory cost nothing.

    The exact counts have ``alternatives``. A spiking network: ``with_neurons``, the energy with biases, neurons and
    pooling, and ``with_neurons_and_stem_every_step``, if the stem also ran at every time step. A CNN twin that was run:
    ``nonzero_macs``, the energy if multiplications by zero are skipped.
    """
    operations = PRESETS[config.preset](counts)
    layers = {name: {"macs": E_MAC_PJ * ops.macs, "acs": E_AC_PJ * ops.acs} for name, ops in operations.items()}
    return Energy.from_pj(layers, _alternatives(counts) if config.preset == "exact" else {})


def _alternatives(counts: "OperationCounts") -> dict[str, float]:
    if counts.spiking:
        every_step = counts.with_stem_every_step()
        return {"with_neurons": _with_neurons(counts), "with_neurons_and_stem_every_step": _with_neurons(every_step)}
    return {} if counts.nonzero_macs is None else {"nonzero_macs": E_MAC_PJ * counts.nonzero_macs}


def _with_neurons(counts: "OperationCounts") -> float:
    """Energy in pJ with what the total leaves out: leaks, biases, thresholds, resets and pooling."""
    additions = counts.acs + counts.neuron_additions
    return E_MAC_PJ * counts.macs + E_AC_PJ * additions + E_MULTIPLY_PJ * counts.neuron_ops


SOURCE = "Horowitz, ISSCC 2014: 32-bit float, 45 nm, 0.9 V"
EXACT = (
    f"Energy = {E_MAC_PJ} pJ x MACs + {E_AC_PJ} pJ x ACs (32-bit floating point, 45 nm: multiply 3.7 pJ, add 0.9 pJ; "
    "Horowitz, ISSCC 2014). MACs multiply real numbers: in the first layer (once for a still image), in the first "
    "layer of a squeeze-excite, and once per spike and synapse behind a real gate. ACs are counted from real spikes "
    "over all time steps: one per spike and synapse that it reaches, and one per element of a residual sum of "
    "currents. Biases, neuron updates and memory cost nothing. The alternative 'with neurons' adds what the total "
    f"leaves out of a spiking network, still without memory: {E_MULTIPLY_PJ} pJ per leak, neuron and time step, and "
    f"{E_AC_PJ} pJ per bias addition, comparison with the threshold, reset, addition of a stored current to its "
    "neuron, comparison of max pooling and addition of averaged currents. The alternative 'stem every step' also runs "
    "the first layer at every time step."
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
        Constant("multiplication, in the alternatives only", E_MULTIPLY_PJ, "pJ", SOURCE),
        Constant("multiply-accumulate (MAC): 3.7 multiply + 0.9 add", E_MAC_PJ, "pJ", SOURCE),
    ),
)
