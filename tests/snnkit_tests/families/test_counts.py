"""Counts of every family against NeuroBench 2.3 and against convolutions of ones."""

from functools import cache
from math import prod

import pytest
import torch
from helpers.counting import awake, inputs, neurobench, neurobench_layers
from helpers.designs import changed, leaves, narrow
from torch import Tensor
from torch.nn import functional

from snnkit.architecture.plan import Conv, Neurons, Pool, Sum
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy.operations import LayerCounts, OperationCounts, count_operations, unpadded_macs
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

T, B = 3, 4
BINARY = {"residual": "currents", "gate": "spikes"}
STYLES = {"binary": BINARY, "sums": {"residual": "spikes"}, "gated": {"gate": "real"}}
CASES = [
    (family, style)
    for family, entry in FAMILIES.items()
    for style, said in STYLES.items()
    if style == "binary" or said.keys() <= entry.design.model_fields.keys()
]
every_case = pytest.mark.parametrize(("family", "style"), CASES)


@cache
def fired(family: str, style: str, size: int, kind: str = "direct", *, spiking: bool = True) -> Network:
    """A narrow network with as many squeeze-excites as possible. It reduces 8x8 images to 1x1."""
    said, fields = BINARY | STYLES[style], FAMILIES[family].design.model_fields
    design = narrow(family, **{name: word for name, word in said.items() if name in fields})
    for path, _, _ in leaves(design):
        design = changed(design, path, 0.5) if path[-1] == "squeeze_excite" else design
    plan = FAMILIES[family].plan(design, 10, (3, size, size))
    encoding = EncodingConfig.model_validate({"kind": kind, "timesteps": T})
    return awake(Network(plan, NeuronConfig() if spiking else None, encoding))


def convs(activity: OperationCounts) -> dict[str, LayerCounts]:
    layers = {layer.name: layer for layer in activity.layers if isinstance(layer.op, Conv)}
    assert [layer.op for layer in layers.values()] == list(activity.plan.convs)
    return layers


def read(network: Network, data: Tensor) -> dict[str, Tensor]:
    """The input of each convolution, (T or 1, B, C, H, W); sums of spikes as whole numbers."""
    seen: dict[str, Tensor] = {}

    def observe(op: Conv | Neurons, incoming: Tensor, _: Tensor | None) -> None:
        if isinstance(op, Conv):
            seen[op.name] = (incoming * op.input_scale).round() if op.reads in ("spikes", "means") else incoming

    with torch.no_grad():
        network(data, observe=observe)
    return seen


def met(conv: Conv, values: Tensor) -> float:
    """Sum of ``values`` times their fan-out, per image."""
    ones = values.new_ones(conv.out_shape[0], conv.in_shape[0] // conv.groups, conv.kernel, conv.kernel)
    return float(
        functional.conv2d(values.flatten(0, 1), ones, None, conv.stride, conv.padding, groups=conv.groups).sum()
    ) / values.shape[1]  # fmt: skip


def by_neurobench(layer: LayerCounts) -> float:
    """The same for NeuroBench, which counts nonzero products."""
    return layer.synapses + (layer.nonzero_macs or 0)


def dense(activity: OperationCounts) -> int:
    """Dense operations. The stem runs once on a still image but is charged per evaluation."""
    return sum(unpadded_macs(layer.op) * layer.evaluations for layer in activity.layers if isinstance(layer.op, Conv))


@pytest.mark.parametrize("family", FAMILIES)
def test_all_figures_equal_neurobench_if_inputs_are_binary(family: str) -> None:
    network = fired(family, "binary", 8)
    data = inputs(network, B)
    ours, theirs = count_operations(network, [data]), neurobench(network, data)
    accumulates = [layer for layer in convs(ours).values() if layer.op.reads == "spikes" or is_binary_mean(layer)]
    multiplies = [layer for layer in convs(ours).values() if layer not in accumulates]
    assert {layer.op.input_most for layer in accumulates} == {1}
    assert sum(map(by_neurobench, accumulates)) == theirs["Effective_ACs"]
    assert sum(map(by_neurobench, multiplies)) == theirs["Effective_MACs"]
    assert dense(ours) == theirs["Dense"]
    silent = [layer.name for layer in accumulates if not layer.spikes_in]
    assert len(silent) < len(accumulates) / 10, silent
    assert {layer.name: by_neurobench(layer) for layer in convs(ours).values()} == neurobench_layers(network, data)


def is_binary_mean(layer: LayerCounts) -> bool:
    """A mean over one position is a real number for us, but 0 or 1 for NeuroBench."""
    return layer.op.reads == "means" and layer.op.input_scale == 1


@every_case
def test_each_layer_equals_a_convolution_of_ones_and_neurobench(family: str, style: str) -> None:
    network = fired(family, style, 16)
    data = inputs(network, B)
    ours, theirs, seen = convs(count_operations(network, [data])), neurobench_layers(network, data), read(network, data)
    for name, layer in ours.items():
        values, conv = seen[name], layer.op
        assert met(conv, (values != 0).double()) == theirs[name]
        if conv.reads == "spikes":
            assert (layer.macs, layer.nonzero_macs, layer.synapses) == (0, 0, met(conv, values))
            assert values.max() <= conv.input_most
            twice = (values - (values != 0).double()).clamp(min=0)  # all spikes of each sum except the first
            assert layer.synapses - theirs[name] == met(conv, twice)
            assert layer.spikes_in == float(values.sum()) / B
            assert conv.input_most > 1 or layer.synapses == theirs[name]
        else:
            assert layer.synapses == 0
            assert layer.nonzero_macs == theirs[name]
            assert layer.macs == (theirs[name] if conv.reads == "gated" else layer.evaluations * unpadded_macs(conv))
    assert {conv.reads for conv in network.plan.convs} >= ({"gated", "means"} if style == "gated" else {"input"})


@every_case
def test_totals_equal_neurobench_except_for_sums(family: str, style: str) -> None:
    network = fired(family, style, 16)
    data = inputs(network, B)
    ours, theirs, seen = count_operations(network, [data]), neurobench(network, data), read(network, data)
    more = sum(met(conv, (seen[conv.name] - 1).clamp(min=0)) for conv in network.plan.convs if conv.reads == "spikes")
    assert ours.nonzero_macs is not None
    synapses = sum(layer.synapses for layer in ours.layers)
    assert ours.nonzero_macs + synapses - more == theirs["Effective_MACs"] + theirs["Effective_ACs"]
    assert dense(ours) == theirs["Dense"]
    assert (more > 0) == any(conv.input_most > 1 for conv in network.plan.convs)


@pytest.mark.parametrize("family", [family for family, style in CASES if style == "sums"])
def test_a_value_of_two_moves_a_layer_from_neurobench_s_accumulates_to_its_macs(family: str) -> None:
    """docs/space/energy.md quotes these ratios: ours count two spikes as two ACs, NeuroBench the layer as MACs."""
    network = fired(family, "sums", 16)
    data = inputs(network, B)
    ours, theirs = count_operations(network, [data]), neurobench(network, data)
    synapses = sum(layer.synapses for layer in ours.layers)
    assert 2 < synapses / theirs["Effective_ACs"] < 3.2
    assert ours.nonzero_macs is not None
    assert 1.1 < (synapses + ours.nonzero_macs) / (theirs["Effective_ACs"] + theirs["Effective_MACs"]) < 1.2


@every_case
def test_additions_occur_in_sums_and_means(family: str, style: str) -> None:
    network = fired(family, style, 16)
    data = inputs(network, B)
    ours, seen = count_operations(network, [data]), read(network, data)
    sums = [op for op in network.plan.ops if isinstance(op, Sum)]
    expected = {op.name: T * prod(op.out_shape) for op in sums if style != "sums"}
    expected |= {op.name: float(seen[op.name].sum()) / B for op in network.plan.convs if op.reads == "means"}
    assert {layer.name: layer.additions for layer in ours.layers if layer.additions} == expected
    assert ours.acs == sum(layer.synapses for layer in ours.layers) + sum(expected.values())
    pools = {op.name: op for op in network.plan.ops if isinstance(op, Pool)}
    assert all(pools[op.source].kind == "avg" for op in network.plan.convs if op.reads == "means")


@every_case
def test_twin_equals_neurobench(family: str, style: str) -> None:
    network = fired(family, style, 16, spiking=False)
    data = inputs(network, B)
    ours, theirs = count_operations(network, [data]), neurobench(network, data)
    assert (ours.nonzero_macs, ours.macs, 0) == (theirs["Effective_MACs"], theirs["Dense"], theirs["Effective_ACs"])
    assert {name: layer.nonzero_macs for name, layer in convs(ours).items()} == neurobench_layers(network, data)
    sums = {op.name: prod(op.out_shape) for op in network.plan.ops if isinstance(op, Sum)}
    assert {layer.name: layer.additions for layer in ours.layers if layer.additions} == sums
    assert ours.acs == sum(sums.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_of_events_are_accumulated_step_by_step(family: str) -> None:
    network = fired(family, "binary", 8, "frames")
    data = inputs(network, B)
    ours, theirs, seen = count_operations(network, [data]), neurobench(network, data), read(network, data)
    stem = ours.layers[0]
    assert seen[stem.name].shape[0] == stem.evaluations == T  # no evaluation is shared between steps
    assert (stem.dense, stem.macs) == (False, 0)
    assert stem.synapses == met(stem.op, data.transpose(0, 1)) > 0
    assert stem.spikes_in == float(data.sum()) / B
    assert {name: by_neurobench(layer) for name, layer in convs(ours).items()} == neurobench_layers(network, data)
    assert dense(ours) == theirs["Dense"]
    accumulates = [layer for layer in convs(ours).values() if layer.op.reads != "means" or is_binary_mean(layer)]
    assert sum(map(by_neurobench, accumulates)) == theirs["Effective_ACs"]
    assert ours.macs == sum(layer.macs for layer in ours.layers if layer.op.name.endswith(".reduce"))


@pytest.mark.parametrize("family", FAMILIES)
def test_twin_reads_the_mean_of_the_frames(family: str) -> None:
    network = fired(family, "binary", 8, "frames", spiking=False)
    data = inputs(network, B)
    seen = read(network, data)
    assert torch.equal(seen[network.plan.convs[0].name], data.mean(dim=1)[None])
    ours, theirs = count_operations(network, [data]), neurobench_layers(network, data)
    assert ours.layers[0].macs == ours.layers[0].nonzero_macs == unpadded_macs(network.plan.convs[0])
    assert [layer.nonzero_macs for layer in ours.layers[1:] if isinstance(layer.op, Conv)] == list(theirs.values())[1:]
