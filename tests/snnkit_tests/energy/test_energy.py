"""Energies against the published table, layers computed by hand, and the ratios between the two models."""

import dataclasses
import itertools

import pytest
from pydantic import ValidationError

from snnkit.architecture.plan import Conv, GlobalAverage, Neurons, Plan, Pool, Sum
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy import ENERGY_MODELS, PRESETS, EnergyConfig, estimate_all, estimate_energy
from snnkit.energy.lemaire2022 import sram_pj
from snnkit.energy.operations import LayerCounts, OperationCounts, silent_counts, twin_counts, unpadded_macs
from snnkit.energy.presets import Operations
from snnkit.families.mobilenetv2 import MobileNetV2
from snnkit.families.mobilenetv2 import plan as plan_mobilenetv2
from snnkit.families.squeezenet import FIRES, SqueezeNet, plan

ENERGY_RULES = EnergyConfig().rules

PRUNED = ("fire4", "fire6", "fire8", "fire9")  # SqueezeNet-P


def squeezenet(classes: int = 10, side: int = 32, keep: tuple[str, ...] = FIRES) -> Plan:
    design = SqueezeNet.model_validate({name: {"keep": name in keep} for name in FIRES})
    return plan(design, classes, (3, side, side))


def firing(of: Plan, rate: float, timesteps: int) -> OperationCounts:
    """Count as if every neuron, and so every input of a layer, fired at ``rate``."""
    layers = tuple(firing_layer(conv, rate, timesteps) for conv in of.convs)
    return OperationCounts(plan=of, spiking=True, timesteps=timesteps, images=1, layers=layers)


def firing_layer(conv: Conv, rate: float, timesteps: int) -> LayerCounts:
    channels, height, width = conv.in_shape
    spikes = rate * timesteps
    neurons = conv.outputs if conv.activation else 0
    return LayerCounts(
        op=conv,
        timesteps=timesteps,
        evaluations=1 if conv.reads == "input" else timesteps,
        dense=conv.reads == "input",
        macs=unpadded_macs(conv) if conv.reads == "input" else 0,
        nonzero_macs=unpadded_macs(conv) if conv.reads == "input" else 0,
        synapses=0 if conv.reads == "input" else spikes * unpadded_macs(conv),
        spikes_in=0 if conv.reads == "input" else spikes * channels * height * width,
        spikes_out=spikes * neurons,
        neurons=neurons,
        neuron_ops=timesteps * neurons,
    )


@pytest.mark.parametrize(
    ("classes", "side", "keep", "macs"),
    [
        (10, 32, FIRES, 4_466_848),
        (100, 32, FIRES, 4_468_288),
        (200, 64, FIRES, 17_879_552),
        (10, 32, PRUNED, 4_227_232),
        (100, 32, PRUNED, 4_228_672),
        (200, 64, PRUNED, 16_921_088),
    ],
)
@pytest.mark.parametrize("timesteps", [1, 4])
def test_macs_of_the_published_table(classes, side, keep, macs, timesteps):
    counts = PRESETS["paper2602"](firing(squeezenet(classes, side, keep), 0.3, timesteps))
    assert sum(layer.macs for layer in counts.values()) == macs


@pytest.mark.parametrize(
    ("classes", "side", "keep", "macs_k", "acs_k", "energy_mj"),
    [
        (10, 32, FIRES, 4470, 16610, 0.0355),
        (100, 32, FIRES, 4470, 20790, 0.0393),
        (10, 32, PRUNED, 4230, 11200, 0.0295),
        (100, 32, PRUNED, 4230, 13490, 0.0316),
        (200, 64, FIRES, 17880, 80094, 0.1543),
        (200, 64, PRUNED, 16920, 51970, 0.1246),
    ],
)
def test_published_energy_follows_from_the_published_accumulates(classes, side, keep, macs_k, acs_k, energy_mj):
    network = squeezenet(classes, side, keep)
    binary = sum(conv.dense_macs + conv.outputs for conv in network.convs[1:])
    activity = firing(network, acs_k * 1e3 / binary, 4)
    counts = PRESETS["paper2602"](activity).values()
    assert sum(layer.macs for layer in counts) / 1e3 == pytest.approx(macs_k, abs=5)
    assert sum(layer.acs for layer in counts) / 1e3 == pytest.approx(acs_k)
    published = estimate_energy(activity, EnergyConfig(preset="paper2602")).total_mj
    assert published == pytest.approx(energy_mj, abs=1e-4)  # the table truncates digits


def test_paper_counts_its_twin_with_biases_batchnorm_and_the_final_average():
    network = squeezenet()
    twin = twin_counts(network)
    macs = sum(layer.macs for layer in PRESETS["paper2602"](twin).values())
    normalised = sum(conv.outputs for conv in network.convs if conv.batchnorm)
    assert macs == network.dense_macs + sum(conv.outputs for conv in network.convs) + 2 * normalised + 10 * 4 * 4
    assert macs == 54_754_624
    assert estimate_energy(twin, EnergyConfig(preset="paper2602")).total_mj == pytest.approx(0.2519, abs=5e-5)


def test_paper_s_rule_multiplies_where_the_input_is_not_binary():
    pooled = plan(SqueezeNet.model_validate({"pool": {"kind": "avg"}}), 10, (3, 32, 32))
    counts = PRESETS["paper2602"](firing(pooled, 0.3, 1))
    assert {conv.name for conv in pooled.convs if counts[conv.name].acs == 0} == {
        conv.name for conv in pooled.convs if conv.reads == "input" or conv.input_scale > 1
    }


def test_horowitz_adds_up_by_hand():
    conv = Conv("stem", "input", (2, 4, 4), (3, 4, 4), kernel=1, reads="input")
    after = Conv("after", "stem", (3, 4, 4), (5, 4, 4), kernel=1)
    network = Plan((conv, after, GlobalAverage("scores", "after", (5, 4, 4))), (2, 4, 4), 5)
    energy = estimate_energy(firing(network, 0.25, 2), EnergyConfig())
    macs, acs = 2 * 3 * 16, 0.25 * 2 * 3 * 5 * 16
    assert energy.layers == pytest.approx({"stem": macs * 4.6e-9, "after": acs * 0.9e-9})
    assert energy.parts == pytest.approx({"macs": macs * 4.6e-9, "acs": acs * 0.9e-9})
    assert energy.total_mj == pytest.approx(macs * 4.6e-9 + acs * 0.9e-9)


def test_zero_activations_of_a_twin_are_an_alternative_price():
    network = squeezenet()
    layers = tuple(dataclasses.replace(layer, nonzero_macs=100) for layer in twin_counts(network).layers)
    energy = estimate_energy(OperationCounts(network, False, 1, 1, layers), EnergyConfig())
    assert energy.alternatives == pytest.approx({"nonzero_macs": 100 * len(layers) * 4.6e-9})
    assert energy.total_mj == estimate_energy(twin_counts(network), EnergyConfig()).total_mj


def neuron_network() -> tuple[Plan, tuple[LayerCounts, ...]]:
    """A stem whose currents are pooled (3x3 windows, some ragged) before the neurons, a layer, the classifier."""
    stem = Conv("stem", "input", (1, 4, 4), (2, 4, 4), kernel=1, bias=False, activation=None, reads="input")
    pool = Pool("pool", "stem", (2, 4, 4), (2, 2, 2), "max", kernel=3, stride=2, ceil=True)
    neurons = Neurons("neurons", "pool", (2, 2, 2), "relu")
    after = Conv("after", "neurons", (2, 2, 2), (3, 2, 2), kernel=1)
    spikes = Pool("spikes", "after", (3, 2, 2), (3, 1, 1), "max", kernel=2, stride=2)
    head = Conv("head", "spikes", (3, 1, 1), (5, 1, 1), kernel=1, batchnorm=False, activation=None)
    scores = GlobalAverage("scores", "head", (5, 1, 1))
    network = Plan((stem, pool, neurons, after, spikes, head, scores), (1, 4, 4), 5)
    return network, (
        LayerCounts(stem, 3, 1, dense=True, macs=32, nonzero_macs=32.0),
        LayerCounts(neurons, 3, 3, spikes_out=6, neurons=8, neuron_ops=24),
        LayerCounts(after, 3, 3, synapses=18, spikes_in=6, spikes_out=9, neurons=12, neuron_ops=36),
        LayerCounts(head, 3, 3, synapses=20, spikes_in=4),
    )


def test_costs_of_neurons_by_hand():
    network, layers = neuron_network()
    energy = estimate_energy(OperationCounts(network, True, 3, 1, layers), EnergyConfig())
    total = 32 * 4.6 + (18 + 20) * 0.9
    leaks = (3 * 8 + 3 * 12) * 3.7  # T x neurons
    biases = 2 * 16 + 3 * 12 + 3 * 5  # the stem once, the others at each of 3 steps; BatchNorm is folded into a bias
    thresholds, resets, stored = 3 * 8 + 3 * 12, 6 + 9, 3 * 8  # only the pooled currents are stored
    windows = 2 * ((9 + 6 + 6 + 4) - 4)  # 3x3, 3x2, 2x3 and 2x2 values in 2 channels: one comparison less than values
    pooling = 3 * (windows + 3 * (4 - 1))
    with_neurons = total + leaks + (biases + thresholds + resets + stored + pooling) * 0.9
    every_step = with_neurons + 2 * 32 * 4.6 + 2 * 32 * 0.9  # two more runs of the stem, with its bias
    assert energy.total_mj == pytest.approx(total * 1e-9)
    assert energy.alternatives == pytest.approx(
        {"with_neurons": with_neurons * 1e-9, "with_neurons_and_stem_every_step": every_step * 1e-9}
    )


def test_averages_of_currents_are_added_and_averages_of_spikes_are_not():
    network, layers = neuron_network()

    def priced(**changes: object) -> float:
        ops = tuple(dataclasses.replace(op, **changes) if isinstance(op, Pool) else op for op in network.ops)
        plan = dataclasses.replace(network, ops=ops)
        return estimate_energy(OperationCounts(plan, True, 3, 1, layers)).alternatives["with_neurons"] * 1e9

    assert priced(kind="max") - priced(kind="avg") == pytest.approx(3 * 3 * (4 - 1) * 0.9)  # the pooling of spikes


@pytest.mark.parametrize("of", ["spikes", "currents"])
def test_stem_every_step_is_the_energy_of_a_stem_that_ran_at_every_step(of):
    network = plan(SqueezeNet.model_validate({"pool": {"of": of}}), 10, (3, 32, 32))
    once, every = (
        estimate_energy(silent_counts(network, NeuronConfig(), EncodingConfig(timesteps=4, stem=stem))).alternatives
        for stem in ("once", "every_step")
    )
    assert every["with_neurons"] == every["with_neurons_and_stem_every_step"]
    assert once["with_neurons_and_stem_every_step"] == pytest.approx(every["with_neurons"])
    assert once["with_neurons"] < every["with_neurons"]


def test_twins_and_other_rules_have_no_costs_of_neurons():
    network, layers = neuron_network()
    counts = OperationCounts(network, True, 3, 1, layers)
    assert not estimate_energy(counts, EnergyConfig(preset="paper2602")).alternatives
    assert "with_neurons" not in estimate_energy(counts, EnergyConfig(model="lemaire2022")).alternatives
    assert "with_neurons" not in estimate_energy(twin_counts(network)).alternatives


@pytest.mark.parametrize(
    ("kilobytes", "pj"), [(0, 0), (4, 5), (8, 10), (20, 15), (32, 20), (528, 60), (1024, 100), (4096, 100)]
)
def test_sram_is_linear_between_published_sizes(kilobytes, pj):
    words = kilobytes * 1024 // 4
    assert sram_pj(words, 1.0) == pytest.approx(pj)
    assert sram_pj(words, 0.5) == pytest.approx(pj / 2)


@pytest.mark.parametrize(("sram", "scale"), [("horowitz64", 0.5), ("lemaire", 1.0)])
def test_lemaire_layer_on_spikes_adds_up_by_hand(sram, scale):
    conv = Conv("probe", "stem", (8, 4, 4), (16, 4, 4), kernel=3, padding=1, groups=2)
    spikes_in, spikes_out, synapses, updates = 60, 30, 3000, 2 * 256
    layer = LayerCounts(
        op=conv,
        timesteps=2,
        evaluations=2,
        dense=False,
        nonzero_macs=0,
        synapses=synapses,
        spikes_in=spikes_in,
        spikes_out=spikes_out,
        neurons=256,
        neuron_ops=updates,
    )
    network = Plan((conv, GlobalAverage("scores", "probe", (16, 4, 4))), (8, 4, 4), 16)
    parts = estimate_energy(
        OperationCounts(network, True, 2, 1, (layer,)), EnergyConfig(model="lemaire2022", sram=sram)
    ).parts
    potential, weight, fifo = (scale * 10 * words * 4 / 8192 for words in (256, 16 * 4 * 9, 1000))  # all below 8 KB
    pj = {
        "operations": (synapses + updates + spikes_out) * 0.1 + updates * 3.1,
        "inputs": spikes_in * fifo,
        "weights": (synapses + updates) * weight,
        "potentials": 2 * (synapses + updates) * potential,
        "outputs": spikes_out * fifo,
        "addressing": 2 * spikes_in * 3.2 + spikes_in * 8 * 9 * 0.1,
    }
    assert parts == pytest.approx({part: value / 1e9 for part, value in pj.items()})


@pytest.mark.parametrize("timesteps", [1, 4])
def test_lemaire_stem_is_dense_once_and_its_current_is_kept(timesteps):
    conv = Conv("stem", "input", (3, 8, 8), (4, 8, 8), kernel=1, reads="input")
    network = Plan((conv, GlobalAverage("scores", "stem", (4, 8, 8))), (3, 8, 8), 4)
    spiking, twin = (
        estimate_energy(activity, EnergyConfig(model="lemaire2022"))
        for activity in (firing(network, 0.5, timesteps), twin_counts(network))
    )
    macs, neurons = 3 * 4 * 64, 4 * 64
    current, image, weight, fifo = (5 * words * 4 / 8192 for words in (neurons, 3 * 64, 12, 1000))
    dense_pj = macs * (3.2 + image + weight) + neurons * current + (3 * 64 + neurons + 4) * 0.1
    assert twin.total_mj * 1e9 == pytest.approx(dense_pj)
    assert twin.alternatives["reuse_10"] * 1e9 == pytest.approx(dense_pj - 0.9 * macs * (image + weight))
    updates, spikes = timesteps * neurons, 0.5 * timesteps * neurons
    neurons_pj = updates * (0.1 + 3.1 + 3 * current) + spikes * (
        0.1 + fifo
    )  # reads current, reads and writes potential
    assert spiking.total_mj * 1e9 == pytest.approx(dense_pj + neurons_pj)


def priced(layer: LayerCounts, *, model: str = "lemaire2022") -> dict[str, float]:
    """Energy by component, in pJ, of a network with only this layer."""
    network = Plan((layer.op, GlobalAverage("scores", layer.name, layer.op.out_shape)), (1, 1, 1), 1)
    parts = estimate_energy(
        OperationCounts(network, True, layer.timesteps, 1, (layer,)), EnergyConfig(model=model)
    ).parts
    return {part: energy_mj * 1e9 for part, energy_mj in parts.items()}


def word_pj(words: int) -> float:
    """Energy of an access to a memory of up to 8 KB: half of 10 pJ at 8 KB, in proportion below."""
    return 5 * words * 4 / 8192


def test_lemaire_sum_of_currents_reads_and_writes_each_element():
    op = Sum("sum", ("a", "b"), (2, 4, 4), currents=True)
    parts = priced(LayerCounts(op, 3, 3, additions=3 * 32))
    memory = 3 * 32 * word_pj(32)
    assert parts == pytest.approx({"operations": 3 * 32 * 0.1, "inputs": memory, "outputs": memory})


def test_lemaire_neurons_on_a_sum_add_its_current_to_their_potentials():
    op = Neurons("fires", "sum", (2, 4, 4))
    parts = priced(LayerCounts(op, 3, 3, spikes_out=20, neurons=32, neuron_ops=96))
    assert parts == pytest.approx({
        "operations": (96 + 20) * 0.1 + 96 * 3.1, "inputs": 96 * word_pj(32), "potentials": 2 * 96 * word_pj(32),
        "outputs": 20 * word_pj(1000),
    })  # fmt: skip


def test_lemaire_behind_a_real_gate_multiplies_each_spike_and_weight():
    conv = Conv("project", "gate", (8, 2, 2), (4, 2, 2), 1, bias=False, activation=None, reads="gated")
    parts = priced(LayerCounts(conv, 2, 2, macs=30 * 4, nonzero_macs=30 * 4, spikes_in=30))
    updates = 2 * 16
    assert parts == pytest.approx({
        "operations": 120 * 3.2 + updates * 0.1, "inputs": 30 * word_pj(1000),
        "weights": (120 + updates) * word_pj(32), "potentials": 2 * (120 + updates) * word_pj(16), "outputs": 0,
        "addressing": 2 * 30 * 3.2 + 30 * 4 * 0.1,
    })  # fmt: skip


def test_lemaire_means_take_each_spike_from_the_fifo_and_add_it():
    conv = Conv(
        "reduce", "mean", (8, 1, 1), (2, 1, 1), 1, batchnorm=False, activation=None, reads="means", input_scale=4
    )
    parts = priced(LayerCounts(conv, 2, 2, dense=True, macs=2 * 16, additions=30, spikes_in=30))
    assert parts == pytest.approx({
        "operations": 32 * 3.2 + 30 * 0.1,
        "inputs": 32 * word_pj(8) + 30 * (word_pj(1000) + 2 * word_pj(8)),
        "weights": 32 * word_pj(16), "outputs": 2 * 2 * word_pj(2), "addressing": 2 * (8 + 2 + 2) * 0.1,
    })  # fmt: skip


def test_horowitz_prices_sums_and_means_as_accumulates():
    op = Sum("sum", ("a", "b"), (2, 4, 4), currents=True)
    assert priced(LayerCounts(op, 3, 3, additions=96), model="horowitz45") == pytest.approx({"macs": 0, "acs": 86.4})


def classifier(*, dropout: float, residual: str = "currents") -> Plan:
    design = MobileNetV2.model_validate({"head": {"width": 16, "dropout": dropout}, "residual": residual})
    return plan_mobilenetv2(design, 10, (3, 32, 32))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_paper_s_rule_finds_the_final_average_in_front_of_the_classifier(dropout):
    """16 channels of 4x4 enter the average. The classifier reads means, so all its operations are MACs."""
    network = classifier(dropout=dropout)
    dense = 16 * 10 + 10
    twin = PRESETS["paper2602"](twin_counts(network))["classifier"]
    assert twin == Operations(dense + 16 * 16, 0)
    spiking = PRESETS["paper2602"](firing(network, 0.25, 2))["classifier"]
    assert spiking == Operations(dense, 0.25 * 16)  # a mean counts as one spike
    silent = PRESETS["paper2602"](firing(network, 0.0, 2))["classifier"]
    assert silent == Operations(dense, 0)


def test_paper_s_rule_counts_only_convolutions():
    network = classifier(dropout=0.0)
    others = [
        LayerCounts(op, 2, 2, additions=5.0, spikes_out=7.0)
        for op in network.ops
        if isinstance(op, Sum | Neurons)
    ]  # fmt: skip
    activity = firing(network, 0.25, 2)
    counts = PRESETS["paper2602"](dataclasses.replace(activity, layers=(*others, *activity.layers)))
    assert others
    assert {counts[layer.name] for layer in others} == {Operations(0, 0)}


def test_paper_s_rule_multiplies_behind_residual_sums_of_spikes():
    network = classifier(dropout=0.0, residual="spikes")
    counts = PRESETS["paper2602"](firing(network, 0.25, 1))
    sums = [conv for conv in network.convs if conv.reads == "spikes" and conv.input_most > 1]
    assert len(sums) > 5
    assert {counts[conv.name].acs for conv in sums if conv.name != "classifier"} == {0}
    assert all(counts[conv.name].acs > 0 for conv in network.convs if conv.input_most == 1 and conv.reads == "spikes")


def test_memory_reverses_the_ratio_of_cnn_to_snn():
    """The published ratios at a rate of .33: 7.9 by arithmetic; 2.0 at T = 1 and 0.5 at T = 4 with memory."""
    network = squeezenet()
    once, four, twin = (
        estimate_all(a) for a in (firing(network, 0.33, 1), firing(network, 0.33, 4), twin_counts(network))
    )
    ratio = {
        key: (twin[key].total_mj / once[key].total_mj, twin[key].total_mj / four[key].total_mj) for key in ENERGY_RULES
    }
    assert ratio["lemaire2022/exact"] == pytest.approx((2.0, 0.5), abs=0.05)
    assert ratio["horowitz45/exact"][0] == pytest.approx(7.65, abs=0.005)
    stem = network.convs[0].dense_macs
    padded = 4.6 * network.dense_macs / (4.6 * stem + 0.9 * 0.33 * (network.dense_macs - stem))
    assert padded == pytest.approx(7.9, abs=0.05)  # with taps in the padding counted on both sides


@pytest.mark.parametrize("timesteps", [1, 2, 4])
def test_break_even_with_memory_lies_between_066_and_086_spikes_per_neuron(timesteps):
    network = squeezenet()
    pricing = EnergyConfig(model="lemaire2022")
    few, many = (
        estimate_energy(firing(network, spikes / timesteps, timesteps), pricing).total_mj for spikes in (0.66, 0.86)
    )
    assert few < estimate_energy(twin_counts(network), pricing).total_mj < many


@pytest.mark.parametrize("timesteps", [1, 4])
@pytest.mark.parametrize("key", ENERGY_RULES)
def test_layers_and_parts_add_up_to_the_total(key, timesteps):
    network = squeezenet()
    for activity in (firing(network, 0.2, timesteps), twin_counts(network)):
        energy = estimate_all(activity)[key]
        assert set(energy.layers) == {conv.name for conv in network.convs}
        assert sum(energy.layers.values()) == pytest.approx(energy.total_mj)
        assert sum(energy.parts.values()) == pytest.approx(energy.total_mj)
        assert energy.total_mj > 0


def test_every_allowed_combination_of_model_and_preset_is_a_rule():
    allowed = set()
    for model, preset in itertools.product(ENERGY_MODELS, PRESETS):
        try:
            allowed.add(EnergyConfig.model_validate({"model": model, "preset": preset}).key)
        except ValidationError:
            assert (model, preset) == ("lemaire2022", "paper2602")
    assert allowed == set(ENERGY_RULES) == set(estimate_all(twin_counts(squeezenet())))


def test_paper_s_preset_with_memory_is_refused_with_the_remedy():
    with pytest.raises(
        ValidationError, match=r"preset paper2602 .* horowitz45 only, not with lemaire2022; write preset: exact"
    ):
        EnergyConfig(model="lemaire2022", preset="paper2602")
    with pytest.raises(ValidationError, match="extra"):
        EnergyConfig.model_validate({"modle": "horowitz45"})


def test_sram_option_changes_only_the_model_with_memory():
    twin = twin_counts(squeezenet())
    half, whole = estimate_all(twin), estimate_all(twin, EnergyConfig(sram="lemaire"))
    assert half["horowitz45/exact"] == whole["horowitz45/exact"]
    memory = [
        sum(e.parts[part] for part in ("inputs", "weights", "outputs"))
        for e in (half["lemaire2022/exact"], whole["lemaire2022/exact"])
    ]
    assert memory[1] == pytest.approx(2 * memory[0])


def test_every_rule_is_described_with_its_constants():
    assert tuple(ENERGY_RULES) == ("horowitz45/exact", "horowitz45/paper2602", "lemaire2022/exact")
    assert "4.6 pJ x MACs + 0.9 pJ x ACs" in ENERGY_RULES["horowitz45/exact"]
    assert "add 0.1 pJ, multiply 3.1 pJ" in ENERGY_RULES["lemaire2022/exact"]
    for model in ENERGY_MODELS.values():
        assert all(constant.unit and constant.source for constant in model.constants)
