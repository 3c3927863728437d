"""The published networks by this project's rule, and our headline networks as the paper's tool would count them.

    python -m benchmarks.search.published

Prints two tables in Markdown; it trains nothing and takes seconds. The first one prices the published SqueezeNets of
arXiv:2602.09717 by ``horowitz45/exact`` at T = 1 to 4. Their weights are not public, so their spikes are not known. The
published accumulates give one firing rate per step; the table assumes that every layer has it at every step. The second
table adds what the paper's tool, syops-counter, also counts in our networks: one MAC for each element that enters a
pooling of currents.
"""

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from search.benchmark.trained import trained
from snnkit.architecture.plan import Conv, Neurons, Plan, Pool
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy import Energy, estimate_energy
from snnkit.energy.horowitz45 import E_MAC_PJ
from snnkit.energy.operations import LayerCounts, silent_counts, unpadded_macs
from snnkit.families.squeezenet import FIRES, SqueezeNet, plan

GALLERY = Path(__file__).parents[2] / "reports" / "gallery"
PRUNED = ("fire4", "fire6", "fire8", "fire9")  # SqueezeNet-P
TIMESTEPS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Published:
    """A row of the paper's tables."""

    label: str
    classes: int
    keep: tuple[str, ...]
    acs: float  # of one time step
    params: int
    energy_mj: float


PUBLISHED = (
    Published("SqueezeNet-P, CIFAR-10", 10, PRUNED, 11_200e3, 599_130, 0.0295),
    Published("SqueezeNet-P, CIFAR-100", 100, PRUNED, 13_490e3, 645_300, 0.0316),
    Published("SqueezeNet, CIFAR-10", 10, FIRES, 16_610e3, 736_500, 0.0355),
)
HEADLINES = (  # benchmark in the gallery, network
    ("cifar10-front", "late-pool-mean"),
    ("cifar10-front", "pooled-currents"),
    ("late-pool-100", "late-pool-100-least"),
    ("pooled-currents-tiny", "pooled-currents"),
)


def plan_of(point: Published) -> Plan:
    """Return the plan of a published network."""
    design = SqueezeNet.model_validate({name: {"keep": name in point.keep} for name in FIRES})
    return plan(design, point.classes, (3, 32, 32))


def exact(point: Published, timesteps: int) -> Energy:
    """Return the energy by ``horowitz45/exact``, if every layer fires at the published rate at every step."""
    network = plan_of(point)
    rate = point.acs / sum(conv.dense_macs + conv.outputs for conv in network.convs[1:])
    silent = silent_counts(network, NeuronConfig(), EncodingConfig(timesteps=timesteps))

    def firing(layer: LayerCounts) -> LayerCounts:
        """Return the counts of a layer of a SqueezeNet, whose operations with counts are all convolutions."""
        assert isinstance(layer.op, Conv)
        synapses = 0.0 if layer.dense else rate * timesteps * unpadded_macs(layer.op)
        return replace(layer, synapses=synapses, spikes_out=rate * timesteps * layer.neurons)

    return estimate_energy(replace(silent, layers=tuple(map(firing, silent.layers))))


def pooled_currents(network: Plan) -> int:
    """Return the elements that enter poolings of currents in one time step."""
    sources = {op.source for op in network.ops if isinstance(op, Neurons)}
    return sum(prod(op.in_shape) for op in network.ops if isinstance(op, Pool) and op.name in sources)


def main() -> None:
    """Print both tables."""
    print(
        "| published network | parameters: published | in its plan | mJ: published | T | exact | with neurons | stem |"
    )
    print("|---" * 8 + "|")
    for point in PUBLISHED:
        params = f"{point.params:,} | {plan_of(point).params:,}"
        for timesteps in TIMESTEPS:
            energy = exact(point, timesteps)
            energies = " | ".join(f"{mj:.4f}" for mj in (energy.total_mj, *energy.alternatives.values()))
            print(f"| {point.label} | {params} | {point.energy_mj} | {timesteps} | {energies} |")
    print("\n| our network | mJ by paper2602 | with pooling of currents | more |\n|---|---|---|---|")
    for benchmark, label in HEADLINES:
        found = trained(benchmark, [], GALLERY, None)
        (network,) = (each for each in found if not each.twin and each.label.startswith(f"{label},"))
        assert network.record.metrics is not None  # it was trained
        counted = network.record.metrics.energy_mj["horowitz45/paper2602"]
        more = E_MAC_PJ * pooled_currents(network.candidate.plan()) * 1e-9
        print(f"| {label} of {benchmark} | {counted:.4f} | {counted + more:.4f} | {more / counted:.1%} |")


if __name__ == "__main__":
    main()
