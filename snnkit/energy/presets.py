"""Counting presets: which operations of a layer are priced by a model that prices operations alone.

``exact`` is what ``snnkit.activity`` counts. ``paper2602`` is the rule behind the tables of arXiv:2602.09717 (that of
the tool syops-counter, one time step), to compare with them: it counts BatchNorm, biases and taps in the padding, and
a firing rate times the dense operations in place of the spikes' own fan-out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from snnkit.plan import GlobalAverage

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
    """The last layer also bears the elements that enter the final average, one MAC each."""
    operations = {layer.name: _paper2602_layer(layer) for layer in activity.layers}
    last, average = activity.layers[-1].name, activity.plan.ops[-1]
    assert isinstance(average, GlobalAverage)
    operations[last] = Operations(operations[last].macs + prod(average.in_shape), operations[last].acs)
    return operations


def _paper2602_layer(layer: "LayerActivity") -> Operations:
    conv = layer.conv
    dense = conv.dense_macs + conv.outputs * conv.bias
    batchnorm = 2 * conv.outputs * conv.batchnorm
    if layer.input_mean is None or conv.input_scale > 1:  # its input is not binary: all of it is MACs
        return Operations(dense + batchnorm, 0.0)
    return Operations(batchnorm, layer.input_mean * dense)


PRESETS: Mapping[str, Callable[["Activity"], dict[str, Operations]]] = {"exact": exact, "paper2602": paper2602}
