"""Counting presets: which operations of a layer are priced by a model that prices operations alone.

``exact`` is what ``snnkit.activity`` counts. ``paper2602`` is the rule behind the tables of arXiv:2602.09717 (that of
the tool syops-counter, one time step), to compare with them: it counts BatchNorm, biases and taps in the padding, and
a firing rate times the dense operations in place of the spikes' own fan-out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from snnkit.plan import Conv, GlobalAverage, Plan, Pool

if TYPE_CHECKING:
    from snnkit.activity import Activity, LayerActivity


@dataclass(frozen=True)
class Operations:
    """Of one layer and one inference."""

    macs: float
    acs: float


def exact(activity: "Activity") -> dict[str, Operations]:
    return {layer.name: Operations(layer.macs, layer.acs) for layer in activity.layers}


def paper2602(activity: "Activity") -> dict[str, Operations]:
    """The last layer also bears the elements that enter the final average: one MAC each, or one AC a spike."""
    operations = {layer.name: _paper2602_layer(layer) for layer in activity.layers}
    last = activity.layers[-1]
    before, binary = _final_average(activity.plan), not last.dense and activity.spiking and last.spikes_in > 0
    average = activity.plan.ops[-1]
    assert isinstance(average, GlobalAverage)
    if before is None:
        extra = Operations(prod(average.in_shape), 0.0)
    elif binary:
        extra = Operations(0.0, last.spikes_in / activity.timesteps)
    else:
        extra = Operations(prod(before.in_shape), 0.0)
    total = operations[last.name]
    operations[last.name] = Operations(total.macs + extra.macs, total.acs + extra.acs)
    return operations


def _final_average(plan: Plan) -> Pool | None:
    """The mean over space in front of a classifier, where it stands there and not behind it."""
    source = plan.convs[-1].source
    found = next((op for op in plan.ops if isinstance(op, Pool) and op.name == source), None)
    return found if found is not None and found.out_shape[1:] == (1, 1) and found.kind == "avg" else None


def _paper2602_layer(layer: "LayerActivity") -> Operations:
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


PRESETS: Mapping[str, Callable[["Activity"], dict[str, Operations]]] = {"exact": exact, "paper2602": paper2602}
