"""The fused kernels equal the reference where currents are infinite, NaN or overflow in the membrane."""

import itertools
from functools import partial

import pytest
import torch
from helpers.kernel_cases import available_kernels
from torch import Tensor, nn

from snnkit.base.config import NeuronConfig
from snnkit.kernels import fused, reference
from snnkit.kernels.fused import Kernels

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of Triton's interpreter

INF, NAN = float("inf"), float("nan")
VALUES = (INF, -INF, NAN, 3e38, -3e38, 2.0, 0.0)
STEPS = tuple(itertools.product(VALUES, repeat=3))  # the currents of a neuron, step by step
WINDOWS = tuple(itertools.product((INF, -INF, NAN, 2.0, 0.0), repeat=4))

RESETS = [(reset, delay) for reset in ("subtract", "zero") for delay in (True, False)]
SURROGATES = ["atan", "fast_sigmoid", "sigmoid", "triangular", "straight_through"]


def neuron(reset: str, delay: bool, leak: float = 0.5, surrogate: str = "atan") -> NeuronConfig:
    return NeuronConfig.model_validate(
        {"leak": leak, "reset": reset, "reset_delay": delay, "surrogate": surrogate, "threshold": 1.0}
    )


def of_neurons(dtype: torch.dtype) -> Tensor:
    """(T, 1, 7, 7, 7): one neuron for each of STEPS, in channels_last."""
    values = torch.tensor(STEPS).T.reshape(3, 1, 7, 7, 7).to(dtype)
    return values.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(values.shape)


def of_windows() -> Tensor:
    """(1, 625, 1, 2, 2): one window of neurons for each of WINDOWS."""
    return torch.tensor(WINDOWS).reshape(1, -1, 1, 2, 2)


def run(
    kernels: Kernels | None, values: Tensor, config: NeuronConfig, norm: nn.BatchNorm2d | None = None, *, pool: int = 1,
    steps: int = 3,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """The spikes, and the gradients of the currents and of BatchNorm's parameters."""
    leaf = values.clone().requires_grad_()
    drive = reference.input_current if kernels is None else partial(fused.input_current, kernels)
    fire = reference.fused_lif if kernels is None else partial(fused.fused_lif, kernels)
    spikes, counts = fire(
        [drive(leaf, norm)], config, steps, pool=pool, pool_currents=pool > 1, dtype=values.dtype, count_spikes=True
    )
    assert counts is not None
    assert counts.item() == spikes.float().sum().item()
    weights = torch.randn(spikes.shape, generator=torch.Generator().manual_seed(0)).to(spikes.dtype)
    leaves = [leaf] if norm is None else [leaf, norm.weight, norm.bias]
    return spikes.detach(), list(torch.autograd.grad(spikes, leaves, weights))


def assert_equal(ours: tuple[Tensor, list[Tensor]], expected: tuple[Tensor, list[Tensor]], rtol: float) -> None:
    assert torch.equal(ours[0], expected[0])
    for found, wanted in zip(ours[1], expected[1], strict=True):
        torch.testing.assert_close(found, wanted, rtol=rtol, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("leak", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("reset", "delay"), RESETS)
def test_overflowing_currents_give_the_spikes_and_gradients_of_the_reference(
    kernels: Kernels, reset: str, delay: bool, leak: float
) -> None:
    config = neuron(reset, delay, leak)
    for dtype, rtol in ((torch.float32, 1e-5), (torch.bfloat16, 2**-6)):
        values = of_neurons(dtype)
        assert_equal(run(kernels, values, config), run(None, values, config), rtol)
        still = values[:1]
        assert_equal(run(kernels, still, config), run(None, still, config), rtol)


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("surrogate", SURROGATES)
def test_overflowing_currents_have_the_surrogates_of_the_reference(kernels: Kernels, surrogate: str) -> None:
    for reset, delay in RESETS:
        config = neuron(reset, delay, surrogate=surrogate)
        values = of_neurons(torch.float32)
        assert_equal(run(kernels, values, config), run(None, values, config), 1e-5)


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize(("reset", "delay"), RESETS)
def test_windows_of_overflowing_currents_pass_on_what_torch_does(kernels: Kernels, reset: str, delay: bool) -> None:
    for surrogate in ("atan", "straight_through"):  # the latter has finite gradients everywhere
        config = neuron(reset, delay, surrogate=surrogate)
        ours, expected = (run(each, of_windows(), config, pool=2, steps=2) for each in (kernels, None))
        assert_equal(ours, expected, 1e-5)


@pytest.mark.parametrize("kernels", available_kernels())
@pytest.mark.parametrize("training", [True, False], ids=["batch", "running"])
@pytest.mark.parametrize(("reset", "delay"), RESETS)
def test_batchnorm_spreads_an_overflow_as_the_reference_does(
    kernels: Kernels, reset: str, delay: bool, training: bool
) -> None:
    """One value of one channel of three is infinite."""
    config = neuron(reset, delay)
    for wrong in (INF, NAN, 3e38):
        values = torch.randn(3, 2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
        values[1, 0, 1, 2, 2] = wrong
        outcomes = []
        for each in (kernels, None):
            norm = nn.BatchNorm2d(3).train(training)
            nn.init.constant_(norm.weight, 2.0)
            outcomes.append(run(each, values, config, norm))
        assert_equal(outcomes[0], outcomes[1], 1e-4)
        if not training:  # with the batch's statistics, it reaches the whole channel
            assert outcomes[0][1][0][:, 1:].isfinite().all()  # the other image
