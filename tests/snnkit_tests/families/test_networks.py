"""Networks of every family, spiking and as CNN twins: they run, learn, and can be stored and counted."""

import io
from math import prod

import pytest
import torch
from helpers.designs import CLASSES, IMAGE, built, costs, default, examples, modules, narrow, planned, without
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from snnkit.architecture.plan import Conv, Neurons, Plan, Sum
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy.operations import count_operations
from snnkit.families import FAMILIES
from snnkit.nn.network import Fired, Network, layer_key

T, B = 2, 3
every_family = pytest.mark.parametrize("family", FAMILIES)
either_way = pytest.mark.parametrize("spiking", [True, False], ids=["spiking", "twin"])


def network(plan: Plan, *, spiking: bool = True, seed: int = 0) -> Network:
    return Network(plan, NeuronConfig() if spiking else None, EncodingConfig(timesteps=T), seed=seed)


def images(count: int = B) -> Tensor:
    return torch.randn(count, *IMAGE, generator=torch.Generator().manual_seed(0))


@every_family
@either_way
def test_network_runs_without_any_removable_module(family: str, spiking: bool) -> None:
    design = narrow(family)
    for module in modules(family):
        design = without(design, module)
    assert network(planned(family, design), spiking=spiking)(images()).shape == (B, CLASSES)


@every_family
@either_way
@examples(6)
@given(data=st.data())
def test_network_learns(family: str, spiking: bool, data: st.DataObject) -> None:
    _, plan = data.draw(built(family))
    net = network(plan, spiking=spiking).double().train()  # one channel would silence layers in a row
    assert plan.params == sum(parameter.numel() for parameter in net.parameters())
    assert {name.split(".")[1] for name in net.state_dict()} == {layer_key(conv) for conv in plan.convs}
    logits = net(images().double())
    assert logits.shape == (B, CLASSES)
    assert logits.isfinite().all()
    torch.nn.functional.cross_entropy(logits, torch.arange(B)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@every_family
@either_way
@examples(3)
@given(data=st.data())
def test_stored_weights_give_the_same_outputs(family: str, spiking: bool, data: st.DataObject) -> None:
    _, plan = data.draw(built(family))
    net, again = network(plan, spiking=spiking, seed=1), network(plan, spiking=spiking, seed=2)
    net.train()(images())  # changes BatchNorm's statistics
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    again.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(again.eval()(images()), net.eval()(images()))


@every_family
@examples(8)
@given(data=st.data())
def test_convolutions_read_what_the_plan_says(family: str, data: st.DataObject) -> None:
    _, plan = data.draw(built(family))
    net, seen = network(plan), []

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        seen.append(op.name)
        if isinstance(op, Conv):
            assert incoming.shape[1:] == (B, *op.in_shape)
            assert len(incoming) == (1 if op.reads == "input" else T)
            assert consists_of(op, incoming), op
        assert (fired is None) == (isinstance(op, Conv) and not op.emits_spikes)
        if fired is not None:
            outgoing = fired.spikes()
            assert outgoing.sum() == fired.count
            assert outgoing.shape == (T, B, *op.out_shape)
            assert ((outgoing == 0) | (outgoing == 1)).all(), op

    net.train()(images())
    with torch.no_grad():
        net.eval()(images(), observe=observe)
    assert sorted(seen) == sorted(op.name for op in plan.ops if isinstance(op, Conv | Neurons))


def consists_of(conv: Conv, incoming: Tensor) -> bool:
    """Whether values are whole sums of spikes over their scale. A gate reduces a spike."""
    sums = incoming * conv.input_scale
    if conv.reads == "input":
        return torch.equal(incoming, images()[None])
    if conv.reads == "gated":
        return bool(((sums >= 0) & (sums <= conv.input_most)).all())
    off = (sums - sums.round()).abs().max()
    return bool(off < 1e-3 and sums.min() >= 0 and sums.max() < conv.input_most + 0.5)


@every_family
def test_only_stem_and_squeeze_read_real_numbers(family: str) -> None:
    plan = planned(family, default(family))
    assert [conv.name for conv in plan.convs if conv.reads == "input"] == [plan.convs[0].name]
    assert not [conv for conv in plan.convs if conv.reads == "gated"]  # gates are spikes by default
    assert all(conv.name.endswith(".reduce") for conv in plan.convs if conv.reads == "means")


@every_family
@either_way
@examples(3)
@given(data=st.data())
def test_counts_do_not_depend_on_the_batch_size(family: str, spiking: bool, data: st.DataObject) -> None:
    _, plan = data.draw(built(family))
    net, some = network(plan, spiking=spiking).double(), images().double()
    net.train()(some)
    at_once = count_operations(net, [some])
    assert count_operations(net, some.split(1)) == at_once
    assert count_operations(net, some.split(2)) == at_once
    assert {layer.name for layer in at_once.layers} == {
        op.name for op in plan.ops if costs(op) and not isinstance(op, Sum if spiking else Neurons)
    } | {op.name for op in plan.ops if isinstance(op, Sum) and op.currents and spiking}


@every_family
@either_way
@examples(3)
@given(data=st.data())
def test_counts_are_within_the_dense_ones(family: str, spiking: bool, data: st.DataObject) -> None:
    _, plan = data.draw(built(family))
    net = network(plan, spiking=spiking)
    net.train()(images())
    for layer in count_operations(net, [images()]).layers:
        if isinstance(layer.op, Conv):
            most = layer.evaluations * layer.dense_macs * layer.op.input_most
            assert 0 <= layer.macs + layer.synapses <= most
            assert layer.nonzero_macs is not None
            assert layer.nonzero_macs <= layer.macs
            assert 0 <= layer.spikes_in <= layer.timesteps * prod(layer.op.in_shape) * layer.op.input_most
        assert 0 <= layer.spikes_out <= layer.timesteps * layer.neurons
