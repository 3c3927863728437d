"""A converted network's firing rates follow its twin's activations, and it classifies like the twin."""

from dataclasses import replace

import pytest
import torch
from helpers.designs import CLASSES, IMAGE, narrow, planned
from scipy.stats import spearmanr
from torch import Tensor

from snnkit.architecture.plan import Conv, Neurons, Plan, PlanError
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.families import FAMILIES
from snnkit.families.squeezenet import SqueezeNet
from snnkit.nn.network import Fired, Network
from snnkit.training.recalibration import recalibrate
from snnkit.weights.ann_to_snn import PERCENTILES, balance_thresholds, convert

INTEGRATOR = NeuronConfig(leak=1.0, reset_delay=False)


def images(count: int = 8) -> Tensor:
    return torch.randn(count, *IMAGE, generator=torch.Generator().manual_seed(0))


def shallow(**pool: object) -> Plan:
    """Return a stem and one Fire. Only average pooling is put between them, because the maximum of spikes, or of
    currents that change over time, differs from the maximum of rates."""
    gone = {f"fire{at}": {"keep": False} for at in range(3, 10)}
    pool = {"kind": "max", "kernel": 2, "stride": 2, "ceil": False, "after": ()} | pool
    return FAMILIES["squeezenet"].plan(SqueezeNet.model_validate({"pool": pool, **gone}), CLASSES, IMAGE)


def converted(plan: Plan, neuron: NeuronConfig, timesteps: int) -> tuple[Network, Network]:
    encoding = EncodingConfig(timesteps=timesteps)
    twin, network = Network(plan, None, encoding, seed=1), Network(plan, neuron, encoding, seed=2)
    recalibrate(twin, [images()])
    convert(network, twin, [images()])
    return network.eval(), twin.eval()


def activations(twin: Network) -> dict[str, Tensor]:
    """Return the activations that the layers of neurons must reproduce."""
    seen: dict[str, Tensor] = {}
    for conv in twin.plan.convs:
        twin.layer(conv).register_forward_hook(lambda _, __, given, name=conv.name: seen.__setitem__(name, given[0]))
    with torch.no_grad():
        twin(images())
    return seen


def rates(network: Network) -> dict[str, Tensor]:
    seen: dict[str, Tensor] = {}

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if fired is not None:
            seen[op.name] = fired.spikes().mean(0)

    with torch.no_grad():
        network(images(), observe=observe)
    return seen


def test_rates_follow_the_activations_of_the_twin() -> None:
    network, twin = converted(shallow(), INTEGRATOR, 64)
    fired, active = rates(network), activations(twin)
    for name in fired:
        order = spearmanr(fired[name].flatten(), active[name].flatten()).statistic
        assert order > 0.95, name


@pytest.mark.parametrize("threshold", [0.5, 1.0])
def test_rate_times_the_value_of_a_spike_is_the_activation(threshold: float) -> None:
    plan = shallow()
    network, twin = converted(plan, INTEGRATOR.model_copy(update={"threshold": threshold}), 64)
    found = balance_thresholds(twin, network.neuron, 64, [images()])  # type: ignore[arg-type]  # it is no twin
    fired, active = rates(network), activations(twin)
    for name, balance in found.items():
        wanted, error = active[name].clamp(max=balance.spike), fired[name] * balance.spike - active[name]
        assert error.square().mean() < 0.05 * wanted.square().mean(), name


@pytest.mark.parametrize("pool", [{}, {"kind": "avg", "of": "currents", "after": ("stem", "fire2")}], ids=str)
def test_converted_network_scores_as_its_twin(pool: dict[str, object]) -> None:
    network, twin = converted(shallow(**pool), INTEGRATOR, 64)
    with torch.no_grad():
        own, theirs = network(images()), twin(images())
    assert (own - theirs).abs().mean() < 0.1 * theirs.std()


def test_few_steps_with_a_leak_need_a_lower_threshold_than_many_without() -> None:
    twin = Network(shallow(), None, EncodingConfig(), seed=1)
    recalibrate(twin, [images()])
    few, many = (
        balance_thresholds(twin, neuron, steps, [images()])
        for neuron, steps in ((NeuronConfig(leak=0.5), 2), (INTEGRATOR, 64))
    )
    assert all(few[name].threshold < many[name].threshold for name in few)
    assert PERCENTILES[-1] == 99.9  # as published for many steps


@pytest.mark.parametrize("residual", ["spikes", "currents"])
@pytest.mark.parametrize("family", ["mobilenetv2", "mnasnet", "mixnet"])
def test_summed_layers_share_one_balance(family: str, residual: str) -> None:
    plan = planned(family, narrow(family, residual=residual))
    twin = Network(plan, None, EncodingConfig(), seed=1)
    found = balance_thresholds(twin, NeuronConfig(), 2, [images()])
    blocks = {found[f"stage3.block{at}.project"] for at in (1, 2, 3)}
    assert len(blocks) == 1


@pytest.mark.parametrize("neuron", [NeuronConfig(), NeuronConfig(leak=0.5, learn_leak=True)], ids=["fixed", "learning"])
@pytest.mark.parametrize("gate", ["spikes", "real"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_converts(family: str, gate: str, neuron: NeuronConfig) -> None:
    given = {"gate": gate} if "gate" in FAMILIES[family].design.model_fields else {}
    try:
        plan = planned(family, narrow(family, **given))
    except PlanError:  # too narrow for its kernels
        pytest.skip("does not build at this width")
    network, _ = converted(plan, neuron, 2)
    recalibrate(network, [images()])
    with torch.no_grad():
        assert network(images()).isfinite().all()
    assert {network.lif(op).current_neuron.leak for op in network.spiking_ops} == {neuron.leak}


def test_network_of_another_plan_is_refused() -> None:
    plan = shallow()
    other = replace(plan, ops=plan.ops[:-1])
    with pytest.raises(AssertionError, match="plan of its network"):
        convert(Network(plan, NeuronConfig(), EncodingConfig()), Network(other, None, EncodingConfig()), [images()])
