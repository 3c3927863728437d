"""Counts of residual sums, neurons, squeeze-excites and frames, against hand-computed cases."""

import torch
from helpers.counting import fired
from torch import Tensor

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import Plan
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy import consistency
from snnkit.energy.operations import LayerCounts, OperationCounter, twin_counts
from snnkit.nn.network import Network


def seen(plan: Plan, *observations: tuple[str, Tensor, Tensor | None]) -> dict[str, LayerCounts]:
    """Counts if these tensors, (T, B, C, H, W), enter and leave the operations of ``plan``."""
    ops = {op.name: op for op in plan.ops}
    counter = OperationCounter(Network(plan, NeuronConfig(leak=0.5), EncodingConfig(timesteps=2)))
    for name, incoming, outgoing in observations:
        counter(ops[name], incoming, None if outgoing is None else fired(outgoing))
    return {layer.name: layer for layer in counter.counts().layers}


def spikes_of(*steps: list[int]) -> Tensor:
    """One image of 1x1 with one channel per number: (T, 1, C, 1, 1)."""
    return torch.tensor(steps, dtype=torch.float32)[:, None, :, None, None]


IMAGE = torch.ones(1, 1, 1, 1, 1)


def test_sum_of_currents_and_its_neurons_by_hand():
    build = PlanBuilder((1, 1, 1))
    stem = build.conv("stem", "input", 3, activation="identity")
    left, right = (build.conv(name, stem, 4, activation=None) for name in ("left", "right"))
    fires = build.neurons("fires", build.sum("sum", (left, right, left)))
    plan = build.scores("scores", build.conv("head", fires, 5, activation=None))
    stem_out, fires_out = spikes_of([1, 1, 0], [0, 1, 0]), spikes_of([1, 0, 0, 0], [1, 1, 1, 0])
    current = torch.ones(2, 1, 4, 1, 1)
    layers = seen(
        plan, ("stem", IMAGE, stem_out), ("left", stem_out, None), ("right", stem_out, None),
        ("fires", current, fires_out), ("head", fires_out, None),
    )  # fmt: skip
    assert list(layers) == ["stem", "left", "right", "sum", "fires", "head"]
    assert layers["left"].synapses == layers["right"].synapses == 3 * 4  # 3 spikes, 4 weights each
    total = layers["sum"]
    assert (total.additions, total.acs, total.macs, total.neurons) == (2 * 4 * 2, 16, 0, 0)  # T x elements x (3 - 1)
    neurons = layers["fires"]
    assert (neurons.neurons, neurons.spikes_out, neurons.neuron_ops) == (4, 4, 2 * 4)
    assert (neurons.acs, neurons.macs, neurons.firing_rate, neurons.input_mean) == (0, 0, 4 / 8, None)
    assert (layers["head"].synapses, layers["head"].spikes_in) == (4 * 5, 4)
    assert [layer.additions for layer in twin_counts(plan).layers if layer.name == "sum"] == [4 * 2]


def test_sum_of_spikes_is_free_and_read_with_multiplicity():
    build = PlanBuilder((1, 1, 1))
    stem = build.conv("stem", "input", 3, activation="identity")
    total = build.sum("sum", (stem, build.conv("project", stem, 3, activation="identity")))
    plan = build.scores("scores", build.conv("head", total, 5, activation=None))
    stem_out, project = spikes_of([1, 1, 0], [0, 1, 0]), spikes_of([1, 0, 0], [0, 1, 1])
    layers = seen(
        plan, ("stem", IMAGE, stem_out), ("project", stem_out, project), ("head", stem_out + project, None)
    )  # fmt: skip
    assert list(layers) == ["stem", "project", "head"]
    assert plan.convs[-1].input_most == 2
    assert (layers["head"].spikes_in, layers["head"].synapses) == (6, 6 * 5)
    assert layers["project"].spikes_out == 3


def squeeze_excite(*, spiking: bool) -> Plan:
    """Two channels of 2x2 are squeezed to 3, excited, gated and projected to 4."""
    build = PlanBuilder((1, 2, 2))
    stem = build.conv("stem", "input", 2, activation="identity")
    reduce = build.conv("reduce", build.mean("mean", stem), 3, means=True)
    excite = build.conv("excite", reduce, 2, activation="sigmoid", spiking=spiking)
    return build.scores("scores", build.conv("project", build.gate("gate", stem, excite), 4, activation=None))


STEM_OUT = torch.tensor([[[1.0, 1], [0, 0]], [[1, 0], [0, 0]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]]).view(2, 1, 2, 2, 2)
MEANS = STEM_OUT.mean((3, 4), keepdim=True)  # 2/4, 1/4 at the first step, 0 and 4/4 at the second
REDUCED = spikes_of([1, 0, 0], [1, 1, 0])


def test_squeeze_with_a_real_gate_by_hand():
    gates = torch.tensor([[0.5, 0.25], [0.5, 0.75]]).view(2, 1, 2, 1, 1)
    layers = seen(
        squeeze_excite(spiking=False), ("stem", torch.ones(1, 1, 1, 2, 2), STEM_OUT), ("reduce", MEANS, REDUCED),
        ("excite", REDUCED, None), ("project", STEM_OUT * gates, None),
    )  # fmt: skip
    reduce, excite, project = layers["reduce"], layers["excite"], layers["project"]
    assert (reduce.macs, reduce.nonzero_macs) == (2 * 2 * 3, 3 * 3)  # T x channels x filters; one mean of four is 0
    assert (reduce.additions, reduce.spikes_in, reduce.synapses) == (7, 7, 0)  # each spike is added to its mean
    assert (reduce.neurons, reduce.spikes_out, reduce.input_mean) == (3, 3, None)
    assert (excite.synapses, excite.macs, excite.neurons) == (3 * 2, 0, 0)
    assert (project.macs, project.nonzero_macs, project.synapses) == (7 * 4, 7 * 4, 0)  # one per spike and weight
    assert project.input_mean == 7 / (2 * 2 * 4)


def test_squeeze_with_a_gate_of_spikes_by_hand():
    gates = spikes_of([1, 0], [1, 1])
    layers = seen(
        squeeze_excite(spiking=True), ("stem", torch.ones(1, 1, 1, 2, 2), STEM_OUT), ("reduce", MEANS, REDUCED),
        ("excite", REDUCED, gates), ("project", STEM_OUT * gates, None),
    )  # fmt: skip
    assert (layers["excite"].neurons, layers["excite"].spikes_out) == (2, 3)
    assert (layers["project"].macs, layers["project"].synapses) == (0, 6 * 4)  # the gate blocks one of seven spikes


def test_events_of_a_frame_are_accumulated_one_by_one():
    build = PlanBuilder((2, 1, 1))
    plan = build.scores("scores", build.conv("stem", "input", 3, activation=None))
    counter = OperationCounter(Network(plan, NeuronConfig(), EncodingConfig(kind="frames", timesteps=2)))
    counter(plan.convs[0], spikes_of([1, 0], [3, 1]), None)  # three events in one pixel count as three
    (stem,) = counter.counts().layers
    assert (stem.synapses, stem.macs, stem.dense, stem.evaluations) == (5 * 3, 0, False, 2)
    counter(plan.convs[0], spikes_of([255, 255], [255, 255]), None)  # the most that a frame may hold
    (stem,) = counter.counts().layers
    assert stem.synapses > stem.dense_macs * 2
    assert list(consistency._counts(stem, timesteps=2)) == []
