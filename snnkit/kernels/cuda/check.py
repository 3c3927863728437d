"""Whether the kernels give on this device what the reference gives: asked once a process, on two small layers."""

from functools import partial

import torch
from torch import Tensor, nn

from snnkit.kernels import fused, reference
from snnkit.kernels.fused import Kernels
from snnkit.values import Neuron


class KernelError(Exception):
    pass


def check(kernels: Kernels, device: torch.device) -> None:
    """Raises KernelError, or what the kernels raise, where they cannot be trusted."""
    spikes, gradients = _run(kernels, device)
    expected_spikes, expected_gradients = _run(None, device)
    if not torch.equal(spikes, expected_spikes):
        raise KernelError(f"{int((spikes != expected_spikes).sum())} of {spikes.numel()} spikes differ")
    for ours, expected in zip(gradients, expected_gradients, strict=True):
        worst = float((ours - expected).abs().max() / expected.abs().max())
        if not worst < 1e-4:
            raise KernelError(f"a gradient differs by {worst:.1g} of its largest value")


def _run(kernels: Kernels | None, device: torch.device) -> tuple[Tensor, list[Tensor]]:
    """Two layers side by side with pooling; None: by the reference."""
    generator = torch.Generator().manual_seed(0)
    currents, leaves = [], []
    for channels in (24, 7):
        values = (torch.randn(3, 2, channels, 8, 8, generator=generator) + 0.5).to(device).requires_grad_()
        norm = nn.BatchNorm2d(channels, device=device)
        currents.append(reference.drive(values, norm) if kernels is None else fused.drive(kernels, values, norm))
        leaves += [values, norm.weight, norm.bias]
    run = reference.fire if kernels is None else partial(fused.fire, kernels)
    spikes, _ = run(currents, Neuron(leak=0.5), 3, pool=2, dtype=torch.float32, counted=False)
    weights = torch.randn(spikes.shape, generator=generator).to(device)
    return spikes.detach(), list(torch.autograd.grad(spikes, leaves, weights))
