"""Counting presets: which operations of a layer an energy model charges for.

``exact`` takes the counts of `snnkit.energy.operations`. ``paper2602`` is the rule behind the tables of
arXiv:2602.09717, to compare with them. It follows the tool syops-counter for one time step: it counts BatchNorm, biases
and taps in the padding, and takes firing rate times dense operations instead of the fan-out of each spike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from snnkit.architecture.plan import Conv, Dropout, GlobalAverage, Plan, Pool

if TYPE_CHECKING:
    from snnkit.energy.operations import LayerCounts, OperationCounts


@dataclass(frozen=True)
class Operations:
    """Charged operations of one layer in one inference."""

    macs: float
    acs: float


def exact(counts: "OperationCounts") -> dict[str, Operations]:
    """The exact counts, by layer."""
    return {layer.name: Operations(layer.macs, layer.acs) for layer in counts.layers}


def paper2602(counts: "OperationCounts") -> dict[str, Operations]:
    """The counts of arXiv:2602.09717, by layer.

    The final average is charged to the last layer: one MAC per element that enters it, or one AC per spike.
    """
    operations = {layer.name: _paper2602_layer(layer) for layer in counts.layers}
    last = counts.layers[-1]
    average = _final_average(counts.plan)
    total = operations[last.name]
    if counts.spiking and isinstance(average, Pool) and counts.plan.convs[-1].input_most == average.taps:
        extra = Operations(0.0, last.spikes_in / counts.timesteps)
    else:
        extra = Operations(prod(average.in_shape), 0.0)
    operations[last.name] = Operations(total.macs + extra.macs, total.acs + extra.acs)
    return operations


def _final_average(plan: Plan) -> Pool | GlobalAverage:
    """The mean over space: the one before the classifier if there is one, else the one after it."""
    made = {op.name: op for op in plan.ops}
    before, after = made.get(plan.convs[-1].source), plan.ops[-1]
    while isinstance(before, Dropout):
        before = made[before.source]
    assert isinstance(after, GlobalAverage)
    if isinstance(before, Pool) and before.kind == "avg" and before.out_shape[1:] == (1, 1):
        return before
    return after


def _paper2602_layer(layer: "LayerCounts") -> Operations:
    """The tool counts convolutions and BatchNorms only; it ignores sums, gates and neurons."""
    conv = layer.op
    if not isinstance(conv, Conv):
        return Operations(0.0, 0.0)
    dense = conv.dense_macs + conv.outputs * conv.bias
    batchnorm = 2 * conv.outputs * conv.batchnorm
    # If the input is not binary, every operation is a MAC.
    if layer.input_mean is None or conv.reads == "gated" or conv.input_most > 1:
        return Operations(dense + batchnorm, 0.0)
    return Operations(batchnorm, layer.input_mean * dense)


PRESETS: Mapping[str, Callable[["OperationCounts"], dict[str, Operations]]] = {"exact": exact, "paper2602": paper2602}
