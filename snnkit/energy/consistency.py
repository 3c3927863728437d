"""Figures of a trained network come about in two ways, or have bounds: where they disagree, none is to be trusted.

A wrong number is worse than a crash. This runs on every network before its figures are recorded, and costs one image.
"""

import math
from collections.abc import Iterator, Mapping

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from snnkit.architecture.plan import PASSES, Conv
from snnkit.energy import Energy
from snnkit.energy.operations import LayerCounts, OperationCounts
from snnkit.nn.modes import as_counted
from snnkit.nn.network import Network

CLOSE = 1e-6  # relative, of sums in another order


class Contradiction(Exception):  # noqa: N818  # what is wrong with the figures, not with the program's flow
    """Figures that cannot all be right."""


def crosscheck(
    network: Network,
    images: Tensor,
    activity: OperationCounts,
    prices: Mapping[str, Energy],
    accuracies: Mapping[str, float],
) -> None:
    """Hold the figures of ``network`` against each other. ``images``: (1, C, H, W) or (1, T, C, H, W), normalised.

    Raises Contradiction with all that does not agree.
    """
    found = [
        *_sizes(network, images),
        *(line for layer in activity.layers for line in _counts(layer, activity.timesteps)),
        *(line for name, energy in prices.items() for line in _sums(name, energy)),
        *(f"{name} is {share}, which is no share" for name, share in accuracies.items() if not 0 <= share <= 1),
    ]
    if found:
        raise Contradiction("; ".join(found))


def _sizes(network: Network, images: Tensor) -> Iterator[str]:
    """Parameters and multiply-accumulates: of the plan in closed form, and as torch counts them in the network. A
    layer's leak is its neurons', learned or not, and no parameter."""
    leaks = sum(network.lif(op).leak_logit is not None for op in network.firing)
    held = sum(parameter.numel() for parameter in network.parameters()) - leaks
    if held != network.plan.params:
        yield f"parameters: {network.plan.params:,} by the plan, {held:,} in the network"
    counter = FlopCounterMode(display=False)
    with as_counted(network), counter:
        network(images)
    planned, counted = network.training_macs // PASSES, counter.get_total_flops() // 2
    if counted != planned:
        yield f"dense MACs of a pass: {planned:,} by the plan, {counted:,} counted in one"


def _counts(layer: LayerCounts, timesteps: int) -> Iterator[str]:
    """No more than there can be, and no less than nothing."""
    dense = layer.dense_macs * timesteps
    most = {
        "accumulates": (layer.synapses, dense * (layer.op.input_scale if isinstance(layer.op, Conv) else 1)),
        "multiply-accumulates": (layer.macs, dense),
        "spikes": (layer.spikes_out, layer.neurons * timesteps),
    }
    for name, (count, bound) in most.items():
        if not 0 <= count <= bound * (1 + CLOSE):
            yield f"{name} of {layer.name}: {count:g}, where there can be 0 to {bound:g}"


def _sums(name: str, energy: Energy) -> Iterator[str]:
    for what, terms in (("layers", energy.layers), ("parts", energy.parts)):
        if not math.isclose(sum(terms.values()), energy.total_mj, rel_tol=CLOSE, abs_tol=1e-15):
            yield f"energy by {name}: {energy.total_mj:g} mJ in all, {sum(terms.values()):g} mJ by {what}"
    if not (math.isfinite(energy.total_mj) and energy.total_mj >= 0):
        yield f"energy by {name}: {energy.total_mj:g} mJ"
