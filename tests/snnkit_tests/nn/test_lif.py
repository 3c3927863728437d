"""The LIF layer against snnTorch's Leaky, run step by step."""

from itertools import product

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from snnkit.base.config import NeuronConfig
from snnkit.kernels import reference
from snnkit.kernels.reference import SURROGATES, lif_with_membrane
from snnkit.nn.lif import LIF

STEPS = 6
NEURONS = [
    NeuronConfig(leak=leak, threshold=threshold, reset=reset, reset_delay=delay, surrogate=surrogate, slope=slope)
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


def label(neuron: NeuronConfig) -> str:
    when = "delayed" if neuron.reset_delay else "at once"
    return f"{neuron.leak} {neuron.reset} {when} {neuron.surrogate} {neuron.slope}"


def step_by_step(current: Tensor, neuron: NeuronConfig) -> tuple[Tensor, Tensor]:
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
def test_spikes_membrane_and_gradients_equal_leaky(neuron: NeuronConfig, dtype: torch.dtype) -> None:
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
    scale = theirs.grad.abs().max().item()  # snnTorch's spikes and their gradients are float32
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("neuron", NEURONS, ids=label)
def test_a_learned_leak_gets_the_gradient_that_leaky_s_gets(neuron: NeuronConfig) -> None:
    learning = neuron.model_copy(update={"learn_leak": True})
    lif, current = LIF(learning).double(), currents(7, 50, dtype=torch.float64)
    leaky = lif.as_leaky().double()
    membrane, expected = torch.zeros_like(current[0]), []
    for x in current:
        spike, membrane = leaky(x, membrane)
        expected.append(spike)
    weights = torch.randn(current.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    spikes = lif(current)
    assert torch.equal(spikes, torch.stack(expected))
    (theirs,) = torch.autograd.grad((torch.stack(expected) * weights).sum(), leaky.beta)
    (ours,) = torch.autograd.grad((spikes * weights).sum(), lif.leak_logit)
    assert abs(theirs) > 0.1
    assert ours.item() == pytest.approx(theirs.item() * neuron.leak * (1 - neuron.leak), rel=1e-5)


def test_constant_current_gives_the_leak_the_gradient_of_every_step() -> None:
    lif, still = LIF(NeuronConfig(leak=0.5, learn_leak=True)), currents(5, 11)[:1].detach()
    weights = torch.randn(STEPS, 5, 11, generator=torch.Generator().manual_seed(1))
    for each in (lif(still, STEPS), lif(still.repeat(STEPS, 1, 1))):
        (each * weights).sum().backward()
    once, repeated = (
        lif.leak_logit.grad / 2,
        torch.autograd.grad((lif(still, STEPS) * weights).sum(), lif.leak_logit)[0],
    )
    assert once.item() == pytest.approx(repeated.item(), rel=1e-5)


def test_learned_leak_matters_only_with_several_steps() -> None:
    assert "learn_leak" not in NeuronConfig(leak=0.5).effective(4)
    assert "learn_leak" not in NeuronConfig(leak=0.5, learn_leak=True).effective(1)
    assert NeuronConfig(leak=0.5, learn_leak=True).effective(2)["learn_leak"]


@pytest.mark.parametrize("leak", [0, 1])
def test_a_leak_that_a_sigmoid_cannot_have_is_refused(leak: int) -> None:
    with pytest.raises(ValidationError, match=f"given learn_leak with leak {leak}; .* write leak: 0.5"):
        NeuronConfig(leak=leak, learn_leak=True)


def spikes_and_gradient(current: Tensor, neuron: NeuronConfig, timesteps: int | None = None) -> tuple[Tensor, Tensor]:
    current = current.detach().requires_grad_()
    spikes = LIF(neuron)(current, timesteps)
    weights = torch.randn(spikes.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((spikes * weights).sum(), current)
    return spikes, gradient


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("delay", [True, False])
def test_blocks_of_neurons_are_independent(monkeypatch: pytest.MonkeyPatch, reset: str, delay: bool) -> None:
    neuron = NeuronConfig.model_validate({"reset": reset, "reset_delay": delay})
    whole = spikes_and_gradient(currents(5, 11), neuron)
    monkeypatch.setattr(reference, "BLOCK_NEURONS", 8)  # 55 neurons: the last block has 7
    for ours, expected in zip(spikes_and_gradient(currents(5, 11), neuron), whole, strict=True):
        assert torch.equal(ours, expected)


def test_constant_current_equals_the_same_current_at_every_step() -> None:
    still = currents(5, 11)[:1]
    spikes, gradient = spikes_and_gradient(still, NeuronConfig(), timesteps=4)
    repeated, each = spikes_and_gradient(still.repeat(4, 1, 1), NeuronConfig())
    assert torch.equal(spikes, repeated)
    torch.testing.assert_close(gradient, each.sum(0, keepdim=True))


@pytest.mark.parametrize("axes", [(0, 1, 2, 3, 4), (0, 1, 4, 2, 3), (0, 1, 3, 2, 4), (1, 0, 2, 3, 4)], ids=str)
def test_memory_layout_is_kept_and_changes_nothing(axes: tuple[int, ...]) -> None:
    plain = currents(2, 3, 4, 5)
    back = sorted(range(5), key=axes.__getitem__)
    arranged = plain.detach().permute(axes).contiguous().permute(back)  # the same values in another memory layout
    expected_spikes, expected_gradient = spikes_and_gradient(plain, NeuronConfig())
    spikes, gradient = spikes_and_gradient(arranged, NeuronConfig())
    assert torch.equal(spikes, expected_spikes)
    assert torch.equal(gradient, expected_gradient)
    assert spikes[0].stride() == arranged[0].clone().stride()


def test_bf16_currents_are_integrated_in_float32() -> None:
    rounded = currents(40, 50).bfloat16()
    spikes, gradient = spikes_and_gradient(rounded, NeuronConfig())
    expected_spikes, expected_gradient = spikes_and_gradient(rounded.float(), NeuronConfig())
    assert spikes.dtype == gradient.dtype == torch.bfloat16
    assert torch.equal(spikes.float(), expected_spikes)
    scale = expected_gradient.abs().max().item()
    torch.testing.assert_close(gradient.float(), expected_gradient, rtol=0, atol=0.01 * scale)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_gradients_are_finite_far_from_the_threshold(surrogate: str) -> None:
    neuron = NeuronConfig.model_validate({"surrogate": surrogate, "slope": 25})
    _, gradient = spikes_and_gradient(torch.linspace(-1e4, 1e4, 101).expand(2, -1), neuron)
    assert gradient.isfinite().all()


def test_a_membrane_at_the_threshold_does_not_spike() -> None:
    assert LIF(NeuronConfig())(torch.tensor([[1.0], [0.0]])).tolist() == [[0], [0]]


def test_leak_and_delayed_reset_by_hand() -> None:
    """leak 0.5, threshold 1: u = 1.5 (spike), 0.75 + 1 - 1 = 0.75, 0.375 + 1 = 1.375 (spike), 0.6875 + 1 - 1."""
    current = torch.tensor([[1.5], [1.0], [1.0], [1.0]])
    spikes, membrane = lif_with_membrane(current, NeuronConfig(leak=0.5), 4)
    assert spikes.flatten().tolist() == [1, 0, 1, 0]
    assert membrane.flatten().tolist() == [1.5, 0.75, 1.375, 0.6875]


def test_evaluation_saves_nothing_for_a_backward_pass() -> None:
    with torch.no_grad():
        assert LIF(NeuronConfig())(currents(3)).grad_fn is None
