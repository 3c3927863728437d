"""Layers of neurons of every kind, and what kernels make of them."""

from functools import partial
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from snnkit.base.config import NeuronConfig
from snnkit.kernels import fused, reference
from snnkit.kernels.fused import Kernels


class Case(NamedTuple):
    neuron: NeuronConfig
    timesteps: int
    still: bool  # one current for all steps
    images: int
    channels: tuple[int, ...]  # of layers side by side
    side: int  # of the spikes; the current's is pool times as large
    pool: int
    of_currents: bool  # pooled before the neurons
    norm: str  # none, batch or running
    last: bool  # channels_last
    learns: bool  # a leak of each layer's own
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
    of_currents=st.booleans(),
    norm=st.sampled_from(["none", "batch", "running"]),
    last=st.booleans(),
    learns=st.booleans(),
    seed=st.integers(0, 2**16),
)


class Outcome(NamedTuple):
    spikes: Tensor
    fired: Tensor
    gradients: list[Tensor]  # of the currents, weights, biases and leaks
    running: list[Tensor]


def outcome(kernels: Kernels | None, case: Case, dtype: torch.dtype, device: str = "cpu") -> Outcome:
    """Run the case with ``kernels``, or with the reference for None."""
    drive = reference.drive if kernels is None else partial(fused.drive, kernels)
    fire = reference.fire if kernels is None else partial(fused.fire, kernels)
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
    spikes, fired = fire(
        currents, case.neuron, case.timesteps, pool=case.pool, of_currents=case.of_currents, dtype=dtype, counted=True
    )
    weights = drawn(*spikes.shape).to(dtype)
    gradients = torch.autograd.grad(spikes, leaves, weights)
    assert fired is not None
    return Outcome(spikes, fired, list(gradients), [buffer for buffer in running if buffer is not None])


def assert_close(ours: list[Tensor], expected: list[Tensor], within: float) -> None:
    """Each to ``within`` of its largest value; where all of it cancels out (as before a BatchNorm), of the others'."""
    largest = max((other.abs().max().item() for other in expected), default=0.0)
    for one, other in zip(ours, expected, strict=True):
        assert one.dtype == other.dtype
        scale = max(largest / 10, other.abs().max().item())
        torch.testing.assert_close(one, other, rtol=0, atol=within * scale)
