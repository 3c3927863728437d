"""The LIF layer against snnTorch's Leaky, run step by step."""

from itertools import product

import pytest
import torch
from torch import Tensor

from snnkit.kernels.reference import lif_with_membrane
from snnkit.neurons import LIF
from snnkit.values import Neuron

STEPS = 6
NEURONS = [
    Neuron(leak=leak, threshold=threshold, reset=reset, reset_delay=delay, surrogate=surrogate, slope=slope)
    for (leak, threshold), reset, delay, (surrogate, slope) in product(
        [(0.9, 1.0), (0.5, 0.7)],
        ["subtract", "zero"],
        [True, False],
        [
            ("atan", 2.0),
            ("atan", 3.0),
            ("fast_sigmoid", 5.0),
            ("sigmoid", 4.0),
            ("triangular", 1.0),
            ("straight_through", 1.0),
        ],
    )
]


def label(neuron: Neuron) -> str:
    when = "delayed" if neuron.reset_delay else "at once"
    return f"{neuron.leak} {neuron.reset} {when} {neuron.surrogate} {neuron.slope}"


def step_by_step(current: Tensor, neuron: Neuron) -> tuple[Tensor, Tensor]:
    leaky = LIF(neuron).as_leaky().to(current.dtype)
    leaky.beta.fill_(neuron.leak)  # snnTorch rounds both to float32
    leaky.threshold.fill_(neuron.threshold)
    membrane = torch.zeros_like(current[0])
    spikes, membranes = [], []
    for x in current:
        spike, membrane = leaky(x, membrane)
        spikes.append(spike)
        membranes.append(membrane)
    return torch.stack(spikes), torch.stack(membranes)


def currents(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    noise = torch.randn(STEPS, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return (noise * 1.5 + 0.4).requires_grad_()


@pytest.mark.parametrize("neuron", NEURONS, ids=label)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_spikes_membrane_and_gradients_are_those_of_leaky(neuron: Neuron, dtype: torch.dtype) -> None:
    ours, theirs = currents(7, 50, dtype=dtype), currents(7, 50, dtype=dtype)
    spikes, membrane = lif_with_membrane(ours, neuron, STEPS)
    expected_spikes, expected_membrane = step_by_step(theirs, neuron)
    assert 0.2 < spikes.mean() < 0.8
    assert torch.equal(spikes, expected_spikes)
    torch.testing.assert_close(membrane, expected_membrane, rtol=0, atol=1e-6)

    generator = torch.Generator().manual_seed(1)
    on_spikes, on_membrane = (torch.randn(spikes.shape, generator=generator, dtype=dtype) for _ in range(2))
    ((spikes * on_spikes).sum() + (membrane * on_membrane).sum()).backward()
    ((expected_spikes * on_spikes).sum() + (expected_membrane * on_membrane).sum()).backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    scale = theirs.grad.abs().max().item()  # snnTorch's spikes are float32, and so are the gradients through them
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-6 * scale)
