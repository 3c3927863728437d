"""Counting presets: which operations of a layer are priced by a model that prices operations alone.

``exact`` is what ``snnkit.energy.operations`` counts. ``paper2602`` is the rule behind the tables of arXiv:2602.09717
(that of the tool syops-counter, one time step), to compare with them: it counts BatchNorm, biases and taps in the
padding, and a firing rate times the dense operations in place of the spikes' own fan-out.
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
    """Of one layer and one inference."""

    macs: float
    acs: float


def exact(activity: "OperationCounts") -> dict[str, Operations]:
    return {layer.name: Operations(layer.macs, layer.acs) for layer in activity.layers}


def paper2602(activity: "OperationCounts") -> dict[str, Operations]:
    """The last layer also bears the elements that enter the final average: one MAC each, or one AC a spike."""
    operations = {layer.name: _paper2602_layer(layer) for layer in activity.layers}
    last = activity.layers[-1]
    average = _final_average(activity.plan)
    total = operations[last.name]
    if activity.spiking and isinstance(average, Pool) and activity.plan.convs[-1].input_most == average.kernel**2:
        extra = Operations(0.0, last.spikes_in / activity.timesteps)
    else:
        extra = Operations(prod(average.in_shape), 0.0)
    operations[last.name] = Operations(total.macs + extra.macs, total.acs + extra.acs)
    return operations


def _final_average(plan: Plan) -> Pool | GlobalAverage:
    """The mean over space: in front of the classifier, where one stands there, else behind it."""
    made = {op.name: op for op in plan.ops}
    before, behind = made.get(plan.convs[-1].source), plan.ops[-1]
    while isinstance(before, Dropout):
        before = made[before.source]
    assert isinstance(behind, GlobalAverage)
    stands = isinstance(before, Pool) and before.kind == "avg" and before.out_shape[1:] == (1, 1)
    return before if isinstance(before, Pool) and stands else behind


def _paper2602_layer(layer: "LayerCounts") -> Operations:
    """The tool looks at convolutions and BatchNorms alone: sums, gates and neurons are nothing to it."""
    conv = layer.op
    if not isinstance(conv, Conv):
        return Operations(0.0, 0.0)
    dense = conv.dense_macs + conv.outputs * conv.bias
    batchnorm = 2 * conv.outputs * conv.batchnorm
    # where its input is not binary, all of it is MACs
    if layer.input_mean is None or conv.reads == "gated" or conv.input_most > 1:
        return Operations(dense + batchnorm, 0.0)
    return Operations(batchnorm, layer.input_mean * dense)


PRESETS: Mapping[str, Callable[["OperationCounts"], dict[str, Operations]]] = {"exact": exact, "paper2602": paper2602}
