"""Energy models by description: the formula, its words, and what is refused."""

import pytest
from pydantic import ValidationError

from snnkit.architecture.builder import PlanBuilder
from snnkit.energy import EnergyConfig, estimate_all, estimate_energy
from snnkit.energy.operations import LayerCounts, OperationCounts

CHIP = {
    "ac_pj": 2.0,
    "mac_pj": 5.0,
    "neuron_pj": 3.0,
    "sram_pj_per_byte": 0.5,
    "bits": 16,
    "static_uw": 7.0,
    "gops": 2.0,
}


def counts() -> OperationCounts:
    build = PlanBuilder((1, 8, 8))
    stem = build.conv("stem", "input", 4, kernel=3, stride=2, padding=1, bias=False)
    plan = build.scores("scores", build.conv("head", stem, 3, batchnorm=False, activation=None))
    first, last = plan.convs
    layers = (
        LayerCounts(first, timesteps=2, evaluations=1, dense=True, macs=1000, spikes_out=30, neurons=64),
        LayerCounts(last, timesteps=2, evaluations=2, synapses=90, additions=10, spikes_in=30),
    )
    return OperationCounts(plan, spiking=True, timesteps=2, images=1, layers=layers)


def test_energy_is_the_documented_sum() -> None:
    config = EnergyConfig.model_validate({"model": "chip", "models": {"chip": CHIP}})
    energy = estimate_energy(counts(), config)
    stem_words = 1000 + 1000 + 30 + 2 * 128  # weights, inputs, outgoing spikes, potentials
    head_words = 90 + 30 + 2 * 100  # weights, incoming spikes, potentials
    assert energy.parts == pytest.approx(
        {
            "acs": 2 * 100 / 1e9,
            "macs": 5 * 1000 / 1e9,
            "neurons": 3 * 2 * 64 / 1e9,
            "memory": 0.5 * 2 * (stem_words + head_words) / 1e9,
            "static": 7e-6 * (100 + 1000 + 128) / 2e9 * 1e3,  # W x s, in mJ
        }
    )
    assert energy.total_mj == pytest.approx(sum(energy.layers.values())) == pytest.approx(sum(energy.parts.values()))


def test_constants_that_are_not_given_cost_nothing() -> None:
    config = EnergyConfig.model_validate({"models": {"chip": {"ac_pj": 0.9, "mac_pj": 4.6}}})
    energies = estimate_all(counts(), config)
    assert energies["chip/exact"].total_mj == pytest.approx(energies["horowitz45/exact"].total_mj)
    assert list(energies) == list(config.rules)
    assert config.rules["chip/exact"].startswith("chip: energy = 0.9 pJ x ACs + 4.6 pJ x MACs, of the exact counts.")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"models": {"chip": {"ac_pj": 1, "mac_pj": 1, "static_uw": 5}}}, "given static_uw 5 without gops"),
        ({"models": {"horowitz45": CHIP}}, "given models: horowitz45; a name of your own"),
        ({"models": {"a/b": CHIP}}, "given models: a/b"),
        ({"model": "chop", "models": {"chip": CHIP}}, "given chop; allowed are .*; did you mean chip?"),
        ({"model": "chip", "preset": "paper2602", "models": {"chip": CHIP}}, "preset paper2602 is defined for model"),
        ({"models": {"chip": {"ac_pj": -1, "mac_pj": 1}}}, "greater than or equal to 0"),
    ],
)
def test_wrong_description_is_refused(section: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        EnergyConfig.model_validate(section)
