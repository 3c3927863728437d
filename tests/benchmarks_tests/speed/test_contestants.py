"""All contestants compute the same network."""

import copy

import pytest
import torch
from torch import Tensor, nn

from benchmarks.speed.contestants import NEURON, Rectified, SnnTorch, SpikingJelly
from snnkit.base.config import EncodingConfig
from snnkit.families.squeezenet import SqueezeNet, plan
from snnkit.nn.network import Network


@pytest.fixture
def ours() -> Network:
    """Return a float64 network, in which rounding flips no spike; in float32 one flip triples from layer to layer."""
    widths = {f"fire{i}": {"squeeze": 4, "expand1x1": 8, "expand3x3": 6} for i in range(2, 10)}
    design = SqueezeNet.model_validate({"stem": {"width": 8, "kernel": 3, "stride": 1, "padding": 1}} | widths)
    network = Network(plan(design, 10, (3, 16, 16)), NEURON, EncodingConfig(timesteps=3)).double()
    network.train()(images())  # statistics of some batch
    return network


def images() -> Tensor:
    return torch.randn(6, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def loss_and_gradients(network: nn.Module) -> tuple[float, list[Tensor]]:
    loss = nn.functional.cross_entropy(network(images()), torch.arange(6))
    return loss.item(), [grad for grad in torch.autograd.grad(loss, list(network.parameters())) if grad.ndim > 1]


def test_snntorch_gives_our_outputs(ours: Network) -> None:
    """Compare in evaluation mode. In training its BatchNorm sees one time step at a time."""
    theirs = SnnTorch(ours).double().eval()
    for leaky in theirs.leaky.values():
        leaky.beta.fill_(NEURON.leak)
    with torch.no_grad():
        torch.testing.assert_close(theirs(images()).double(), ours.eval()(images()).double(), rtol=0, atol=1e-6)


def test_spikingjelly_gives_our_loss_and_gradients(ours: Network) -> None:
    pytest.importorskip("spikingjelly", reason="needs the extra `bench`")
    theirs = SpikingJelly(ours).double().train()
    expected_loss, expected = loss_and_gradients(copy.deepcopy(ours).train())
    loss, gradients = loss_and_gradients(theirs)
    assert loss == pytest.approx(expected_loss, abs=1e-6)
    for ours_grad, theirs_grad in zip(sorted_by_size(expected), sorted_by_size(gradients), strict=True):
        torch.testing.assert_close(theirs_grad, ours_grad, rtol=0, atol=1e-5 * ours_grad.abs().max().item())


def sorted_by_size(gradients: list[Tensor]) -> list[Tensor]:
    return sorted(gradients, key=lambda grad: (tuple(grad.shape), grad.abs().sum().item()))


def test_rectified_network_has_our_weights_and_no_memory(ours: Network) -> None:
    rectified = Rectified(ours).double()
    assert sum(p.numel() for p in rectified.parameters()) == ours.plan.params
    logits = rectified.eval()(images())
    assert logits.shape == (6, 10)
