"""Check the figures of a trained network before they are recorded. A figure that may be wrong is marked as such.

Sizes and operations are computed in two independent ways, and counts have bounds. The check runs on every trained
network and costs one image.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from snnkit.architecture.plan import PASSES, Conv
from snnkit.energy import Energy
from snnkit.energy.operations import LayerCounts, OperationCounts, most_spikes
from snnkit.nn.modes import as_counted
from snnkit.nn.network import Network

RELATIVE_TOLERANCE = 1e-6  # the same terms are summed in another order


class Contradiction(Exception):  # noqa: N818  # the figures are wrong, not the program's flow
    """Figures that cannot all be right. ``found`` lists every disagreement, and so does the message."""

    def __init__(self, found: Sequence[str]) -> None:
        super().__init__("; ".join(found))
        self.found = tuple(found)


def crosscheck(
    network: Network,
    images: Tensor,
    counts: OperationCounts,
    energies: Mapping[str, Energy],
    accuracies: Mapping[str, float],
) -> None:
    """Compare the figures of ``network`` with each other and with their bounds.

    ``images``: one normalised image (1, C, H, W) or recording (1, T, C, H, W). ``energies`` is keyed by energy rule,
    and ``accuracies`` are shares. Raises Contradiction listing every disagreement.
    """
    found = [
        *_sizes(network, images),
        *(line for layer in counts.layers for line in _counts(layer, counts.timesteps)),
        *(line for name, energy in energies.items() for line in _sums(name, energy)),
        *(f"{name} is {share}, not between 0 and 1" for name, share in accuracies.items() if not 0 <= share <= 1),
    ]
    if found:
        raise Contradiction(found)


def _sizes(network: Network, images: Tensor) -> Iterator[str]:
    """Compare parameters and MACs: the plan's closed form against torch's own count in the network.

    A learned leak belongs to the neurons and does not count as a parameter.
    """
    leaks = sum(network.lif(op).leak_logit is not None for op in network.spiking_ops)
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
    """Check that each count lies between 0 and its upper bound."""
    dense = layer.dense_macs * timesteps
    bounds = {
        "accumulates": (layer.synapses, dense * (most_spikes(layer.op) if isinstance(layer.op, Conv) else 1)),
        "multiply-accumulates": (layer.macs, dense),
        "spikes": (layer.spikes_out, layer.neurons * timesteps),
    }
    for name, (count, bound) in bounds.items():
        if not 0 <= count <= bound * (1 + RELATIVE_TOLERANCE):
            yield f"{name} of {layer.name}: {count:g}, not between 0 and {bound:g}"


def _sums(name: str, energy: Energy) -> Iterator[str]:
    for what, terms in (("layers", energy.layers), ("parts", energy.parts)):
        if not math.isclose(sum(terms.values()), energy.total_mj, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-15):
            yield f"energy by {name}: {energy.total_mj:g} mJ in all, {sum(terms.values()):g} mJ by {what}"
    if not (math.isfinite(energy.total_mj) and energy.total_mj >= 0):
        yield f"energy by {name}: {energy.total_mj:g} mJ"
