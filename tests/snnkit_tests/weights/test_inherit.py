"""A child of its parent's shape inherits the function, and one of another shape the most important part."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers.designs import IMAGE, changed, modules, narrow, planned, without
from torch import Tensor, nn

from snnkit.architecture.plan import Conv, Plan
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.families import FAMILIES
from snnkit.nn.network import Network
from snnkit.training.recalibration import recalibrate
from snnkit.weights.inherit import inherit
from snnkit.weights.refit import refit_rewired_layers

NEURON, ENCODING = NeuronConfig(), EncodingConfig(timesteps=2)
LEARNING = NeuronConfig(leak=0.5, learn_leak=True)
every_family = pytest.mark.parametrize("family", FAMILIES)


def network(plan: Plan, *, seed: int = 0, neuron: NeuronConfig = NEURON) -> Network:
    """Return a network with running statistics of its own, as after a training."""
    made = Network(plan, neuron, ENCODING, seed=seed).train()
    for at in range(3):
        made(images(seed=100 * seed + at))
    return made.eval()


def images(count: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(count, *IMAGE, generator=torch.Generator().manual_seed(seed))


def outputs(made: Network) -> Tensor:
    with torch.no_grad():
        return made(images(seed=9))


def outcomes(child: Network, parent: Network) -> dict[str, str]:
    return {each.name: each.outcome for each in inherit(child, parent)}


@every_family
@pytest.mark.parametrize("neuron", [NEURON, LEARNING], ids=["fixed", "learning"])
def test_child_with_the_plan_of_its_parent_computes_the_same(family: str, neuron: NeuronConfig) -> None:
    plan = planned(family, narrow(family))
    parent, child = (network(plan, seed=seed, neuron=neuron) for seed in (1, 2))
    for name, weight in parent.named_parameters():
        if name.endswith("leak_logit"):
            nn.init.constant_(weight, 3.0)
    assert set(outcomes(child, parent).values()) == {"copied"}
    assert torch.equal(outputs(child), outputs(parent))


@pytest.mark.parametrize("family", ["squeezenet", "shufflenet"])  # nothing adds spikes to currents
def test_currents_follow_the_threshold(family: str) -> None:
    plan = planned(family, narrow(family))
    parent = network(plan, seed=1)
    child = network(plan, seed=2, neuron=NeuronConfig(threshold=2.0))  # a power of 2: scaled without rounding
    inherit(child, parent)
    assert torch.equal(outputs(child), outputs(parent))


PRUNED = [(family, module) for family in FAMILIES for module in modules(family)]


@pytest.mark.parametrize(("family", "module"), PRUNED)
def test_child_without_a_module_inherits_all_that_it_still_has(family: str, module: str) -> None:
    design = narrow(family)
    whole, pruned = planned(family, design), planned(family, without(design, module))
    parent, child = network(whole, seed=1), network(pruned, seed=2)
    found = inherit(child, parent)
    assert [each.name for each in found] == [conv.name for conv in pruned.convs]
    assert "drawn" not in {each.outcome for each in found if each.name in {conv.name for conv in whole.convs}}
    refit_rewired_layers(child, parent, found, [images()])
    recalibrate(child, [images()])
    assert outputs(child).isfinite().all()


def squeezed(width: int) -> Plan:
    return planned("squeezenet", changed(narrow("squeezenet"), ("fire4", "squeeze"), width))


def conv_of(plan: Plan, name: str) -> Conv:
    return next(conv for conv in plan.convs if conv.name == name)


def importance(made: Network, name: str) -> Tensor:
    layer = made.layer(conv_of(made.plan, name))
    norm = layer.norm
    assert norm is not None
    assert norm.running_var is not None
    folded = layer.conv.weight.abs().sum((1, 2, 3)) * norm.weight.abs() / (norm.running_var + norm.eps).sqrt()
    return folded.detach()


def test_narrower_layer_keeps_its_most_important_filters_and_readers_drop_the_others() -> None:
    parent, child = network(squeezed(8), seed=1), network(squeezed(5), seed=2)
    with torch.no_grad():
        squeeze = parent.layer(conv_of(parent.plan, "fire4.squeeze"))
        squeeze.norm.weight.copy_(torch.tensor([1.0, 0.2, 3.0, 0.1, 2.0, 1.5, 0.3, 2.5]))  # type: ignore[union-attr]
    said = outcomes(child, parent)
    assert {name for name, outcome in said.items() if outcome == "cut"} == {
        "fire4.squeeze", "fire4.expand1x1", "fire4.expand3x3",
    }  # fmt: skip
    assert {outcome for name, outcome in said.items() if not name.startswith("fire4")} == {"copied"}
    kept = importance(parent, "fire4.squeeze").topk(5).indices.sort().values
    without_others = torch.zeros(8, dtype=torch.bool)
    without_others[kept] = True
    with torch.no_grad():
        for part in ("expand1x1", "expand3x3"):
            parent.layer(conv_of(parent.plan, f"fire4.{part}")).conv.weight[:, ~without_others] = 0
    torch.testing.assert_close(outputs(child), outputs(parent))


def test_coupled_filters_are_cut_together() -> None:
    """Residual stages tie the projections of all blocks to the inputs of depthwise filters and to the sums."""

    def stage(width: int) -> Plan:
        return planned("mobilenetv2", changed(narrow("mobilenetv2"), ("stage3", "width"), width))

    parent, child = network(stage(8), seed=1), network(stage(5), seed=2)
    said = {each.name: each for each in inherit(child, parent)}
    picks = {name: each.match.filters for name, each in said.items() if each.match and name.endswith("project")}
    projections = {picks[f"stage3.block{at}.project"] for at in (1, 2, 3)}
    assert len(projections) == 1
    (shared,) = projections
    for at in (2, 3):
        match = said[f"stage3.block{at}.expand"].match
        assert match is not None
        assert match.inputs == shared
        assert not match.rewired


def test_wider_layer_keeps_the_parents_filters_and_draws_the_others() -> None:
    parent, child, drawn = network(squeezed(5), seed=1), network(squeezed(8), seed=2), network(squeezed(8), seed=2)
    assert outcomes(child, parent)["fire4.squeeze"] == "padded"
    own, theirs, fresh = (
        made.layer(conv_of(made.plan, "fire4.squeeze")).conv.weight for made in (child, parent, drawn)
    )
    assert torch.equal(own[:5], theirs)
    assert torch.equal(own[5:], fresh[5:])


@pytest.mark.parametrize(("before", "after"), [(3, 5), (5, 3)])
def test_kernel_of_another_size_is_aligned_at_its_centre(before: int, after: int) -> None:
    def stem(kernel: int) -> Plan:
        return planned("mnasnet", changed(narrow("mnasnet"), ("stem", "kernel"), kernel))

    parent, child = network(stem(before), seed=1), network(stem(after), seed=2)
    inherit(child, parent)
    own, theirs = (made.layer(conv_of(made.plan, "stem")).conv.weight for made in (child, parent))
    small, large = sorted((own, theirs), key=lambda weight: weight.shape[-1])
    assert torch.equal(large[..., 1:-1, 1:-1], small)
    if after > before:
        torch.testing.assert_close(large.detach().abs().sum(), small.detach().abs().sum())  # the rim is zero


def test_layer_behind_a_removed_module_is_rewired_by_position() -> None:
    design = narrow("squeezenet")
    parent = network(planned("squeezenet", design), seed=1)
    child = network(planned("squeezenet", without(design, "fire5")), seed=2)
    said = outcomes(child, parent)
    assert {name for name, outcome in said.items() if outcome != "copied"} == {"fire6.squeeze"}
    assert said["fire6.squeeze"] == "rewired"


def test_rewired_layer_is_refitted_to_the_output_of_the_parents_layer() -> None:
    parent = network(planned("squeezenet", narrow("squeezenet")), seed=1)
    child = network(planned("squeezenet", without(narrow("squeezenet"), "fire6")), seed=2)
    found = inherit(child, parent)
    batches = [images(32, seed=at) for at in range(3)]
    name = "fire7.squeeze"

    def error(made: Network) -> float:
        seen: dict[str, Tensor] = {}
        for key, each in (("own", made), ("theirs", parent)):
            each.layer(conv_of(each.plan, name)).conv.register_forward_hook(_keep(seen, key))
        with torch.no_grad():
            for each in (made, parent):
                each(batches[0])
        own, theirs = (seen[key].view(2, 32, *seen[key].shape[1:]).mean(0) for key in ("own", "theirs"))
        return float((own - theirs).square().mean() / theirs.var((0, 2, 3)).mean())

    before = error(child)
    assert refit_rewired_layers(child, parent, found, batches) == (name,)
    after = error(child)
    assert after < min(before, 1.0)  # 1: what the mean of each channel alone would leave


def _keep(seen: dict[str, Tensor], key: str) -> Callable[[nn.Module, Any, Tensor], None]:
    return lambda module, given, result: seen.__setitem__(key, result)


def test_recalibrated_statistics_are_the_means_of_the_batches() -> None:
    made = network(planned("squeezenet", narrow("squeezenet")))
    batches = [images(4, seed=at) for at in range(3)]
    stem = made.layer(conv_of(made.plan, "stem"))
    with torch.no_grad():
        currents = [stem.conv(batch) for batch in batches]
    weights = {name: value.clone() for name, value in made.named_parameters()}
    recalibrate(made, batches)
    assert stem.norm is not None
    assert stem.norm.running_mean is not None
    assert stem.norm.running_var is not None
    means = torch.stack([each.mean((0, 2, 3)) for each in currents]).mean(0)
    variances = torch.stack([each.var((0, 2, 3)) for each in currents]).mean(0)
    torch.testing.assert_close(stem.norm.running_mean, means, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(stem.norm.running_var, variances, atol=1e-5, rtol=1e-4)
    assert stem.norm.momentum == 0.1
    assert not made.training
    assert not stem.norm.training
    assert all(torch.equal(value, weights[name]) for name, value in made.named_parameters())


def test_recalibration_is_the_same_each_time_and_without_dropout() -> None:
    plan = planned("squeezenet", changed(narrow("squeezenet"), ("head", "dropout"), 0.5))
    first, second = network(plan), network(plan)
    for made in (first, second):
        recalibrate(made, [images()])
        torch.rand(3)
    assert all(torch.equal(one, second.state_dict()[name]) for name, one in first.state_dict().items())
