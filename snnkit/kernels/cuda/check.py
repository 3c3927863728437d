"""Compare the kernels with the reference on this device, once per process, on small layers."""

from functools import partial

import torch
from torch import Tensor, nn

from snnkit.base.config import NeuronConfig
from snnkit.kernels import fused, reference
from snnkit.kernels.fused import Kernels

Outcome = tuple[Tensor, list[Tensor]]  # spikes and gradients


class KernelError(Exception):
    """The kernels disagree with the reference."""


def check(kernels: Kernels, device: torch.device) -> None:
    """Raise KernelError if spikes or gradients differ from the reference; errors of the kernels pass through."""
    for pool_currents in (False, True):
        _compare(_run(kernels, device, pool_currents=pool_currents), _run(None, device, pool_currents=pool_currents))


def _compare(ours: Outcome, expected: Outcome) -> None:
    (spikes, gradients), (expected_spikes, expected_gradients) = ours, expected
    if not torch.equal(spikes, expected_spikes):
        raise KernelError(f"{int((spikes != expected_spikes).sum())} of {spikes.numel()} spikes differ")
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        worst = float((found - wanted).abs().max() / wanted.abs().max())
        if not worst < 1e-4:
            raise KernelError(f"a gradient differs by {worst:.1g} of its largest value")


def _run(kernels: Kernels | None, device: torch.device, *, pool_currents: bool) -> Outcome:
    """Run two concatenated, pooled layers, one with a learned leak; with the reference if ``kernels`` is None."""
    generator = torch.Generator().manual_seed(0)
    currents, leaves = [], []
    for channels in (24, 7):
        values = (torch.randn(3, 2, channels, 8, 8, generator=generator) + 0.5).to(device).requires_grad_()
        norm = nn.BatchNorm2d(channels, device=device)
        currents.append(
            reference.input_current(values, norm) if kernels is None else fused.input_current(kernels, values, norm)
        )
        leaves += [values, norm.weight, norm.bias]
    leak = torch.tensor(0.7, device=device, requires_grad=True)
    currents[0], leaves = currents[0]._replace(leak=leak), [*leaves, leak]
    run = reference.fused_lif if kernels is None else partial(fused.fused_lif, kernels)
    dtype = torch.float32
    spikes, _ = run(
        currents, NeuronConfig(leak=0.5), 3, pool=2, dtype=dtype, count_spikes=False, pool_currents=pool_currents
    )
    weights = torch.randn(spikes.shape, generator=generator).to(device)
    return spikes.detach(), list(torch.autograd.grad(spikes, leaves, weights))
