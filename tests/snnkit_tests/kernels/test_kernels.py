"""The fused kernels against the reference: the same spikes, the same gradients, and a clean fallback."""

from types import ModuleType
from typing import NamedTuple

import pytest
import torch
from helpers.kernel_cases import CASES, Case, assert_close, outcome
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from snnkit import kernels
from snnkit.architecture.plan import Conv, Neurons
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.families import squeezenet
from snnkit.kernels import native, reference
from snnkit.kernels.native import library
from snnkit.nn.network import Fired, Network

needs_compiler = pytest.mark.skipif(library.library("lif") is None, reason="no C compiler on this machine")


@needs_compiler
@settings(max_examples=150, deadline=None, derandomize=True)
@given(case=CASES)
def test_fused_spikes_and_gradients_equal_the_reference(case: Case) -> None:
    ours, expected = (outcome(kernel, case, torch.float32) for kernel in (native, None))
    assert torch.equal(ours.spikes, expected.spikes)
    assert torch.equal(ours.counts, expected.counts)
    assert_close(ours.gradients, expected.gradients, 1e-5)
    assert_close(ours.running, expected.running, 1e-7)


@needs_compiler
@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=CASES)
def test_in_bf16_spikes_are_equal_and_gradients_within_rounding(case: Case) -> None:
    """Both integrate in float32. Before BatchNorm, gradients are rounded once more than in the reference."""
    ours, expected = (outcome(kernel, case, torch.bfloat16) for kernel in (native, None))
    assert torch.equal(ours.spikes, expected.spikes)
    assert_close(ours.gradients, expected.gradients, 2**-6)


@needs_compiler
def test_a_fused_layer_repeats_itself_bit_by_bit_and_threads_change_only_roundings() -> None:
    case = Case(NeuronConfig(), 4, False, 5, (24, 40), 4, 2, False, "batch", True, True, 0)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two, again = (outcome(native, case, torch.float32) for _ in range(2))
        torch.set_num_threads(1)
        one = outcome(native, case, torch.float32)
    finally:
        torch.set_num_threads(threads)
    for ours, expected in zip(two.gradients, again.gradients, strict=True):
        assert torch.equal(ours, expected)
    assert torch.equal(one.spikes, two.spikes)
    assert_close(one.gradients, two.gradients, 1e-5)


def test_batchnorm_equals_torch() -> None:
    values = torch.randn(3, 4, 10, 5, 5) * 2 + 1
    ours, theirs = nn.BatchNorm2d(10), nn.BatchNorm2d(10)
    spikes, _ = kernels.fused_lif([kernels.input_current(values, ours)], NeuronConfig(), 3)
    current = theirs(values.flatten(0, 1)).view_as(values)
    differ = spikes != reference.lif(current, NeuronConfig(), 3)
    assert differ.float().mean() < 1e-3  # only membranes within a rounding error of the threshold
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=1e-6, atol=1e-6)


def test_batchnorm_refuses_one_value_per_channel() -> None:
    with pytest.raises(ValueError, match="larger batches"):
        kernels.input_current(torch.randn(1, 1, 3, 1, 1), nn.BatchNorm2d(3))


def test_pool_that_does_not_divide_the_image_is_refused() -> None:
    with pytest.raises(ValueError, match="given pool 2 for 4x5"):
        kernels.fused_lif([kernels.input_current(torch.randn(1, 1, 3, 4, 5), None)], NeuronConfig(), 2, pool=2)


@needs_compiler
@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    shape=st.tuples(*(st.integers(1, high) for high in (3, 3, 40, 5, 5))),
    scale=st.sampled_from([0, 1, 4, 9]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
    last=st.booleans(),
)
def test_spikes_per_position_equal_the_reference(
    shape: tuple[int, ...], scale: int, dtype: torch.dtype, last: bool
) -> None:
    values = torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(0)) / max(scale, 1)
    values = values.to(dtype)
    if last:
        values = values.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(shape)
    assert torch.equal(native.spikes_per_position(values, scale, 4), reference.spikes_per_position(values, scale, 4))


@pytest.mark.parametrize("kernel", [kernels, reference])
def test_spikes_per_position_are_exact_beyond_float32(kernel: ModuleType) -> None:
    """2**15 means of 1,024 spikes, as a squeeze-excite reads them, and one spike."""
    values = torch.ones(1, 1, 2**15, 1, 1)
    values[0, 0, 0] = 1 + 1 / 1024
    assert kernel.spikes_per_position(values, 1024, 1025).item() == 2**25 + 1


class Windows(NamedTuple):
    images: int
    channels: int
    height: int
    width: int
    kernel: int
    stride: int
    padding: int
    bias: bool


POOL_SIDES = st.builds(
    Windows,
    images=st.integers(1, 3),
    channels=st.integers(1, 40),
    height=st.integers(5, 12),
    width=st.integers(5, 12),
    kernel=st.sampled_from([1, 2, 3, 5]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    bias=st.booleans(),
)


@needs_compiler
@settings(max_examples=60, deadline=None, derandomize=True)
@given(windows=POOL_SIDES, dtype=st.sampled_from([torch.float32, torch.bfloat16]), needs_input=st.booleans())
def test_depthwise_convolution_equals_torch(windows: Windows, dtype: torch.dtype, needs_input: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(
        windows.channels, windows.channels, windows.kernel, windows.stride, windows.padding,
        groups=windows.channels, bias=windows.bias,
    )  # fmt: skip
    x = torch.randn(windows.images, windows.channels, windows.height, windows.width).to(dtype)
    outcomes = []
    for convolve in (lambda x: native.depthwise.convolve(conv, x, dtype), lambda x: conv(x.float())):
        leaf = x.clone().requires_grad_(needs_input)
        y = convolve(leaf)
        weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(dtype).to(y.dtype)
        leaves = [*conv.parameters(), leaf] if needs_input else [*conv.parameters()]
        outcomes.append([y.float(), *(grad.float() for grad in torch.autograd.grad(y, leaves, weights))])
    assert_close(*outcomes, 1e-5 if dtype == torch.float32 else 2**-6)  # type: ignore[call-arg]


class Spikes:
    def __init__(self) -> None:
        self.of: dict[str, Tensor] = {}

    def __call__(self, op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if fired is not None:
            self.of[op.name] = fired.spikes()
            assert fired.count == self.of[op.name].sum()


def small(seed: int = 0, **pool: str) -> Network:
    widths = {f"fire{i}": {"squeeze": 4, "expand1x1": 8, "expand3x3": 6} for i in range(2, 10)}
    design = squeezenet.SqueezeNet.model_validate(
        {"stem": {"width": 8, "kernel": 3, "stride": 1, "padding": 1}, "pool": pool} | widths
    )
    return Network(
        squeezenet.plan(design, 10, (3, 16, 16)), NeuronConfig(), EncodingConfig(timesteps=3), seed=seed
    ).train()


@needs_compiler
@pytest.mark.parametrize("of", ["spikes", "currents"])
def test_a_network_has_the_same_loss_spikes_and_gradients_on_either_kernel(
    monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(6, 3, 16, 16), torch.arange(6)

    def run() -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        network, spikes = small(of=of), Spikes()
        with torch.no_grad():
            network(images, observe=spikes)
        network = small(of=of)
        loss = nn.functional.cross_entropy(network(images), labels)
        return loss.detach(), spikes.of, list(torch.autograd.grad(loss, list(network.parameters())))

    loss, spikes, gradients = run()
    monkeypatch.setattr(native, "runs", lambda *_: False)
    expected_loss, expected_spikes, expected_gradients = run()
    assert loss.item() == pytest.approx(expected_loss.item(), abs=1e-6)
    assert spikes.keys() == expected_spikes.keys()
    assert all(torch.equal(spikes[name], expected_spikes[name]) for name in spikes)
    assert_close(gradients, expected_gradients, 1e-5)


def test_an_observer_changes_nothing() -> None:
    network, images = small().eval(), torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(images), network(images, observe=Spikes()))
