"""What a network does when no neuron fires: the least that it can do, by every price."""

from dataclasses import replace

import pytest
import torch
from helpers.counting import awake, inputs
from helpers.designs import built, examples
from hypothesis import given
from hypothesis import strategies as st

from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy import ENERGY_MODELS, PRESETS, Energy, EnergyConfig, estimate_energy
from snnkit.energy.operations import count_operations, silent
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

NEVER = 1e9  # a threshold that no current of these networks comes near
PRICINGS = [
    EnergyConfig.model_validate({"model": model, "preset": preset, "sram": sram})
    for model in ENERGY_MODELS
    for preset in PRESETS
    for sram in ("horowitz64", "lemaire")
    if preset == "exact" or model == "horowitz45"
]
neurons = st.builds(NeuronConfig, leak=st.sampled_from([0.0, 0.5, 1.0]), initial_rate=st.sampled_from([0.1, 0.5]))
encodings = st.builds(
    EncodingConfig,
    kind=st.sampled_from(["direct", "frames"]),
    timesteps=st.integers(1, 3),
    stem=st.sampled_from(["once", "every_step"]),
)


def no_dearer(least: Energy, other: Energy) -> bool:
    return least.total_mj <= other.total_mj and all(least.layers[name] <= other.layers[name] for name in other.layers)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_network_does_less_than_the_silent_one_by_any_price(family: str) -> None:
    @examples(5)
    @given(pair=built(family), neuron=neurons, encoding=encodings, seed=st.integers(0, 99))
    def holds(pair, neuron, encoding, seed):
        network = awake(Network(pair[1], neuron, encoding, seed=seed))
        counted, least = count_operations(network, [inputs(network, 2)]), silent(pair[1], neuron, encoding)
        assert counted.spikes > least.spikes == 0
        for pricing in PRICINGS:
            assert no_dearer(estimate_energy(least, pricing), estimate_energy(counted, pricing)), pricing

    holds()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_whose_neurons_cannot_fire_does_just_that(family: str) -> None:
    @examples(3)
    @given(pair=built(family), neuron=neurons, encoding=encodings)
    def holds(pair, neuron, encoding):
        network = awake(Network(pair[1], neuron, encoding))
        network.neuron = neuron.model_copy(update={"threshold": NEVER})
        shown = inputs(network, 2)
        if encoding.kind == "frames":  # no event either
            shown = torch.zeros_like(shown)
        least = silent(pair[1], neuron, encoding)
        assert count_operations(network, [shown]) == replace(least, images=2)
        assert least.macs > 0 or encoding.kind == "frames"

    holds()


def test_all_prices_are_tried() -> None:
    assert {pricing.model for pricing in PRICINGS} == set(ENERGY_MODELS)
    assert {pricing.preset for pricing in PRICINGS} == set(PRESETS)
