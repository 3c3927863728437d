"""Counts against hand-computed cases, against a convolution of ones, and against NeuroBench 2.3 on SqueezeNet."""

import dataclasses
import subprocess
import sys

import pytest
import torch
from helpers.counting import awake, fired, images, neurobench, neurobench_layers
from torch import Tensor
from torch.nn import functional

from snnkit.architecture.plan import Conv, GlobalAverage, Plan
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy.operations import (
    OperationCounter,
    OperationCounts,
    count_operations,
    twin_counts,
    unpadded_macs,
)
from snnkit.families.squeezenet import SqueezeNet, plan
from snnkit.nn.network import Network, layer_key

FIRES = ("fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9")
T = 3


def conv(name: str, source: str, before: tuple[int, int, int], filters: int, kernel: int, **more) -> Conv:
    """Return the operation with the output shape that PyTorch computes."""
    stride, padding = more.get("stride", 1), more.get("padding", 0)
    sides = [(side + 2 * padding - kernel) // stride + 1 for side in before[1:]]
    reads = "input" if source == "input" else "spikes"
    return Conv(name, source, before, (filters, *sides), kernel, reads=reads, **more)


def closed(*convs: Conv) -> Plan:
    last = convs[-1]
    return Plan((*convs, GlobalAverage("scores", last.name, last.out_shape)), convs[0].in_shape, last.out_shape[0])


def count(probe: Conv, spikes: Tensor) -> OperationCounts:
    """Counts if ``spikes`` (T, B, C, H, W) enter ``probe``."""
    stem = conv("stem", "input", probe.in_shape, probe.in_shape[0], 1)
    network = Network(closed(stem, probe), NeuronConfig(), EncodingConfig(timesteps=spikes.shape[0]))
    counter = OperationCounter(network)
    counter(stem, torch.ones(1, *spikes.shape[1:]), fired(spikes))
    counter(probe, spikes, None)
    return counter.counts()


def spike_at(row: int, column: int, size: int = 3) -> Tensor:
    spikes = torch.zeros(1, 1, 1, size, size)
    spikes[..., row, column] = 1
    return spikes


def small_squeezenet(keep: tuple[str, ...], *, pool: str = "max", stem_stride: int = 1) -> Plan:
    narrow = {name: {"keep": name in keep, "squeeze": 4, "expand1x1": 6, "expand3x3": 8} for name in FIRES}
    design = SqueezeNet.model_validate(
        {"stem": {"width": 12, "stride": stem_stride}, "pool": {"kind": pool, "after": ["stem", "fire4"]}} | narrow
    )
    return plan(design, 10, (3, 16, 16))


def grouped() -> Plan:
    stem = conv("stem", "input", (3, 9, 9), 8, 3, padding=1)
    depthwise = conv("depthwise", "stem", stem.out_shape, 8, 3, stride=2, padding=1, groups=8)
    pointwise = conv("pointwise", "depthwise", depthwise.out_shape, 6, 1, groups=2)
    head = conv("head", "pointwise", pointwise.out_shape, 10, 1, batchnorm=False, activation=None)
    return closed(stem, depthwise, pointwise, head)


@pytest.mark.parametrize(
    ("stride", "padding", "corner", "edge", "centre"),
    [(1, 1, 4, 6, 9), (1, 0, 1, 1, 1), (2, 1, 1, 2, 4), (2, 0, 1, 1, 1)],
)
def test_spike_costs_one_accumulate_per_output_that_reads_it(stride, padding, corner, edge, centre):
    filters = 2
    probe = conv("probe", "stem", (1, 3, 3), filters, 3, stride=stride, padding=padding, activation=None)
    for (row, column), outputs in {(0, 0): corner, (0, 1): edge, (1, 1): centre}.items():
        assert count(probe, spike_at(row, column)).acs == outputs * filters


def test_position_that_the_stride_skips_costs_nothing():
    probe = conv("probe", "stem", (1, 3, 3), 5, 1, stride=2, activation=None)
    assert count(probe, spike_at(1, 1)).acs == 0
    assert count(probe, spike_at(2, 2)).acs == 5


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 1, 0), (3, 1, 1), (3, 2, 1), (3, 2, 0), (5, 3, 2)])
def test_count_equals_a_convolution_of_ones(groups, kernel, stride, padding):
    torch.manual_seed(kernel)
    spikes = (torch.rand(T, 5, 4, 9, 7) < 0.3).float()
    probe = conv("probe", "stem", (4, 9, 7), 8, kernel, stride=stride, padding=padding, groups=groups, activation=None)
    ones = torch.ones(8, 4 // groups, kernel, kernel)
    met = functional.conv2d(spikes.flatten(0, 1), ones, stride=stride, padding=padding, groups=groups).sum()
    assert count(probe, spikes).acs == float(met) / 5
    assert count(probe, torch.ones_like(spikes)).acs == T * unpadded_macs(probe)
    assert count(probe, torch.zeros_like(spikes)).acs == 0


def test_unpadded_macs_are_the_dense_macs_without_taps_in_the_padding():
    padded = conv("probe", "stem", (4, 8, 8), 6, 3, padding=1)
    assert (
        unpadded_macs(padded) == 4 * 6 * (8 * 3 - 2) ** 2
    )  # along a side: 3 taps at 8 positions, 2 of them in the padding
    whole = conv("probe", "stem", (4, 8, 8), 6, 3)
    assert unpadded_macs(whole) == whole.dense_macs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kernel", [2, 3])
def test_average_of_spikes_counts_each_of_them(kernel, dtype):
    torch.manual_seed(0)
    spikes = (torch.rand(T, 4, 3, 12, 12) < 0.4).to(dtype)
    pooled = functional.avg_pool2d(spikes.flatten(0, 1), kernel).unflatten(0, (T, 4))
    side = 12 // kernel
    probe = conv("probe", "stem", (3, side, side), 7, 1, activation=None, input_scale=kernel**2, input_most=kernel**2)
    layer = count(probe, pooled).layers[1]
    assert layer.spikes_in == float(spikes.float().sum()) / 4
    assert layer.acs == 7 * layer.spikes_in
    assert layer.input_mean == pytest.approx(float(spikes.float().mean()))


def test_two_spikes_in_one_window_are_two_accumulates():
    probe = conv("probe", "stem", (1, 1, 1), 1, 1, activation=None, input_scale=4)
    assert count(probe, torch.full((1, 1, 1, 1, 1), 2 / 4)).acs == 2


def test_bf16_sums_are_exact_beyond_float32():
    number = 2**24 + 3  # odd: float32 holds no odd number above 2**24
    probe = conv("probe", "stem", (1, 1, 1), 1, 1, activation=None)
    assert count(probe, torch.ones(1, 1, number, 1, 1, dtype=torch.bfloat16)).acs == number


def test_input_mean_is_taken_after_max_pooling():
    network = awake(Network(small_squeezenet(FIRES[:2]), NeuronConfig(), EncodingConfig(timesteps=T)))
    seen = {}
    with torch.no_grad():
        network(images(6, (3, 16, 16)), observe=lambda op, *tensors: seen.update({op.name: tensors}))
    layers = {layer.name: layer for layer in count_operations(network, [images(6, (3, 16, 16))]).layers}
    for name, (incoming, outgoing) in seen.items():
        if name != "stem":
            assert layers[name].input_mean == pytest.approx(float(incoming.mean()))
        if outgoing is not None:
            assert layers[name].firing_rate == pytest.approx(float(outgoing.spikes().mean()))
            assert layers[name].spikes_out == pytest.approx(float(outgoing.count) / 6)
    assert layers["fire2.squeeze"].input_mean > layers["stem"].firing_rate  # the largest of four
    assert layers["head"].firing_rate is None
    assert layers["head"].spikes_out == 0


def test_counts_do_not_depend_on_the_batch_size():
    network = awake(Network(small_squeezenet(FIRES, pool="avg"), NeuronConfig(), EncodingConfig(timesteps=T)))
    data = images(12, (3, 16, 16))
    at_once = count_operations(network, [data])
    assert at_once.acs > 0
    assert count_operations(network, data.split(1)) == at_once
    assert count_operations(network, data.split(5)) == at_once


def test_still_image_is_counted_once_or_every_step_in_the_stem():
    small = small_squeezenet(FIRES[:2])
    data = [images(2, (3, 16, 16))]
    once = count_operations(awake(Network(small, NeuronConfig(), EncodingConfig(timesteps=T))), data)
    every = count_operations(
        awake(Network(small, NeuronConfig(), EncodingConfig(timesteps=T, stem="every_step"))), data
    )
    assert once.macs == unpadded_macs(small.convs[0])
    assert every.macs == T * once.macs
    assert every.acs == once.acs


def test_neuron_ops_are_multiplications_by_the_leak():
    small = small_squeezenet(FIRES[:2])
    neurons = sum(op.outputs for op in small.convs if op.activation)
    data = [images(2, (3, 16, 16))]
    leaky = count_operations(Network(small, NeuronConfig(leak=0.5), EncodingConfig(timesteps=T)).double(), data)
    perfect = count_operations(Network(small, NeuronConfig(leak=1.0), EncodingConfig(timesteps=T)).double(), data)
    assert (leaky.neuron_ops, perfect.neuron_ops) == (T * neurons, 0)


def test_twin_counts_dense_and_nonzero_multiplications():
    small = small_squeezenet(FIRES[:3])
    twin = awake(Network(small, None, EncodingConfig(timesteps=T)))
    data = images(4, (3, 16, 16))
    data[:, :, 4:12] = 0  # the first layer is dense anyway
    ran = count_operations(twin, [data])
    assert ran.macs == twin_counts(small).macs == sum(unpadded_macs(op) for op in small.convs)
    assert ran.layers[0].nonzero_macs == ran.layers[0].macs
    assert all(layer.nonzero_macs < layer.macs for layer in ran.layers[1:])
    assert (ran.timesteps, ran.acs, ran.spikes, ran.firing_rate) == (1, 0, 0, 0)
    assert twin_counts(small).nonzero_macs is None


def test_all_neurons_firing_cost_the_twin_s_operations_each_step():
    small = small_squeezenet(FIRES)
    network = Network(small, NeuronConfig(leak=0, threshold=1.0), EncodingConfig(timesteps=T)).eval()
    with torch.no_grad():
        for op in small.convs:
            layer = network.layers[layer_key(op)]
            layer.conv.weight.zero_()
            layer.conv.bias.fill_(2.5)  # above the threshold at each step, also after the reset of the step before
    activity = count_operations(network, [torch.randn(3, 3, 16, 16)])
    assert activity.firing_rate == 1
    stem = activity.layers[0].macs
    assert activity.acs == T * (twin_counts(small).macs - stem)


def test_counting_restores_the_mode_of_every_module():
    network = Network(small_squeezenet(FIRES[:2]), NeuronConfig(), EncodingConfig(timesteps=T)).train()
    network.layers["stem"].norm.eval()
    modes = {name: module.training for name, module in network.named_modules()}
    statistics = network.layers["fire2_squeeze"].norm.running_mean.clone()
    count_operations(network, [torch.randn(2, 3, 16, 16)])
    assert {name: module.training for name, module in network.named_modules()} == modes
    assert torch.equal(network.layers["fire2_squeeze"].norm.running_mean, statistics)


def test_counting_on_no_image_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        count_operations(Network(small_squeezenet(FIRES[:2]), NeuronConfig(), EncodingConfig()), [])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_counts_on_cuda_equal_those_on_the_cpu():
    network = awake(Network(small_squeezenet(FIRES[:4]), NeuronConfig(), EncodingConfig(timesteps=T)))
    data = images(8, (3, 16, 16))
    on_cpu = count_operations(network, [data])
    assert count_operations(network.cuda(), [data]) == on_cpu


def test_counts_and_prices_load_without_torch():
    program = "import sys, snnkit.energy.operations, snnkit.energy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


PLANS = {
    "all eight": small_squeezenet(FIRES),
    "4 6 8 9": small_squeezenet(("fire4", "fire6", "fire8", "fire9")),
    "2 8": small_squeezenet(("fire2", "fire8")),
    "none": small_squeezenet(()),
    "stride 2": small_squeezenet(("fire3", "fire5"), stem_stride=2),
    "grouped": grouped(),
}


@pytest.mark.parametrize("stem", ["once", "every_step"])
@pytest.mark.parametrize("name", PLANS)
def test_counts_equal_neurobench(name, stem):
    network = awake(Network(PLANS[name], NeuronConfig(), EncodingConfig(timesteps=T, stem=stem)))
    data = images(4, network.plan.in_shape)
    ours, theirs = count_operations(network, [data]), neurobench(network, data)
    stem_macs = ours.layers[0].macs // ours.layers[0].evaluations  # evaluated once, but charged per evaluation
    assert ours.layers[0].evaluations == (1 if stem == "once" else T)
    assert (stem_macs, ours.acs) == (theirs["Effective_MACs"], theirs["Effective_ACs"])
    assert min(layer.spikes_in for layer in ours.layers[1:]) > 0
    assert stem_macs + T * sum(unpadded_macs(layer.op) for layer in ours.layers[1:]) == theirs["Dense"]


def test_each_layer_equals_neurobench():
    network = awake(Network(PLANS["all eight"], NeuronConfig(), EncodingConfig(timesteps=T)))
    data = images(4, (3, 16, 16))
    theirs = neurobench_layers(network, data)
    assert {layer.name: layer.macs + layer.acs for layer in count_operations(network, [data]).layers} == theirs


def test_behind_average_pooling_neurobench_counts_a_sum_of_spikes_as_one():
    network = awake(Network(small_squeezenet(FIRES, pool="avg"), NeuronConfig(), EncodingConfig(timesteps=T)))
    data = images(4, (3, 16, 16))
    theirs = neurobench_layers(network, data)
    layers = count_operations(network, [data]).layers
    assert {layer.op.input_scale for layer in layers} == {1, 4}
    for layer in layers:
        if layer.op.input_scale == 1:
            assert layer.macs + layer.acs == theirs[layer.name]
        else:
            assert theirs[layer.name] < layer.acs <= 4 * theirs[layer.name]


def test_twin_equals_neurobench():
    twin = awake(Network(PLANS["all eight"], None, EncodingConfig()))
    data = images(4, (3, 16, 16))
    ours, theirs = count_operations(twin, [data]), neurobench(twin, data)
    assert (ours.nonzero_macs, ours.macs) == (theirs["Effective_MACs"], theirs["Dense"])
    assert theirs["Effective_ACs"] == 0


def test_counts_are_frozen_values():
    twin = twin_counts(PLANS["none"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        twin.images = 1
