"""Networks of PyTorch as traced networks: what is computed, removed, resized and counted, and what is refused."""

import copy
import re
from typing import Any

import pytest
import torch
from helpers.counting import awake, inputs, neurobench, neurobench_layers
from helpers.designs import examples
from helpers.torch_networks import CLASSES, REFUSED, SEARCHABLE, CifarResNet, CifarVGG, conv_next
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models import MobileNetV2, MobileNetV3, ShuffleNetV2, SqueezeNet
from torchvision.models.mobilenetv3 import InvertedResidualConfig

from snnkit.architecture.cuts import Cuts, WidthGroup, find_cuts
from snnkit.architecture.lowering import lower
from snnkit.architecture.plan import Conv, Plan
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy.operations import count_operations
from snnkit.families import FAMILIES
from snnkit.nn.network import Network
from snnkit.scaffold.parity import check_parity, twin_of
from snnkit.scaffold.trace import ScaffoldError, Traced, trace

SHAPE = (3, 32, 32)
T = 2


def small_mobilenet() -> nn.Module:
    """Depthwise convolutions, squeeze-excite with hardsigmoid, and hardswish, with and without residual sums."""
    rows = ((16, 3, 16, 16, True, "RE", 1), (16, 3, 32, 24, False, "HS", 2), (24, 5, 48, 24, True, "HS", 1))
    blocks = [InvertedResidualConfig(*row, dilation=1, width_mult=1.0) for row in rows]
    return MobileNetV3(blocks, last_channel=32, num_classes=CLASSES)


SMALL = {
    "resnet": lambda: CifarResNet(2, 8),
    "vgg": lambda: CifarVGG(scale=16),
    "vgg with 2x2 pixels": lambda: CifarVGG(scale=16, pixels=2),
    "squeezenet": lambda: SqueezeNet("1_1", num_classes=CLASSES),
    "shufflenet": lambda: ShuffleNetV2([2, 2, 2], [8, 16, 32, 64, 64], num_classes=CLASSES),
    "mobilenetv3": small_mobilenet,
    "convnext": lambda: conv_next((8, 16), 1),
}
every_small = pytest.mark.parametrize("name", SMALL)
every_searchable = pytest.mark.parametrize("name", SEARCHABLE)


def build(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return (SMALL | SEARCHABLE)[name]()


def traced(name: str) -> tuple[nn.Module, Traced]:
    module = build(name)
    return module, trace(module, SHAPE)


def design(found: Traced, **given: Any) -> Any:
    return FAMILIES["traced"].design.model_validate({"graph": found.graph.lines} | given)


def narrowest(cuts: Cuts) -> dict[str, Any]:
    """The design with the smallest width of each group, of at least 4 channels."""
    widths: dict[str, Any] = {"widths": {}, "modules": {unit.key: {"widths": {}} for unit in cuts.units}}
    for group in cuts.groups:
        place = widths if group.unit is None else widths["modules"][group.unit.key]
        place["widths"][group.key] = group.step * -(-4 // group.step)
    return widths


def planned(choice: Any) -> Plan:
    return FAMILIES["traced"].plan(choice, CLASSES, SHAPE)


# The twin computes what the module computes.


def check_twin(name: str) -> None:
    module, found = traced(name)
    assert check_parity(module, found, SHAPE) < 1e-9
    plan = planned(design(found))
    assert plan.params == sum(parameter.numel() for parameter in module.parameters())
    assert plan == lower(found.graph, CLASSES, SHAPE)


@every_small
def test_twin_equals_the_module(name: str) -> None:
    check_twin(name)


@pytest.mark.slow
@every_searchable
def test_twin_equals_the_published_network(name: str) -> None:
    check_twin(name)


def test_difference_is_found() -> None:
    module, found = traced("resnet")
    lines = [line.replace("activation=relu", "activation=silu") for line in found.graph.lines]
    wrong = Traced(find_cuts(tuple(lines)).graph, found.weights, ())
    with pytest.raises(ScaffoldError, match="differs from the module by"):
        check_parity(module, wrong, SHAPE)


def test_module_is_left_as_it_was() -> None:
    module = build("resnet").train()
    before = copy.deepcopy(module.state_dict())
    check_parity(module, trace(module, SHAPE), SHAPE)
    assert module.training
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


# Removal and resizing: no combination is wrong.


def check_cuts(name: str, data: st.DataObject, *, runs: bool) -> None:
    """Draw a combination; it builds, and every convolution reads the channels that its weights expect."""
    _, found = traced_once(name)
    cuts = find_cuts(found.graph.lines)
    units = list(cuts.units)
    removed = data.draw(st.sets(st.sampled_from(units))) if units else set()
    widths = {group: data.draw(widths_of(group, least=4 if runs else 1)) for group in cuts.groups}
    graph = cuts.apply({unit.name for unit in removed}, widths)
    plan = lower(graph, CLASSES, SHAPE)
    gone = frozenset().union(*(unit.nodes for unit in removed))
    assert not gone & {op.name for op in plan.ops}
    for conv in plan.convs:
        wanted = next((width for group, width in widths.items() if group.members[0] == conv.name), None)
        assert wanted in (None, conv.out_shape[0])
    if runs:
        images = torch.randn(2, *SHAPE, dtype=torch.float64)
        for neuron in (None, NeuronConfig()):
            network = Network(plan, neuron, EncodingConfig(timesteps=T)).double().train()
            assert network.plan.params == sum(parameter.numel() for parameter in network.parameters())
            logits = network(images)
            logits.sum().backward()
            assert logits.shape == (2, CLASSES)
            assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def widths_of(group: WidthGroup, *, least: int) -> st.SearchStrategy[int]:
    """Allowed widths of at least ``least`` channels, which a deep network needs for its gradients to be finite."""
    first = min(-(-least // group.step), group.width // group.step)
    last = max(first, min(group.width, 32) // group.step)
    return st.integers(first, last).map(lambda steps: steps * group.step)


_TRACED: dict[str, tuple[nn.Module, Traced]] = {}


def traced_once(name: str) -> tuple[nn.Module, Traced]:
    if name not in _TRACED:
        _TRACED[name] = traced(name)
    return _TRACED[name]


@every_small
@examples(6)
@given(data=st.data())
def test_every_combination_runs(name: str, data: st.DataObject) -> None:
    check_cuts(name, data, runs=True)


@pytest.mark.slow
@every_searchable
@examples(30)
@given(data=st.data())
def test_every_combination_of_a_published_network_fits(name: str, data: st.DataObject) -> None:
    check_cuts(name, data, runs=False)


@pytest.mark.slow
@every_searchable
@examples(1)
@given(data=st.data())
def test_combination_of_a_published_network_has_finite_gradients(name: str, data: st.DataObject) -> None:
    check_cuts(name, data, runs=True)


def check_removal(name: str) -> None:
    """A network without a module of equal channels computes what PyTorch computes with an identity in its place."""
    module, found = traced(name)
    cuts = find_cuts(found.graph.lines)
    widths = {group: group.width for group in cuts.groups}
    images = torch.randn(2, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    compared = 0
    for unit in cuts.units:
        theirs = without(module, unit.name)
        if theirs is None:
            continue
        try:
            wanted = theirs.double().eval().requires_grad_(False)(images)
        except RuntimeError:  # the channels differ: the next layer must change too
            continue
        ours = twin_of(theirs, Traced(cuts.apply({unit.name}, widths), found.weights, ()), SHAPE)
        torch.testing.assert_close(ours(images), wanted, rtol=1e-9, atol=1e-9 * float(wanted.std()))
        compared += 1
    assert compared


class Identity(nn.Module):
    """Returns its first argument; blocks of DLA take others."""

    def forward(self, x: Tensor, *_: object) -> Tensor:
        return x


def without(module: nn.Module, name: str) -> nn.Module | None:
    """A copy of ``module`` with an identity at ``name``; None for a layer whose BatchNorm is a module of its own."""
    theirs = copy.deepcopy(module)
    name = next(each for each, _ in module.named_modules() if re.sub(r"[^\w.]", "_", each) == name)  # RegNet has "-"
    if isinstance(theirs.get_submodule(name), nn.Conv2d | nn.Linear):
        return None
    theirs.set_submodule(name, Identity())
    return theirs


@pytest.mark.parametrize("name", ["resnet", "shufflenet", "mobilenetv3", "convnext"])
def test_removed_module_is_an_identity(name: str) -> None:
    check_removal(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SEARCHABLE.keys() - {"VGG-11", "SqueezeNet"}))
def test_removed_module_of_a_published_network_is_an_identity(name: str) -> None:
    check_removal(name)


def resized(wide: nn.Module, narrow: nn.Module) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The wide network with the widths of the narrow one, and the narrow one."""
    cuts, target = find_cuts(trace(wide, SHAPE).graph.lines), trace(narrow, SHAPE).graph
    widths = {group: target.by_name[group.members[0]].channels for group in cuts.groups}  # type: ignore[attr-defined]
    return cuts.apply((), widths).lines, target.lines


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (CifarResNet(2, 16), CifarResNet(2, 8)),
        (ShuffleNetV2([2, 2, 2], [8, 16, 32, 64, 64]), ShuffleNetV2([2, 2, 2], [6, 10, 24, 36, 50])),
        (MobileNetV2(width_mult=1.0), MobileNetV2(width_mult=0.5)),
        (conv_next((16, 32), 1), conv_next((8, 20), 1)),
    ],
    ids=["resnet", "shufflenet", "mobilenetv2", "convnext"],
)
def test_resized_network_is_the_published_narrow_one(wide: nn.Module, narrow: nn.Module) -> None:
    ours, theirs = resized(wide, narrow)
    assert ours == theirs


def test_width_that_breaks_a_group_is_refused() -> None:
    cuts = find_cuts(trace(nn.Sequential(*grouped()), SHAPE).graph.lines)
    assert {(group.width, group.step) for group in cuts.groups} == {(16, 4), (24, 4)}
    with pytest.raises(ValueError, match=r"0: given width 10; write a multiple of 4"):
        cuts.apply((), {cuts.groups[0]: 10})


def grouped() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 24, 3, groups=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(24, CLASSES),
    ]  # fmt: skip


# Counts equal NeuroBench's.


def check_counts(name: str) -> None:
    _, found = traced_once(name)
    plan = planned(design(found, **narrowest(find_cuts(found.graph.lines))))
    twin = awake(Network(plan, None, EncodingConfig()))
    images = inputs(twin, 2)
    ours, theirs = count_operations(twin, [images]), neurobench(twin, images)
    assert (ours.nonzero_macs, ours.macs) == (theirs["Effective_MACs"], theirs["Dense"])
    spiking = awake(Network(plan, NeuronConfig(), EncodingConfig(timesteps=T)))
    counted = {layer.name: layer for layer in count_operations(spiking, [images]).layers if isinstance(layer.op, Conv)}
    compared = 0
    for conv, taps in neurobench_layers(spiking, images).items():
        layer = counted[conv]
        if layer.op.reads != "spikes":  # type: ignore[union-attr]
            assert layer.nonzero_macs == taps
        elif layer.op.input_most == 1:  # type: ignore[union-attr]
            assert layer.synapses == taps
        else:  # NeuroBench counts a sum of spikes once
            assert layer.synapses >= taps
            continue
        compared += 1
    assert compared > len(counted) / 2


@pytest.mark.parametrize("name", ["resnet", "shufflenet", "mobilenetv3"])
def test_counts_equal_neurobench(name: str) -> None:
    check_counts(name)


@pytest.mark.slow
@every_searchable
def test_counts_of_a_published_network_equal_neurobench(name: str) -> None:
    check_counts(name)


# What is refused says why.


class Lambda(nn.Module):
    """A convolution, and something after it that a graph may not have."""

    def __init__(self, *layers: nn.Module, function: Any = None) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv2d(8, CLASSES, 1)
        self.function = function or (lambda x: x)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.function(self.layers(self.first(x)))).mean((2, 3))  # type: ignore[no-any-return]


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(self.conv(self.first(x)))).mean((2, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Lambda(nn.Conv2d(8, 8, (1, 3))), r"layers\.0: the kernel 1x3 is not square; use the same kernel"),
        (Lambda(nn.Conv2d(8, 8, 3, dilation=2)), r"layers\.0: the dilation 2 is not 1; use a larger kernel"),
        (Lambda(nn.Conv2d(8, 8, 3, padding=(0, 1))), r"layers\.0: the padding 0x1 is not square"),
        (Lambda(nn.GroupNorm(2, 8)), r"layers\.0: GroupNorm; use BatchNorm2d"),
        (Lambda(nn.ReLU(), nn.BatchNorm2d(8)), r"layers\.1: a BatchNorm that does not directly follow"),
        (Lambda(nn.BatchNorm2d(8, affine=False)), r"layers\.0: a BatchNorm without weight; use affine=True"),
        (Lambda(nn.ELU()), r"layers\.0: elu; use ReLU"),
        (Lambda(nn.LeakyReLU(0.2)), r"layers\.0: LeakyReLU with a slope of 0\.2; use a slope of 0\.01"),
        (Lambda(nn.GELU("tanh")), r"layers\.0: GELU with an approximation"),
        (Lambda(nn.Hardtanh()), r"layers\.0: Hardtanh; use ReLU6"),
        (Lambda(nn.MaxPool2d((1, 2))), r"layers\.0: a pooling whose window is not square"),
        (Lambda(nn.AvgPool2d(3, 2, 1, count_include_pad=False)), r"does not count its padding"),
        (Lambda(nn.AvgPool2d(3, 2, ceil_mode=True)), r"windows that are partly outside; use ceil_mode=False"),
        (Lambda(nn.AdaptiveAvgPool2d(5)), r"an adaptive pooling from 32x32 to 5x5 pixels"),
        (Lambda(nn.Upsample(scale_factor=2)), r"layers\.0: upsampling"),
        (Lambda(function=lambda x: x * x), r"a product that is no squeeze-excite"),
        (Lambda(function=lambda x: 2 * x), r"reads a number"),
        (Lambda(function=lambda x: x + 1), r"reads a number"),
        (Lambda(function=lambda x: x - x), r"the operation sub; use convolutions"),
        (Lambda(function=lambda x: torch.cat([x, x], 2)), r"concatenation along dimension 2"),
        (Lambda(function=lambda x: x.transpose(2, 3)), r"a permutation of dimensions"),
        (Lambda(function=lambda x: x[:, :, ::2]), r"a slice of rows, columns"),
        (Lambda(function=lambda x: functional_pad(x)), r"a padding of .* apart"),
        (Lambda(function=lambda x: x if x.sum() > 0 else -x), r"torch\.export cannot trace it"),
        (Tied(), r"conv: conv\.weight is used twice"),
        (nn.Sequential(nn.MaxPool2d(2), *grouped()), r"0: a pool reads the image; begin the network"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), r"returns \(2, 4, 30, 30\); return class scores"),
        (nn.Sequential(nn.Conv2d(3, 4, 32), nn.Flatten(), nn.Softmax(1)), r"a softmax; return class scores without"),
    ],
)  # fmt: skip
def test_refusal_names_module_reason_and_remedy(module: nn.Module, reason: str) -> None:
    with pytest.raises(ScaffoldError, match=reason) as refused:
        trace(module, SHAPE)
    assert "; " in str(refused.value)


def functional_pad(x: Tensor) -> Tensor:
    return nn.functional.pad(x, (0, 1, 0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_published_network_is_refused_by_name(name: str) -> None:
    build_network, reason = REFUSED[name]
    with pytest.raises(ScaffoldError) as refused:
        trace(build_network(), SHAPE)
    assert str(refused.value).startswith(reason)


# Forms of the same operation.


class Forms(nn.Module):
    """The same network written with modules, functions or methods, in place or not."""

    def __init__(self, *, inplace: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding="same", bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(8, 12), nn.Linear(12, CLASSES)
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x))
        z = y.relu_() if self.inplace else nn.functional.relu(y)
        z = torch.add(self.conv2(z), y if self.inplace else z)  # y is the activated value if it was changed in place
        if self.inplace:
            z += y
        else:
            z = z + nn.functional.relu(y)
        pooled = z.mean(dim=(-1, -2), keepdim=self.inplace)
        pooled = torch.flatten(pooled, 1) if self.inplace else pooled
        return self.fc2(nn.functional.dropout(self.fc1(pooled).relu(), 0.1, self.training))  # type: ignore[no-any-return]


@pytest.mark.parametrize("inplace", [True, False])
def test_forms_of_an_operation_are_the_same(inplace: bool) -> None:
    module = Forms(inplace=inplace)
    assert check_parity(module, trace(module, SHAPE), SHAPE) < 1e-9
