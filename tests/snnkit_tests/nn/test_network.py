"""Networks run from plans: against torchvision, against their own step-by-step evaluation, and on every mask."""

import random
from itertools import product
from typing import Any

import pytest
import torch
import torchvision
from helpers.kernel_cases import assert_close
from torch import Tensor, nn

from snnkit.architecture import fusion
from snnkit.architecture.plan import Conv
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.families.squeezenet import FIRES, SqueezeNet, plan
from snnkit.nn.layers import ConvLayer
from snnkit.nn.lif import LIF
from snnkit.nn.network import Fired, Network

DEFAULT = NeuronConfig()
SMALL = {name: {"squeeze": 4, "expand1x1": 6, "expand3x3": 5} for name in FIRES} | {"stem": {"width": 8}}
TORCHVISION = {  # our module -> its index in torchvision's `features`
    "imagenet-1.0": dict(zip(("stem", *FIRES), (0, 3, 4, 5, 7, 8, 9, 10, 12), strict=True)),
    "imagenet-1.1": dict(zip(("stem", *FIRES), (0, 3, 4, 6, 7, 9, 10, 11, 12), strict=True)),
}


def network(
    given: dict[str, Any] | None = None,
    neuron: NeuronConfig | None = DEFAULT,
    *,
    steps: int = 2,
    classes: int = 10,
    size: int = 32,
    seed: int = 0,
) -> Network:
    design = SqueezeNet.model_validate(given or {})
    return Network(plan(design, classes, (3, size, size)), neuron, EncodingConfig(timesteps=steps), seed=seed)


def images(count: int = 4, size: int = 32, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


class Seen:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.incoming: dict[str, Tensor] = {}
        self.outgoing: dict[str, Tensor | None] = {}

    def __call__(self, conv: Conv, incoming: Tensor, fired: Fired | None) -> None:
        self.incoming[conv.name], self.outgoing[conv.name] = incoming, None if fired is None else fired.spikes()


@pytest.mark.parametrize("size", [32, 36])  # sides of 18 and 9 are no multiple of a window of 2
def test_pooling_is_the_same_with_and_without_gradients(size: int) -> None:
    twin = network(SMALL, neuron=None, size=size).eval()
    shown = images(size=size).to(memory_format=torch.channels_last)
    with torch.no_grad():
        without = twin(shown)
    assert torch.equal(without, twin(shown))


def test_gradients_of_concatenated_parts_are_contiguous() -> None:
    """BatchNorm's backward pass takes eight times as long for others in channels_last."""
    twin = network(SMALL | {"pool": {"of": "currents"}}, neuron=None).to(memory_format=torch.channels_last)
    layouts = []

    def note(module: nn.Module, gradients: Any) -> None:
        layouts.append(gradients[0].flatten(0, 1).is_contiguous(memory_format=torch.channels_last))

    for module in twin.modules():
        if isinstance(module, ConvLayer) and module.norm is not None:
            module.register_full_backward_pre_hook(note)
    twin(images().to(memory_format=torch.channels_last)).sum().backward()
    assert len(layouts) > 20
    assert all(layouts)


@pytest.mark.parametrize("geometry", TORCHVISION)
def test_twin_equals_torchvision(geometry: str) -> None:
    theirs = torchvision.models.get_model(geometry.replace("imagenet-", "squeezenet").replace(".", "_"), weights=None)
    theirs.eval()
    ours = network({"geometry": geometry}, neuron=None, classes=1000, size=224).eval()
    for conv in ours.plan.convs:
        module, _, part = conv.name.partition(".")
        name = "classifier.1" if module == "head" else f"features.{TORCHVISION[geometry][module]}.{part}".rstrip(".")
        ours.layer(conv).conv.load_state_dict(theirs.get_submodule(name).state_dict())
    assert ours.plan.params == sum(p.numel() for p in theirs.parameters())
    with torch.no_grad():
        torch.testing.assert_close(ours(images(2, 224)), theirs(images(2, 224)), rtol=0, atol=1e-5)


MASKS = sorted(random.Random(0).sample(range(1, 255), 8))


@pytest.mark.parametrize("mask", [0, 255, *MASKS])
@pytest.mark.parametrize("neuron", [DEFAULT, None], ids=["spiking", "twin"])
def test_every_mask_builds_and_learns(mask: int, neuron: NeuronConfig | None) -> None:
    kept = {name: {**SMALL[name], "keep": bool(mask >> bit & 1)} for bit, name in enumerate(FIRES)}
    built = network(SMALL | kept, neuron=neuron)
    assert sum(p.numel() for p in built.parameters()) == built.plan.params
    logits = built(images())
    assert logits.shape == (4, 10)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in built.parameters())


def test_removed_module_has_no_parameter() -> None:
    names = [name for name, _ in network({"fire4": {"keep": False}}).named_parameters()]
    assert not [name for name in names if "fire4" in name]
    assert [name for name in names if "fire5" in name]


@pytest.mark.parametrize("train", [True, False])
def test_stem_once_equals_stem_at_every_step(train: bool) -> None:
    steps, built = 3, network(SMALL, steps=3).train(train)
    seen = Seen()
    built(images(), observe=seen)
    stem = built.layer(built.plan.convs[0])
    assert isinstance(stem.activation, LIF)
    every_step = images().repeat(steps, 1, 1, 1)  # (T*B, C, H, W)
    assert stem.norm is not None
    current = stem.norm(stem.conv(every_step)).unflatten(0, (steps, 4))
    outgoing = seen.outgoing["stem"]
    assert outgoing is not None
    assert 0 < outgoing.mean() < 1
    assert (stem.activation(current) != outgoing).float().mean() < 1e-5  # sums over T x B in another order


class StepByStep:
    """The same weights with snnTorch's neurons; one call runs one time step."""

    def __init__(self, of: Network) -> None:
        self.layers = {conv.name: of.layer(conv) for conv in of.plan.convs}
        self.leaky = {conv.name: LIF(DEFAULT).as_leaky().double() for conv in of.plan.convs if conv.activation}
        for neuron in self.leaky.values():
            neuron.beta.fill_(DEFAULT.leak)  # snnTorch rounds it to float32
        self.membranes: dict[str, Tensor] = {}

    def __call__(self, x: Tensor) -> Tensor:
        x = torch.max_pool2d(self.layer("stem", x), 2)
        for name in FIRES:
            if f"{name}.squeeze" in self.layers:
                squeezed = self.layer(f"{name}.squeeze", x)
                x = torch.cat([self.layer(f"{name}.{part}", squeezed) for part in ("expand1x1", "expand3x3")], 1)
            x = torch.max_pool2d(x, 2) if name in ("fire4", "fire8") else x
        return self.layer("head", x)

    def layer(self, name: str, x: Tensor) -> Tensor:
        layer = self.layers[name]
        current = layer.conv(x) if layer.norm is None else layer.norm(layer.conv(x))
        if name not in self.leaky:
            return current
        spikes, self.membranes[name] = self.leaky[name](current, self.membranes.get(name, torch.zeros_like(current)))
        return spikes.double()


def test_network_equals_snntorch_step_by_step() -> None:
    built = network(SMALL | {"fire3": {"keep": False}}, steps=3).double().eval()
    one_step = StepByStep(built)
    logits = built(images(2).double())
    expected = torch.stack([one_step(images(2).double()) for _ in range(3)]).mean(dim=(0, 3, 4))
    torch.testing.assert_close(logits, expected)
    parameters = tuple(built.parameters())
    grads, expected_grads = (torch.autograd.grad(y.square().sum(), parameters) for y in (logits, expected))
    for grad, theirs in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, theirs, rtol=0, atol=1e-5 * theirs.abs().max().item())


@pytest.mark.parametrize("neuron", [NeuronConfig(), None], ids=["one step", "twin"])
def test_pooled_currents_fire_when_one_of_the_spikes_does(neuron: NeuronConfig | None) -> None:
    """This holds for one time step and under ReLU, because both increase with the current; averages differ."""
    outputs = {}
    for kind, of in product(("max", "avg"), ("spikes", "currents")):
        design = SqueezeNet.model_validate({"pool": {"kind": kind, "of": of}, "fire8": {"keep": False}})
        made = Network(plan(design, 10, (3, 32, 32)), neuron, EncodingConfig(timesteps=1))
        for conv in made.plan.convs:  # as for spikes: layers with neurons get a bias
            if (norm := made.layer(conv).norm) is not None:
                nn.init.constant_(norm.bias, 0.1)
        with torch.no_grad():
            outputs[kind, of] = made.eval()(images())
    torch.testing.assert_close(outputs["max", "currents"], outputs["max", "spikes"])
    assert not torch.allclose(outputs["avg", "currents"], outputs["avg", "spikes"])


def test_fused_pooled_currents_equal_the_single_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss_and_gradients() -> tuple[float, list[Tensor]]:
        made = network(SMALL | {"pool": {"of": "currents"}}, steps=3).train()
        loss = made(images()).square().mean()
        weights = [weight for name, weight in made.named_parameters() if not name.endswith("conv.bias")]
        return loss.item(), list(torch.autograd.grad(loss, weights))  # 0 for biases before a BatchNorm

    loss, gradients = loss_and_gradients()
    monkeypatch.setattr(fusion, "_convs_of_current", lambda *_: ())
    expected_loss, expected = loss_and_gradients()
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert_close(gradients, expected, 1e-4)


def test_observer_sees_every_convolution() -> None:
    built, seen = network(SMALL, steps=3), Seen()
    built(images(), observe=seen)
    assert list(seen.incoming) == [conv.name for conv in built.plan.convs]
    for conv in built.plan.convs:
        incoming, outgoing = seen.incoming[conv.name], seen.outgoing[conv.name]
        assert incoming.shape == (1 if conv.reads == "input" else 3, 4, *conv.in_shape)
        if conv.activation:
            assert outgoing is not None
            assert outgoing.shape == (3, 4, *conv.out_shape)
            assert set(outgoing.unique().tolist()) == {0, 1}
        else:
            assert outgoing is None


def test_average_pooled_input_is_a_sum_of_spikes_by_the_plans_scale() -> None:
    pool = {"kind": "avg", "kernel": 3, "stride": 2, "ceil": True, "after": ["stem", "fire2", "fire4"]}
    built, seen = network(SMALL | {"pool": pool, "fire2": {"keep": False}}), Seen()
    built(images(), observe=seen)
    scales = {conv.name: conv.input_scale for conv in built.plan.convs}
    assert scales["fire3.squeeze"] == 81
    for conv in built.plan.convs[1:]:
        sums = seen.incoming[conv.name] * conv.input_scale
        torch.testing.assert_close(sums, sums.round(), rtol=0, atol=1e-4)
        assert sums.max() <= conv.input_scale


@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("batchnorm", [True, False])
@pytest.mark.parametrize(
    "neuron", [DEFAULT, NeuronConfig(leak=0.5, threshold=2.0, reset="zero")], ids=["default", "other"]
)
def test_no_layer_is_silent_or_saturated_at_first(pool: str, batchnorm: bool, neuron: NeuronConfig) -> None:
    for steps, train in product((2, 4), (True, False)):
        seen = Seen()
        built = network({"batchnorm": batchnorm, "pool": {"kind": pool}}, neuron, steps=steps).train(train)
        with torch.no_grad():
            built(images(8), observe=seen)
        rates = {name: spikes.mean().item() for name, spikes in seen.outgoing.items() if spikes is not None}
        assert all(0.05 < rate < 0.6 for rate in rates.values()), rates


def test_same_seed_gives_the_same_weights_after_any_other_draw() -> None:
    first = network(SMALL, seed=3).state_dict()
    before = torch.random.get_rng_state()
    torch.rand(7)
    second, other = network(SMALL, seed=3).state_dict(), network(SMALL, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["layers.stem.conv.weight"], other["layers.stem.conv.weight"])
    torch.random.set_rng_state(before)
    network(SMALL, seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_layer_starts_the_same_in_any_network() -> None:
    full, without = network(SMALL), network(SMALL | {"fire4": {"keep": False}})
    assert torch.equal(
        full.state_dict()["layers.fire6_squeeze.conv.weight"], without.state_dict()["layers.fire6_squeeze.conv.weight"]
    )


def test_dropout_hides_the_same_inputs_at_every_step() -> None:
    whole, hidden = Seen(), Seen()
    network(SMALL)(images(), observe=whole)
    network(SMALL | {"head": {"dropout": 0.5}})(images(), observe=hidden)
    factor = hidden.incoming["head"][whole.incoming["head"] == 1]
    assert set(factor.tolist()) == {0, 2}
    spiked_twice = whole.incoming["head"].sum(0) == 2
    first, second = hidden.incoming["head"]
    assert spiked_twice.any()
    assert torch.equal(first[spiked_twice], second[spiked_twice])


@pytest.mark.parametrize("neuron", [DEFAULT, None], ids=["spiking", "twin"])
def test_bf16_and_channels_last_are_kept(neuron: NeuronConfig | None) -> None:
    built, seen = network(SMALL, neuron=neuron).to(memory_format=torch.channels_last), Seen()
    with torch.autocast("cpu", torch.bfloat16):
        logits = built(images().contiguous(memory_format=torch.channels_last), observe=seen)
    assert logits.dtype == torch.float32
    for name, outgoing in seen.outgoing.items():
        if outgoing is not None:
            assert outgoing.dtype == torch.bfloat16, name
            assert outgoing.stride(2) == 1, name  # a slice of a concatenation is not dense


@pytest.mark.parametrize("rate", [0.16, 0.3, 0.5])
def test_neurons_after_a_batchnorm_fire_at_the_initial_rate(rate: float) -> None:
    built = network(neuron=NeuronConfig(initial_rate=rate), steps=1)  # with T = 1, no membrane is carried over
    seen = Seen()
    with torch.no_grad():
        built.train()(images(32, 16), observe=seen)  # with the statistics of the batch
    rates = {name: spikes.mean().item() for name, spikes in seen.outgoing.items() if spikes is not None}
    assert sum(rates.values()) / len(rates) == pytest.approx(rate, abs=0.03), rates


def test_memory_layout_changes_nothing() -> None:
    plain = network(SMALL).eval()
    last = network(SMALL).eval().to(memory_format=torch.channels_last)
    torch.testing.assert_close(plain(images()), last(images().contiguous(memory_format=torch.channels_last)))


@pytest.mark.parametrize(("kind", "shape"), [("direct", (1, 2, 3, 8, 8)), ("frames", (1, 3, 8, 8))])
@pytest.mark.parametrize("neuron", [DEFAULT, None], ids=["spiking", "twin"])
def test_images_that_do_not_fit_the_encoding_are_refused(
    kind: str, shape: tuple[int, ...], neuron: NeuronConfig | None
) -> None:
    """Otherwise they would be counted by the wrong rule."""
    built = Network(
        plan(SqueezeNet.model_validate(SMALL), 10, (3, 8, 8)), neuron, EncodingConfig(kind=kind, timesteps=2)
    )
    with pytest.raises(ValueError, match=f"for encoding kind {kind}: give"):
        built(torch.zeros(shape))
