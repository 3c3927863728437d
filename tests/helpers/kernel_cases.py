"""Layers of neurons of every kind, and the results of the kernels on them."""

import importlib.util
from functools import partial
from typing import NamedTuple

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from snnkit.base.config import NeuronConfig
from snnkit.kernels import fused, native, reference
from snnkit.kernels.fused import Kernels
from snnkit.kernels.native.library import library


class Case(NamedTuple):
    neuron: NeuronConfig
    timesteps: int
    still: bool  # one current for all steps
    images: int
    channels: tuple[int, ...]  # of the concatenated layers
    side: int  # of the spikes; the side of the current is pool times larger
    pool: int
    pool_currents: bool  # pooled before the neurons
    norm: str  # none, batch or running
    last: bool  # channels_last
    learns: bool  # each layer learns its own leak
    seed: int


NEURONS = st.builds(
    NeuronConfig,
    leak=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    threshold=st.sampled_from([1.0, 0.7]),
    reset=st.sampled_from(["subtract", "zero"]),
    reset_delay=st.booleans(),
    surrogate=st.sampled_from(["atan", "fast_sigmoid", "sigmoid", "triangular", "straight_through"]),
    slope=st.sampled_from([0.5, 2.0, 25.0]),
)
CASES = st.builds(
    Case,
    neuron=NEURONS,
    timesteps=st.integers(1, 7),
    still=st.booleans(),
    images=st.integers(1, 3),
    channels=st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple),
    side=st.integers(1, 5),
    pool=st.integers(1, 3),
    pool_currents=st.booleans(),
    norm=st.sampled_from(["none", "batch", "running"]),
    last=st.booleans(),
    learns=st.booleans(),
    seed=st.integers(0, 2**16),
)


class Outcome(NamedTuple):
    spikes: Tensor
    counts: Tensor
    gradients: list[Tensor]  # of the currents, weights, biases and leaks
    running: list[Tensor]


def outcome(kernels: Kernels | None, case: Case, dtype: torch.dtype, device: str = "cpu") -> Outcome:
    """Run a case on ``kernels``, or on the reference if it is None."""
    drive = reference.input_current if kernels is None else partial(fused.input_current, kernels)
    fire = reference.fused_lif if kernels is None else partial(fused.fused_lif, kernels)
    generator = torch.Generator().manual_seed(case.seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    steps, side = 1 if case.still else case.timesteps, case.side * case.pool
    currents, leaves, running = [], [], []
    for channels in case.channels:
        values = drawn(steps * case.images, channels, side, side) * 1.5 + 0.4
        if case.last:
            values = values.contiguous(memory_format=torch.channels_last)
        values = values.to(dtype).view(steps, case.images, channels, side, side).requires_grad_()
        norm = None
        if case.norm != "none":
            norm = nn.BatchNorm2d(channels, device=device).train(case.norm == "batch" and values.numel() > channels)
            with torch.no_grad():
                norm.weight.copy_(drawn(channels))
                norm.bias.copy_(drawn(channels))
            leaves += [norm.weight, norm.bias]
            running += [norm.running_mean, norm.running_var, norm.num_batches_tracked]
        leaves.append(values)
        current = drive(values, norm)
        if case.learns:
            leak = drawn().sigmoid().requires_grad_()
            leaves.append(leak)
            current = current._replace(leak=leak)
        currents.append(current)
    spikes, counts = fire(
        currents,
        case.neuron,
        case.timesteps,
        pool=case.pool,
        pool_currents=case.pool_currents,
        dtype=dtype,
        count_spikes=True,
    )
    weights = drawn(*spikes.shape).to(dtype)
    gradients = torch.autograd.grad(spikes, leaves, weights)
    assert counts is not None
    return Outcome(spikes, counts, list(gradients), [buffer for buffer in running if buffer is not None])


def assert_close(ours: list[Tensor], expected: list[Tensor], within: float) -> None:
    """Compare gradients to ``within`` of their largest value, or of the others' if they cancel before a BatchNorm."""
    largest = max((other.abs().max().item() for other in expected), default=0.0)
    for one, other in zip(ours, expected, strict=True):
        assert one.dtype == other.dtype
        scale = max(largest / 10, other.abs().max().item())
        torch.testing.assert_close(one, other, rtol=0, atol=within * scale)


def available_kernels() -> list[object]:
    """The fused kernels that can run here, as pytest's parameters: in C, and in Triton on a GPU or interpreted."""
    native_missing = library("lif") is None
    found = [pytest.param(native, id="native", marks=pytest.mark.skipif(native_missing, reason="no C compiler"))]
    if importlib.util.find_spec("triton"):
        from snnkit.kernels.cuda import launch

        found.append(pytest.param(launch, id="triton"))
    return list(found)
