"""BatchNorm and ReLU of a CNN's layers equal torch's, forward and backward."""

import copy

import pytest
import torch
from torch import Tensor, nn

from snnkit import kernels
from snnkit.kernels import native

SHAPES = [(1, 3, 5, 4, 4), (1, 2, 16, 3, 5), (2, 3, 24, 2, 2), (1, 4, 1, 3, 3), (1, 2, 33, 2, 1), (1, 9, 7, 1, 1)]


def layer(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(channels, generator=generator))
        norm.bias.copy_(torch.randn(channels, generator=generator))
    return norm


def by_torch(values: Tensor, norm: nn.BatchNorm2d, *, relu: bool) -> Tensor:
    y: Tensor = norm(values.flatten(0, 1)).view(values.shape)
    return y.relu() if relu else y


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_training_equals_torch(shape: tuple[int, ...], relu: bool) -> None:
    if not native.ready():
        pytest.skip("no C compiler")
    given = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3 + 1
    grad = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    found = []
    for run, norm in ((kernels.batchnorm, layer(shape[2])), (by_torch, layer(shape[2]))):
        values = given.clone().requires_grad_()
        for _ in range(2):  # the running statistics of two batches
            y = run(values, norm, relu=relu)
        y.backward(grad)
        tensors = (y.detach(), values.grad, norm.weight.grad, norm.bias.grad)
        found.append([*tensors, norm.running_mean, norm.running_var, norm.num_batches_tracked])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_rounded_once() -> None:
    given = torch.randn(1, 4, 8, 5, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    wide, narrow = (kernels.batchnorm(values, layer(8), relu=True) for values in (given.float(), given))
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow, wide.bfloat16(), rtol=0, atol=0)


def test_evaluation_is_torchs_own() -> None:
    given, norm = torch.randn(1, 4, 8, 5, 5), layer(8).eval()
    before = copy.deepcopy(norm.state_dict())
    assert torch.equal(kernels.batchnorm(given, norm, relu=True), by_torch(given, norm, relu=True))
    assert all(torch.equal(before[name], tensor) for name, tensor in norm.state_dict().items())


def test_nan_and_infinity_stay_visible() -> None:
    given = torch.randn(1, 4, 8, 5, 5)
    given[0, 0, 3] = torch.nan
    y = kernels.batchnorm(given, layer(8), relu=True)
    assert y[:, :, 3].isnan().all()
    assert y[:, :, [0, 1, 2, 4, 5, 6, 7]].isfinite().all()


def test_one_value_per_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="one value per channel"):
        kernels.batchnorm(torch.randn(1, 1, 8, 1, 1), layer(8), relu=False)
