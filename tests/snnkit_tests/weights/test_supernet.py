"""Subnetworks use the shared weights, return their gradients, and are evaluated independently of each other."""

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.designs import IMAGE, built, examples
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from snnkit.architecture.plan import Plan, training_macs
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data import Images, Splits
from snnkit.families import FAMILIES
from snnkit.families.squeezenet import FIRES, SqueezeNet, plan
from snnkit.nn.network import Network
from snnkit.training.loop import train
from snnkit.training.recipe import Recipe
from snnkit.weights.sandwich import SandwichStep
from snnkit.weights.supernet import Supernet
from snnkit.weights.supernet_evaluation import evaluate_in_supernet

NEURON, ENCODING = NeuronConfig(initial_rate=0.4), EncodingConfig(timesteps=2)


def colours(count: int, seed: int) -> Images:
    """Return images of three classes that differ in brightness."""
    labels = np.arange(count) % 3
    drawn = np.random.default_rng(seed).integers(0, 60, (count, 3, 8, 8)) + 90 * labels[:, None, None, None]
    return Images(drawn.astype(np.uint8), labels)


SPLITS = Splits("small", colours(60, 0), colours(30, 1), colours(30, 2), (0.5,) * 3, (0.3,) * 3, ("a", "b", "c"))
RECIPE = Recipe(epochs=2, batch=20, lr=0.01, precision="fp32", augment="none", chance_patience=0)


def squeezenet(kept: str, **changes: object) -> Plan:
    """Return a narrow plan for 8x8 images; ``kept`` holds the digits of the Fires that stay."""
    narrow = {"squeeze": 3, "expand1x1": 4, "expand3x3": 4}
    fires = {fire: narrow | {"keep": fire[-1] in kept} | dict(changes.get(fire, {})) for fire in FIRES}  # type: ignore[call-overload]
    design = SqueezeNet.model_validate({"stem": {"width": 6}, "pool": {"after": ("stem",)}, **fires})
    return plan(design, 3, (3, 8, 8))


PLANS = [squeezenet("24"), squeezenet("2"), squeezenet("4"), squeezenet("")]


def supernet(plans: list[Plan] = PLANS, neuron: NeuronConfig = NEURON) -> Supernet:
    return Supernet(plans, neuron, ENCODING, seed=0)


def images(count: int = 8) -> torch.Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 4 - 1


def test_subnetworks_have_the_current_shared_weights() -> None:
    whole = supernet()
    before = whole.subnetwork(PLANS[1])(images())
    with torch.no_grad():
        for weights in whole.shared.values():
            weights.mul_(-1.5)
    assert not torch.equal(whole.subnetwork(PLANS[1])(images()), before)
    for each in PLANS:
        network = whole.subnetwork(each)
        assert torch.equal(network.layer(each.convs[0]).conv.weight, whole.shared["stem_3_0"])


def weights(network: Network, name: str) -> torch.Tensor:
    return network.layer(next(conv for conv in network.plan.convs if conv.name == name)).conv.weight


def test_layer_behind_a_removed_module_reads_the_previous_one_with_the_same_weights() -> None:
    whole = supernet()
    second, first = (weights(whole.subnetwork(each), "fire4.squeeze") for each in (PLANS[0], PLANS[2]))
    assert (second.shape[1], first.shape[1]) == (8, 6)  # it reads both halves of Fire 2, or the stem
    assert torch.equal(second[:, :4], first[:, :4])
    assert torch.equal(second[:, 4:], whole.shared["fire4_squeeze_1_1"])


def test_a_narrower_layer_has_the_first_filters() -> None:
    wide, narrow = squeezenet("24"), squeezenet("24", fire2={"expand1x1": 2, "expand3x3": 3})
    whole = supernet([wide, narrow])
    mine, theirs = whole.subnetwork(narrow), whole.subnetwork(wide)
    assert torch.equal(weights(mine, "fire2.expand3x3"), weights(theirs, "fire2.expand3x3")[:3])
    kept = [0, 1, 4, 5, 6]  # two filters of the one half and three of the other
    assert torch.equal(weights(mine, "fire4.squeeze"), weights(theirs, "fire4.squeeze")[:, kept])


def test_gradients_of_all_networks_add_up() -> None:
    whole, labels = supernet(), torch.arange(8) % 3
    apart = []
    for each in PLANS[:3]:
        alone = supernet()
        functional.cross_entropy(alone.subnetwork(each).train()(images()), labels).backward()
        alone.collect_gradients(each)
        apart.append({name: weights.grad for name, weights in alone.shared.items()})
        functional.cross_entropy(whole.subnetwork(each).train()(images()), labels).backward()
        whole.collect_gradients(each)
    for name, weights in whole.shared.items():
        grads = [found[name] for found in apart if found[name] is not None]
        assert weights.grad is not None, name
        torch.testing.assert_close(weights.grad, sum(grads[1:], grads[0]))
    assert apart[1]["fire4_squeeze_1_0"] is None  # a network that has no Fire 4 leaves its weights alone


@pytest.mark.parametrize("family", FAMILIES)
@given(data=st.data())
@examples(5)
def test_every_family_has_a_supernet(family: str, data: st.DataObject) -> None:
    plans = [data.draw(built(family))[1] for _ in range(3)]
    whole = supernet(plans, NeuronConfig(initial_rate=0.4, leak=0.5, learn_leak=True))
    pictures = torch.rand(4, *IMAGE, generator=torch.Generator().manual_seed(0))
    for each in plans:
        network = whole.subnetwork(each).train()
        assert {network.lif(op).current_neuron.leak for op in network.spiking_ops} == {0.5}
        logits = network(pictures)
        logits.square().sum().backward()
        whole.collect_gradients(each)
        assert logits.shape == (4, each.classes)
    assert all(weights.grad is not None for weights in whole.shared.values())


def sandwich(path: Path | None = None, epochs: int = 2, stop_after: int = 99) -> tuple[Supernet, list[float]]:
    whole = supernet()
    make_step = partial(SandwichStep, plans=PLANS, paths=3)
    recipe = RECIPE.model_copy(update={"epochs": epochs})
    found = train(whole, SPLITS, recipe, seed=0, device="cpu", make_step=make_step, checkpoint=path)
    return whole, [epoch.train_loss for epoch in itertools.islice(found, stop_after)]


def test_training_of_a_supernet_resumes_bit_equal(tmp_path: Path) -> None:
    undisturbed, losses = sandwich()
    sandwich(tmp_path / "checkpoint.pt", stop_after=1)
    resumed, again = sandwich(tmp_path / "checkpoint.pt")
    assert again == losses
    for (name, one), other in zip(undisturbed.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_epoch_counts_the_cost_of_all_its_paths() -> None:
    step = SandwichStep(supernet(), SPLITS, RECIPE, seed=0, device="cpu", plans=PLANS, paths=3)
    paths = [step.sample_plans(0, number) for number in range(step.steps_per_epoch)]
    assert [path[0] for path in paths] == [PLANS[0], PLANS[3], PLANS[0]]
    assert all(len(path) == 3 for path in paths)
    each = [20 * training_macs(plan, timesteps=2, input_steps=1) for path in paths for plan in path]
    assert (step.epoch_macs(0), step.images_per_epoch) == (sum(each), 20 * len(each))


def test_evaluation_does_not_depend_on_earlier_ones() -> None:
    whole, _ = sandwich(epochs=1)
    first = evaluate_in_supernet(whole, PLANS[1], SPLITS, device="cpu")
    for each in PLANS:
        evaluate_in_supernet(whole, each, SPLITS, device="cpu")
    again = evaluate_in_supernet(whole, PLANS[1], SPLITS, device="cpu")
    assert first == again
    assert first.images == 30 + 60  # validation, and the training images that there are
    assert first.macs == 90 * training_macs(PLANS[1], timesteps=2, input_steps=1) / 3
    assert 0 < first.counts.firing_rate < 1
