"""A network that is described both ways has the same figures: ours, snnTorch's, SpikingJelly's, NIR's, NeuroBench's."""

from dataclasses import fields

import pytest
import torch
from helpers.counting import awake, inputs
from helpers.designs import narrow, planned
from helpers.rebuilt import Rebuilt
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel
from torch import Tensor, nn

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import Plan
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.counting.count import ModelCounts, count
from snnkit.counting.neurons import reset
from snnkit.energy import estimate_all
from snnkit.energy.operations import LayerCounts, OperationCounts, count_operations
from snnkit.export.nir import nir_graph
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

NAMED = {"op"}
DERIVED = ("acs", "params", "dense_macs", "bias_adds", "neuron_additions", "input_mean", "firing_rate")
FIGURES = (*(each.name for each in fields(LayerCounts) if each.name not in NAMED), *DERIVED)
AT_ONCE = NeuronConfig(reset="zero", reset_delay=False)


def every_operation() -> Plan:
    """A small network with every operation of a plan."""
    build = PlanBuilder((3, 9, 9))
    stem = build.conv("stem", "input", 8, kernel=3, padding=1)
    pool = build.pool("pool", stem, "max", kernel=3, stride=2, ceil=True)
    left = build.conv("left", pool, 4, bias=False)
    right = build.conv("right", pool, 4, kernel=3, padding=1, groups=4)
    fire = build.shuffle("shuffle", build.concat("fire", (left, right)), 2)
    halves = build.slice("first", fire, 0, 4), build.slice("second", fire, 4, 4)
    doubled = build.sum("doubled", halves)
    gated = build.conv("gated", doubled, 8)
    squeezed = build.conv("reduce", build.mean("mean", gated), 2, batchnorm=False, means=True)
    gate = build.conv("expand", squeezed, 8, batchnorm=False, activation="sigmoid", spiking=False)
    body = build.conv("project", build.gate("gate", gated, gate), 8)
    depthwise = build.conv("depthwise", body, 8, kernel=3, padding=1, stride=2, groups=8)
    current = build.conv("current", build.pool("averaged", body, "avg", kernel=2, stride=2), 8, activation=None)
    both = build.sum("both", (build.neurons("neurons", current), depthwise))
    last = build.neurons("last", build.sum("total", (current, build.conv("other", both, 8, activation=None))))
    means = build.mean("means", build.dropout("dropout", last, 0.5))
    return build.scores("scores", build.conv("classifier", means, 5, batchnorm=False, activation=None))


def simple() -> Plan:
    """A network that NIR expresses without merged layers."""
    build = PlanBuilder((3, 8, 8))
    stem = build.conv("stem", "input", 6, kernel=3, padding=1)
    pooled = build.pool("pool", stem, "avg", kernel=2, stride=2)
    body = build.conv("body", pooled, 6, kernel=3, padding=1)
    more = build.conv("more", body, 6)
    doubled = build.sum("doubled", (body, more))
    return build.scores("scores", build.conv("classifier", doubled, 5, batchnorm=False, activation=None))


def assert_equal(ours: OperationCounts, theirs: ModelCounts, without: tuple[str, ...] = (), rules: str = "") -> None:
    assert [layer.op.outputs for layer in ours.layers if layer.neurons] == [
        layer.op.outputs for layer in theirs.layers if layer.neurons
    ]
    for own, other in zip(ours.layers, theirs.layers, strict=True):
        for name in set(FIGURES) - set(without):
            expected = getattr(own, name)
            wanted = expected if expected is None else pytest.approx(expected, rel=1e-12)
            assert getattr(other, name) == wanted, (own.name, name)
    prices = estimate_all(theirs)
    for key, energy in estimate_all(ours).items():
        if key.endswith(rules):
            assert prices[key].total_mj == pytest.approx(energy.total_mj, rel=1e-12), key
            assert prices[key].alternatives == pytest.approx(energy.alternatives, rel=1e-12), key
    assert theirs.uncounted == ()
    assert theirs.acs > 0 or not theirs.spiking


ENCODINGS = {
    "still": EncodingConfig(timesteps=3),
    "still, every step": EncodingConfig(timesteps=3, stem="every_step"),
    "frames": EncodingConfig(kind="frames", timesteps=2),
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_snntorch_model_has_our_figures(encoding: EncodingConfig) -> None:
    network = awake(Network(every_operation(), NeuronConfig(), encoding, seed=0))
    data = inputs(network, 4)
    theirs = count(Rebuilt(network).double(), [data[:3], data[3:]], network.timesteps, stem=encoding.stem)
    assert_equal(count_operations(network, [data]), theirs)


def test_spikingjelly_model_has_our_figures() -> None:
    pytest.importorskip("spikingjelly", reason="needs the extra `bench`")
    network = awake(Network(every_operation(), AT_ONCE, EncodingConfig(timesteps=3), seed=0))
    data = inputs(network, 4)
    assert_equal(count_operations(network, [data]), count(Rebuilt(network, "spikingjelly").double(), [data], 3))


def test_cnn_has_the_figures_of_our_twin() -> None:
    network = Network(every_operation(), None, EncodingConfig(), seed=0).double()
    data = inputs(network, 4)
    theirs = count(Rebuilt(network).double(), [data], 1)
    assert not theirs.spiking
    assert_equal(count_operations(network, [data]), theirs)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_our_figures_in_snntorch(family: str) -> None:
    network = awake(Network(planned(family, narrow(family)), NeuronConfig(), EncodingConfig(timesteps=2), seed=0))
    data = inputs(network, 4)
    assert_equal(count_operations(network, [data]), count(Rebuilt(network).double(), [data], 2))


def test_nir_graph_has_our_figures() -> None:
    """BatchNorm is folded in the file, so the parameters and the rule of the paper, which counts it, differ."""
    network = awake(Network(simple(), AT_ONCE, EncodingConfig(timesteps=3), seed=0)).float()
    data = inputs(network, 4).float()
    theirs = count(nir_graph(network), [data], 3)
    assert_equal(count_operations(network, [data]), theirs, without=("params",), rules="/exact")
    assert theirs.plan.params < network.plan.params


def test_network_of_ours_is_counted_by_its_plan() -> None:
    network = awake(Network(simple(), NeuronConfig(), EncodingConfig(timesteps=3), seed=0))
    data = inputs(network, 4)
    theirs = count(network, [(data, network(data).argmax(1))], 3)
    assert theirs.layers == count_operations(network, [data]).layers
    assert theirs.accuracy == 1


class Loop(nn.Module):
    """Run a model of one step over time, as its only caller."""

    def __init__(self, step: nn.Module, timesteps: int) -> None:
        super().__init__()
        self.step, self.timesteps = step, timesteps

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack([self.step(image) for _ in range(self.timesteps)])


def test_figures_equal_neurobench() -> None:
    """NeuroBench runs the first layer at every step. All spikes are binary here: its definition agrees with ours."""
    import snntorch

    torch.manual_seed(0)
    step = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, stride=2), snntorch.Leaky(beta=0.8, threshold=0.3, init_hidden=True),
        nn.Conv2d(6, 4, 3, groups=2), snntorch.Leaky(beta=0.8, threshold=0.1, init_hidden=True),
        nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip
    model, data = Loop(step, 4).eval(), torch.rand(6, 2, 8, 8) + 0.1
    counts = count(model, [data], 4, stem="every_step")
    assert counts.forward == "loop"
    theirs, metric = TorchModel(model), SynapticOperations()
    theirs.register_hooks()
    reset(step)
    with torch.no_grad():
        found = metric(theirs, theirs(data), (data, None))
    assert counts.macs == pytest.approx(found["Effective_MACs"])
    assert counts.acs == pytest.approx(found["Effective_ACs"])
    assert counts.acs > 0
