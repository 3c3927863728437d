"""The fused optimizers of torch update weights as the plain ones do, in the memory format of training."""

import copy

import pytest
import torch
from torch import nn

from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.families import FAMILIES
from snnkit.nn.network import Network
from snnkit.training.optimizer import make_optimizer
from snnkit.training.recipe import Recipe

# On a CPU, the fused step of torch 2.14 reads memory in order, whatever the strides. A gradient in another memory
# format than its weight gave wrong weights without an error. Autograd gives each gradient the format of its weight.


def network(family: str, neuron: NeuronConfig | None) -> Network:
    entry = FAMILIES[family]
    plan = entry.plan(entry.design(), 10, (3, 16, 16))
    return Network(plan, neuron, EncodingConfig(timesteps=2)).to(memory_format=torch.channels_last)


def backward(trained: nn.Module, seed: int) -> None:
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    trained(images.contiguous(memory_format=torch.channels_last)).square().sum().backward()


def order(tensor: torch.Tensor) -> list[int]:
    """The strides of the axes that have more than one place: they decide the order in memory."""
    return [step for step, length in zip(tensor.stride(), tensor.shape, strict=True) if length > 1]


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"traced"}))
@pytest.mark.parametrize("neuron", [None, NeuronConfig(leak=0.5)], ids=["cnn", "snn"])
def test_gradients_and_moments_have_the_memory_format_of_their_weights(
    family: str, neuron: NeuronConfig | None
) -> None:
    trained = network(family, neuron)
    optimizer = make_optimizer(trained, Recipe(optimizer="adamw", precision="fp32"))
    assert isinstance(optimizer, torch.optim.Optimizer)
    for seed in (0, 1):  # the second gradient is added to the first, as with `accumulate`
        backward(trained, seed)
    optimizer.step()
    for name, weight in trained.named_parameters():
        assert weight.grad is not None
        assert order(weight.grad) == order(weight), name
        assert order(optimizer.state[weight]["exp_avg"]) == order(weight), name


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_fused_steps_equal_plain_ones(kind: str) -> None:
    trained = network("squeezenet", None)
    plain = copy.deepcopy(trained)
    fused = make_optimizer(trained, Recipe.model_validate({"optimizer": kind, "precision": "fp32"}))
    other = make_optimizer(plain, Recipe.model_validate({"optimizer": kind, "precision": "fp32"}))
    for group in other.param_groups:
        assert group["fused"]
        group["fused"] = False
    for seed in range(3):
        torch.manual_seed(seed)
        for own, expected in zip(trained.parameters(), plain.parameters(), strict=True):
            own.grad = torch.randn_like(own)
            expected.grad = own.grad.clone()
        fused.step()
        other.step()
        for own, expected in zip(trained.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(own, expected, rtol=1e-4, atol=1e-6)
