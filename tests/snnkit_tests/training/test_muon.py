"""Muon: its orthogonalisation, which weights it trains, and what it leaves to AdamW."""

import copy
import math

import pytest
import torch
from torch import Tensor

from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.families import FAMILIES
from snnkit.nn.network import Network, layer_key
from snnkit.training.muon import MOMENTUM, NEWTON_SCHULZ_STEPS, Muon, newton_schulz, orthogonalised
from snnkit.training.optimizer import Optimizers, make_optimizer
from snnkit.training.recipe import Recipe

RECIPE = Recipe(optimizer="muon", lr=1e-3, muon_lr=0.1, weight_decay=0.5, precision="fp32")
BOTH = [torch.float32, torch.bfloat16]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(family: str, **choices: object) -> Network:
    entry = FAMILIES[family]
    plan = entry.plan(entry.design.model_validate(choices), 10, (3, 16, 16))
    return Network(plan, NeuronConfig(leak=0.5), EncodingConfig(timesteps=2))


def optimizers(found: object) -> tuple[torch.optim.Optimizer, Muon]:
    assert isinstance(found, Optimizers)
    adamw, muon = found.parts
    assert isinstance(muon, Muon)
    return adamw, muon


def set_gradients(trained: Network, seed: int) -> None:
    for at, weight in enumerate(trained.parameters()):
        weight.grad = drawn(*weight.shape, seed=seed + at)


@pytest.mark.parametrize(("rows", "columns"), [(8, 20), (20, 8), (16, 16)])
def test_singular_values_move_towards_one(rows: int, columns: int) -> None:
    before = drawn(rows, columns)
    (after,) = newton_schulz(before[None], steps=5)
    left, _, right = torch.linalg.svd(before, full_matrices=False)
    assert torch.linalg.svdvals(after).sub(1).abs().max() < 0.45
    nearest = left @ right
    assert torch.nn.functional.cosine_similarity(after.flatten(), nearest.flatten(), dim=0) > 0.95


def test_tensors_of_one_shape_are_orthogonalised_as_alone() -> None:
    tensors = [drawn(4, 6, 1, 1), drawn(6, 4, 3, 3, seed=1), drawn(4, 6, 1, 1, seed=2)]
    together = orthogonalised(tensors, torch.float32)
    for tensor, found in zip(tensors, together, strict=True):
        assert found.shape == tensor.shape
        torch.testing.assert_close(found, orthogonalised([tensor], torch.float32)[0])


@pytest.mark.parametrize("shape", [(6, 10), (10, 6)])
def test_matrix_is_trained_as_by_torch_s_muon(shape: tuple[int, int]) -> None:
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch has Muon since 2.9")
    own, theirs = (torch.nn.Parameter(drawn(*shape)) for _ in range(2))
    muon = Muon([{"params": [own], "weight_decay": 0.1}], lr=0.02, dtype=torch.bfloat16)
    reference = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, momentum=MOMENTUM, ns_steps=NEWTON_SCHULZ_STEPS)
    for step in range(4):
        own.grad, theirs.grad = drawn(*shape, seed=step), drawn(*shape, seed=step)
        muon.step()
        reference.step()
        torch.testing.assert_close(own, theirs, atol=1e-3, rtol=0)  # a step is 0.02, in bf16


def test_stem_classifier_and_vectors_are_left_to_adamw() -> None:
    trained = network("squeezenet", pool={"of": "currents"})
    adamw, muon = optimizers(make_optimizer(trained, RECIPE))
    own = {id(weight) for group in muon.param_groups for weight in group["params"]}
    *inner, head = trained.plan.convs
    assert own == {id(trained.layer(op).conv.weight) for op in inner if op.name != "stem"}
    rest = {id(weight) for group in adamw.param_groups for weight in group["params"]}
    assert rest == {id(weight) for weight in trained.parameters()} - own
    assert id(trained.layer(head).conv.weight) in rest


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_grouped_convolutions_are_left_to_adamw(family: str) -> None:
    trained = network(family)
    _, muon = optimizers(make_optimizer(trained, RECIPE))
    own = {id(weight) for group in muon.param_groups for weight in group["params"]}
    found = [op for op in trained.plan.convs if id(trained.layer(op).conv.weight) in own]
    assert found
    assert all(op.groups == 1 and op.reads != "input" for op in found)


def test_weights_before_batchnorm_keep_their_norm_and_change_by_the_learning_rate() -> None:
    trained = network("squeezenet")
    op = next(op for op in trained.plan.convs if op.name == "fire4.expand3x3")
    weight = trained.get_parameter(f"layers.{layer_key(op)}.conv.weight")
    optimizer = make_optimizer(trained, RECIPE)
    for step in range(3):
        before = weight.detach().clone()
        set_gradients(trained, seed=step)
        optimizer.step()
        scaled = before * math.sqrt(len(before)) / before.norm()
        assert float((weight.detach() - scaled).norm() / scaled.norm()) == pytest.approx(0.1, rel=0.3)
    assert float(weight.detach().norm()) == pytest.approx(math.sqrt(len(weight)), rel=0.1)


def test_weights_without_batchnorm_decay_instead() -> None:
    trained = network("squeezenet", batchnorm=False)
    _, muon = optimizers(make_optimizer(trained, RECIPE))
    (group,) = muon.param_groups
    assert (group["fixed_norm"], group["weight_decay"]) == (False, 0.5)
    weight, before = group["params"][0], group["params"][0].detach().clone()
    weight.grad = torch.zeros_like(weight)
    muon.step()
    torch.testing.assert_close(weight.detach(), before * (1 - 0.1 * 0.5))


def test_weight_without_gradient_stays() -> None:
    weight = torch.nn.Parameter(drawn(3, 4))
    Muon([{"params": [weight], "fixed_norm": True}], lr=0.1, dtype=torch.float32).step()
    assert torch.equal(weight, drawn(3, 4))


@pytest.mark.parametrize("dtype", BOTH)
def test_both_optimizers_continue_from_their_state(dtype: torch.dtype) -> None:
    recipe = RECIPE.model_copy(update={"precision": "bf16" if dtype == torch.bfloat16 else "fp32"})
    straight, resumed = network("squeezenet"), network("squeezenet")
    first, second = make_optimizer(straight, recipe), make_optimizer(resumed, recipe)
    assert optimizers(first)[1].dtype == dtype
    set_gradients(straight, 0)
    first.step()
    resumed.load_state_dict(straight.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))  # torch would share the tensors
    for trained, optimizer in ((straight, first), (resumed, second)):
        set_gradients(trained, 100)
        optimizer.step()
    assert all(torch.equal(straight.state_dict()[name], found) for name, found in resumed.state_dict().items())
