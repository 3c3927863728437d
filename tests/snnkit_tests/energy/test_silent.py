"""The counts of a silent network are a lower bound under every energy rule."""

from dataclasses import replace

import pytest
import torch
from helpers.counting import awake, inputs
from helpers.designs import built, examples
from hypothesis import given
from hypothesis import strategies as st

from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy import ENERGY_MODELS, PRESETS, Energy, EnergyConfig, estimate_energy
from snnkit.energy.operations import count_operations, silent_counts
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

NEVER = 1e9  # a threshold far above any current of these networks
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
def test_silent_counts_are_a_lower_bound_under_every_energy_rule(family: str) -> None:
    @examples(5)
    @given(pair=built(family), neuron=neurons, encoding=encodings, seed=st.integers(0, 99))
    def holds(pair, neuron, encoding, seed):
        network = awake(Network(pair[1], neuron, encoding, seed=seed))
        counted, least = count_operations(network, [inputs(network, 2)]), silent_counts(pair[1], neuron, encoding)
        assert counted.spikes > least.spikes == 0
        for pricing in PRICINGS:
            assert no_dearer(estimate_energy(least, pricing), estimate_energy(counted, pricing)), pricing

    holds()


@pytest.mark.parametrize("family", FAMILIES)
def test_network_that_cannot_fire_has_the_silent_counts(family: str) -> None:
    @examples(3)
    @given(pair=built(family), neuron=neurons, encoding=encodings)
    def holds(pair, neuron, encoding):
        network = awake(Network(pair[1], neuron, encoding))
        network.neuron = neuron.model_copy(update={"threshold": NEVER})
        shown = inputs(network, 2)
        if encoding.kind == "frames":  # and no event
            shown = torch.zeros_like(shown)
        least = silent_counts(pair[1], neuron, encoding)
        assert count_operations(network, [shown]) == replace(least, images=2)
        assert least.macs > 0 or encoding.kind == "frames"

    holds()


def test_every_model_and_preset_is_tested() -> None:
    assert {pricing.model for pricing in PRICINGS} == set(ENERGY_MODELS)
    assert {pricing.preset for pricing in PRICINGS} == set(PRESETS)
