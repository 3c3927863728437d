"""Contradictory figures are found and marked."""

from dataclasses import replace

import pytest
import torch
from helpers.counting import awake, inputs
from helpers.designs import built, examples, narrow, planned
from helpers.small_trials import job_for, record_of
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from search.trial.initialization import trained_network
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy import Energy, estimate_all
from snnkit.energy.consistency import Contradiction, crosscheck
from snnkit.energy.operations import OperationCounter, OperationCounts, count_operations
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

ENCODINGS = {
    "T = 1": EncodingConfig(timesteps=1),
    "T = 3": EncodingConfig(timesteps=3),
    "stem each step": EncodingConfig(timesteps=2, stem="every_step"),
    "frames": EncodingConfig(kind="frames", timesteps=2),
}


def network_of(family: str, encoding: EncodingConfig, *, twin: bool = False) -> Network:
    network = Network(planned(family, narrow(family)), None if twin else NeuronConfig(), encoding, seed=0)
    return network.double() if twin else awake(network)


def check(
    network: Network, activity: OperationCounts, prices: dict[str, Energy] | None = None, **shares: float
) -> None:
    images = inputs(network, 1)
    crosscheck(network, images, activity, prices or estimate_all(activity), shares or {"accuracy": 0.5})


@pytest.fixture
def network() -> Network:
    return network_of("squeezenet", EncodingConfig(timesteps=2))


@pytest.fixture
def activity(network) -> OperationCounts:
    return count_operations(network, [inputs(network, 4)])


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_figures_of_every_family_agree(family, encoding):
    network = network_of(family, encoding)
    activity = count_operations(network, [inputs(network, 4)])
    assert activity.acs > 0
    check(network, activity)


@pytest.mark.parametrize("family", FAMILIES)
def test_figures_of_every_twin_agree(family):
    network = network_of(family, EncodingConfig(timesteps=2), twin=True)
    check(network, count_operations(network, [inputs(network, 4)]))


@pytest.mark.parametrize("family", FAMILIES)
@examples(6)
@given(data=st.data())
def test_network_whose_neurons_all_fire_is_within_the_bounds(family, data):
    """Sums of spikes reach their largest values then: a residual sum of spikes holds more than one spike."""
    plan = data.draw(built(family))[1]
    network = Network(plan, NeuronConfig(), EncodingConfig(timesteps=2), seed=0).double().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.constant_(layer.bias, 1e6)
    activity = count_operations(network, [inputs(network, 2)])
    assert any(layer.spikes_out == layer.neurons * 2 for layer in activity.layers)
    check(network, activity)


def changed(activity: OperationCounts, name: str, factor: float) -> OperationCounts:
    """The counts with ``name`` of the last convolution increased."""
    at = max(n for n, layer in enumerate(activity.layers) if getattr(layer, name) > 0)
    layer = activity.layers[at]
    wrong = replace(layer, **{name: getattr(layer, name) * factor})
    return replace(activity, layers=(*activity.layers[:at], wrong, *activity.layers[at + 1 :]))


@pytest.mark.parametrize(("name", "said"), [("synapses", "accumulates of"), ("spikes_out", "spikes of")])
@pytest.mark.parametrize("factor", [-1, 1e6])
def test_impossible_counts_are_refused(network, activity, name, said, factor):
    with pytest.raises(Contradiction, match=f"{said} .* not between 0 and"):
        check(network, changed(activity, name, factor))


def test_parameters_missing_from_the_plan_are_refused(network, activity):
    network.register_parameter("stray", nn.Parameter(torch.zeros(7)))
    with pytest.raises(Contradiction, match=r"parameters: [\d,]+ by the plan, [\d,]+ in the network"):
        check(network, activity)


def test_operations_missing_from_the_plan_are_refused(network, activity, monkeypatch):
    monkeypatch.setattr(Network, "training_macs", property(lambda self: 3000))
    with pytest.raises(Contradiction, match=r"dense MACs of a pass: 1,000 by the plan"):
        check(network, activity)


@pytest.mark.parametrize("what", ["layers", "parts"])
def test_energy_that_differs_from_its_sum_is_refused(network, activity, what):
    prices = estimate_all(activity)
    energy = prices["horowitz45/exact"]
    terms = getattr(energy, what)
    largest = max(terms, key=terms.get)
    prices["horowitz45/exact"] = replace(energy, **{what: terms | {largest: 1.01 * terms[largest]}})
    with pytest.raises(Contradiction, match=f"energy by horowitz45/exact: .* by {what}"):
        check(network, activity, prices)


def test_accuracy_outside_0_to_1_is_refused(network, activity):
    with pytest.raises(Contradiction, match="accuracy is 81"):
        check(network, activity, accuracy=81)


def test_error_lists_every_disagreement(network, activity):
    with pytest.raises(Contradiction, match=r"spikes of .*; accuracy is 2"):
        check(network, changed(activity, "spikes_out", 1e6), accuracy=2)


def test_trial_whose_figures_contradict_each_other_is_kept_and_marked(tmp_path, monkeypatch):
    counts = OperationCounter.counts
    monkeypatch.setattr(OperationCounter, "counts", lambda counter: changed(counts(counter), "spikes_out", 100))
    job = job_for(tmp_path)
    record = record_of(job)
    assert record.status == "complete"
    assert record.doubts[0].startswith("spikes of")
    assert record.doubt.startswith("its figures contradict each other: spikes of")
    assert record.metrics is not None
    assert record.layers
    trained_network(job.candidate, job.files.weights)


def test_weights_are_kept_when_the_measurement_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(OperationCounter, "counts", lambda counter: 1 / 0)
    job = job_for(tmp_path)
    record = record_of(job)
    assert record.status == "failed"
    assert record.reason.startswith("ZeroDivisionError")
    trained_network(job.candidate, job.files.weights)
