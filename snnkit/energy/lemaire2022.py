"""Arithmetic, memory and addressing, int32 in 45 nm (Lemaire et al., ICONIP 2022, arXiv:2210.13107).

Each layer has a memory for its potentials, one for its weights and a FIFO for its spikes; an access costs what SRAM of
that size does (Horowitz, ISSCC 2014). Words have 32 bits.
"""

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from snnkit.architecture.plan import Conv, Neurons, Sum
from snnkit.energy.pricing import Energy, EnergyConfig

if TYPE_CHECKING:
    from snnkit.energy.operations import LayerCounts, OperationCounts

E_ADD_PJ = 0.1
E_MULTIPLY_PJ = 3.1
E_MAC_PJ = E_ADD_PJ + E_MULTIPLY_PJ

WORD_BYTES = 4
FIFO_WORDS = 1000
REUSE = 10  # MACs per read of an input or weight, in the alternative to none

SRAM_PJ = ((0, 0.0), (8 * 1024, 10.0), (32 * 1024, 20.0), (1024 * 1024, 100.0))  # bytes, pJ per 64-bit access
SRAM_SCALE = {"horowitz64": 0.5, "lemaire": 1.0}  # a 32-bit word costs half the figure, or all of it as they read it


def lemaire2022(activity: "OperationCounts", pricing: EnergyConfig) -> Energy:
    """Prices the exact counts.

    ``alternatives``: ``reuse_10``, where dense layers read each input and weight once for 10 MACs, not once for each.
    """
    layers = {layer.name: _layer(layer, SRAM_SCALE[pricing.sram], 1) for layer in activity.layers}
    reused = {layer.name: _layer(layer, SRAM_SCALE[pricing.sram], REUSE) for layer in activity.layers}
    return Energy.from_pj(layers, {f"reuse_{REUSE}": sum(sum(parts.values()) for parts in reused.values())})


def sram_pj(words: int, scale: float) -> float:
    """Energy of one access to a memory of ``words``: linear between the published sizes, the largest for all above."""
    size = words * WORD_BYTES
    for (below, low), (above, high) in pairwise(SRAM_PJ):
        if size <= above:
            return scale * (low + (high - low) * (size - below) / (above - below))
    return scale * SRAM_PJ[-1][1]


def _layer(layer: "LayerCounts", scale: float, reuse: int) -> dict[str, float]:
    """Picojoules by component."""
    op = layer.op
    if isinstance(op, Sum):
        return _residual(layer, op, scale)
    if isinstance(op, Neurons):
        return _neurons_on_a_current(layer, op, scale)
    if not layer.dense:
        return _spiking(layer, op, scale)
    dense = _dense(layer, op, scale, reuse)
    return _sum(dense, _neurons_on_a_current(layer, op, scale)) if layer.neurons else dense


def _residual(layer: "LayerCounts", op: Sum, scale: float) -> dict[str, float]:
    """A sum of currents, or of the twin's values: what was kept is read, and the sum written back."""
    memory = layer.additions * sram_pj(prod(op.out_shape), scale)
    return {"operations": layer.additions * E_ADD_PJ, "inputs": memory, "outputs": memory}


def _spiking(layer: "LayerCounts", conv: Conv, scale: float) -> dict[str, float]:
    """A layer that reads spikes: each spike is taken from the FIFO and adds its weights to the potentials it meets,
    behind a real gate times the gate."""
    updates = layer.timesteps * conv.outputs
    fifo = sram_pj(FIFO_WORDS, scale)
    synapses = layer.synapses + layer.macs
    additions = synapses + layer.bias_adds + layer.spikes_out  # the last: resets
    address_additions = layer.spikes_in * conv.out_shape[0] / conv.groups * conv.kernel**2
    return {
        "operations": additions * E_ADD_PJ + (layer.macs + layer.neuron_ops) * E_MULTIPLY_PJ,
        "inputs": layer.spikes_in * fifo,
        "weights": (synapses + layer.bias_adds) * sram_pj(conv.weights, scale),
        "potentials": 2 * (synapses + updates) * sram_pj(conv.outputs, scale),  # each is read, then written
        "outputs": layer.spikes_out * fifo,
        "addressing": 2 * layer.spikes_in * E_MAC_PJ + address_additions * E_ADD_PJ,
    }


def _dense(layer: "LayerCounts", conv: Conv, scale: float, reuse: int) -> dict[str, float]:
    """A layer that reads real numbers, one input and one weight from memory for every ``reuse`` MACs. Where these are
    means of spikes, each spike is taken from the FIFO and added to its mean."""
    inputs = prod(conv.in_shape)
    means = layer.spikes_in * (sram_pj(FIFO_WORDS, scale) + 2 * sram_pj(inputs, scale))
    addresses = inputs + conv.outputs + conv.out_shape[0] * conv.kernel**2
    return {
        "operations": layer.macs * E_MAC_PJ + layer.additions * E_ADD_PJ,
        "inputs": layer.macs / reuse * sram_pj(inputs, scale) + means,
        "weights": layer.macs / reuse * sram_pj(conv.weights, scale),
        "outputs": layer.evaluations * conv.outputs * sram_pj(conv.outputs, scale),
        "addressing": layer.evaluations * addresses * E_ADD_PJ,
    }


def _neurons_on_a_current(layer: "LayerCounts", op: Conv | Neurons, scale: float) -> dict[str, float]:
    """Neurons behind a dense layer or a sum: its output is kept, and read and added to the potentials at every step."""
    updates = layer.timesteps * op.outputs
    memory = sram_pj(op.outputs, scale)
    return {
        "operations": (updates + layer.spikes_out) * E_ADD_PJ + layer.neuron_ops * E_MULTIPLY_PJ,
        "inputs": updates * memory,
        "potentials": 2 * updates * memory,
        "outputs": layer.spikes_out * sram_pj(FIFO_WORDS, scale),
    }


def _sum(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    return {part: first.get(part, 0.0) + second.get(part, 0.0) for part in first | second}
