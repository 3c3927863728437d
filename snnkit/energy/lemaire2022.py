"""Arithmetic, memory and addressing: 32-bit integer, 45 nm (Lemaire et al., ICONIP 2022, arXiv:2210.13107).

Each layer has a memory for its membrane potentials, one for its weights and a FIFO for its spikes. An access costs as
much as one to an SRAM of that size (Horowitz, ISSCC 2014). Words have 32 bits.
"""

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from snnkit.architecture.plan import Conv, Neurons, Sum
from snnkit.energy.model import Constant, Energy, EnergyModel, EnergyOptions

if TYPE_CHECKING:
    from snnkit.energy.operations import LayerCounts, OperationCounts

E_ADD_PJ = 0.1
E_MULTIPLY_PJ = 3.1
E_MAC_PJ = E_ADD_PJ + E_MULTIPLY_PJ

WORD_BYTES = 4
FIFO_WORDS = 1000
MACS_PER_READ = 10  # in the alternative with data reuse; the estimate itself reads operands for every MAC

SRAM_PJ = ((0, 0.0), (8 * 1024, 10.0), (32 * 1024, 20.0), (1024 * 1024, 100.0))  # bytes, pJ per 64-bit access
SRAM_SCALE = {"horowitz64": 0.5, "lemaire": 1.0}  # of the 64-bit figure for a 32-bit word; the paper takes all of it


def lemaire2022(counts: "OperationCounts", config: EnergyOptions) -> Energy:
    """Energy of the exact counts.

    ``alternatives``: ``reuse_10``, the energy if dense layers read each input and weight once for 10 MACs instead of
    once for every MAC.
    """
    scale = SRAM_SCALE[config.sram]
    layers = {layer.name: _layer(layer, scale, 1) for layer in counts.layers}
    reused = {layer.name: _layer(layer, scale, MACS_PER_READ) for layer in counts.layers}
    alternatives = {f"reuse_{MACS_PER_READ}": sum(sum(parts.values()) for parts in reused.values())}
    return Energy.from_pj(layers, alternatives)


def sram_pj(words: int, scale: float) -> float:
    """Energy of one access to a memory of ``words`` 32-bit words, in pJ.

    Interpolates linearly between the published sizes; larger memories cost as much as the largest of them.
    """
    size = words * WORD_BYTES
    for (below, low), (above, high) in pairwise(SRAM_PJ):
        if size <= above:
            return scale * (low + (high - low) * (size - below) / (above - below))
    return scale * SRAM_PJ[-1][1]


def _layer(layer: "LayerCounts", scale: float, reuse: int) -> dict[str, float]:
    """Energy by component, in pJ."""
    op = layer.op
    if isinstance(op, Sum):
        return _residual(layer, op, scale)
    if isinstance(op, Neurons):
        return _neurons_after_currents(layer, op, scale)
    if not layer.dense:
        return _spiking(layer, op, scale)
    dense = _dense(layer, op, scale, reuse)
    return _added(dense, _neurons_after_currents(layer, op, scale)) if layer.neurons else dense


def _residual(layer: "LayerCounts", op: Sum, scale: float) -> dict[str, float]:
    """A sum of currents, or of the CNN twin's values. Each addition reads the stored value and writes the sum back."""
    memory = layer.additions * sram_pj(prod(op.out_shape), scale)
    return {"operations": layer.additions * E_ADD_PJ, "inputs": memory, "outputs": memory}


def _spiking(layer: "LayerCounts", conv: Conv, scale: float) -> dict[str, float]:
    """A layer that reads spikes. Each spike is read from the FIFO, and its weights are added to the potentials that it
    reaches. Behind a real gate, each weight is multiplied by the gate first."""
    updates = layer.timesteps * conv.outputs
    fifo = sram_pj(FIFO_WORDS, scale)
    synapses = layer.synapses + layer.macs
    additions = synapses + layer.bias_adds + layer.spikes_out  # one reset per spike
    address_additions = layer.spikes_in * conv.out_shape[0] / conv.groups * conv.taps
    return {
        "operations": additions * E_ADD_PJ + (layer.macs + layer.neuron_ops) * E_MULTIPLY_PJ,
        "inputs": layer.spikes_in * fifo,
        "weights": (synapses + layer.bias_adds) * sram_pj(conv.weights, scale),
        "potentials": 2 * (synapses + updates) * sram_pj(conv.outputs, scale),  # each is read, then written
        "outputs": layer.spikes_out * fifo,
        "addressing": 2 * layer.spikes_in * E_MAC_PJ + address_additions * E_ADD_PJ,
    }


def _dense(layer: "LayerCounts", conv: Conv, scale: float, reuse: int) -> dict[str, float]:
    """A layer that reads real numbers: one input and one weight from memory per ``reuse`` MACs. If the inputs are means
    of spikes, each spike is read from the FIFO and added to its mean."""
    inputs = prod(conv.in_shape)
    means = layer.spikes_in * (sram_pj(FIFO_WORDS, scale) + 2 * sram_pj(inputs, scale))
    addresses = inputs + conv.outputs + conv.out_shape[0] * conv.taps
    return {
        "operations": layer.macs * E_MAC_PJ + layer.additions * E_ADD_PJ,
        "inputs": layer.macs / reuse * sram_pj(inputs, scale) + means,
        "weights": layer.macs / reuse * sram_pj(conv.weights, scale),
        "outputs": layer.evaluations * conv.outputs * sram_pj(conv.outputs, scale),
        "addressing": layer.evaluations * addresses * E_ADD_PJ,
    }


def _neurons_after_currents(layer: "LayerCounts", op: Conv | Neurons, scale: float) -> dict[str, float]:
    """Neurons after a dense layer or a sum. Its output is stored; at every step it is read and added to the
    potentials."""
    updates = layer.timesteps * op.outputs
    memory = sram_pj(op.outputs, scale)
    return {
        "operations": (updates + layer.spikes_out) * E_ADD_PJ + layer.neuron_ops * E_MULTIPLY_PJ,
        "inputs": updates * memory,
        "potentials": 2 * updates * memory,
        "outputs": layer.spikes_out * sram_pj(FIFO_WORDS, scale),
    }


def _added(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {part: first.get(part, 0.0) + second.get(part, 0.0) for part in first | second}


HOROWITZ, LEMAIRE = "Horowitz, ISSCC 2014: 45 nm, 0.9 V", "Lemaire et al., ICONIP 2022, arXiv:2210.13107"
EXACT = (
    "The exact counts with memory and addressing (Lemaire et al., ICONIP 2022, arXiv 2210.13107; 32-bit integer, 45 "
    f"nm: add {E_ADD_PJ} pJ, multiply {E_MULTIPLY_PJ} pJ). Every access to weights, potentials and spikes costs as "
    "much as one to an SRAM of that size (8 KB 10 pJ, 32 KB 20 pJ, 1 MB 100 pJ for 64 bits, linear in between). A "
    "32-bit word costs half of that, or all of it if the space says sram: lemaire."
)

LEMAIRE2022 = EnergyModel(
    estimate=lemaire2022,
    presets={"exact": EXACT},
    constants=(
        Constant("addition", E_ADD_PJ, "pJ", HOROWITZ),
        Constant("multiplication", E_MULTIPLY_PJ, "pJ", HOROWITZ),
        *(Constant(f"access to {size // 1024} KB of SRAM, 64 bits", pj, "pJ", HOROWITZ) for size, pj in SRAM_PJ[1:]),
        Constant("length of a spike FIFO", FIFO_WORDS, "words of 32 bits", LEMAIRE),
    ),
)
