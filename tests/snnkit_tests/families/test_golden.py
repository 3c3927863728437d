"""CNN twins in the original geometries against torchvision's and timm's networks, with their weights."""

from collections.abc import Iterator

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from snnkit.base.config import EncodingConfig
from snnkit.families import FAMILIES
from snnkit.nn.network import Network

TORCHVISION = [
    ("shufflenet", "imagenet-0.5", "shufflenet_v2_x0_5"),
    ("shufflenet", "imagenet-1.0", "shufflenet_v2_x1_0"),
    ("mnasnet", "imagenet-0.5", "mnasnet0_5"),
    ("mnasnet", "imagenet-1.0", "mnasnet1_0"),
    ("mobilenetv2", "imagenet-1.0", "mobilenet_v2"),
]


def twin(family: str, geometry: str) -> Network:
    entry = FAMILIES[family]
    plan = entry.plan(entry.design.model_validate({"geometry": geometry}), 1000, (3, 224, 224))
    return Network(plan, None, EncodingConfig()).eval()


def alive(theirs: nn.Module) -> nn.Module:
    """Set eval mode, and BatchNorm statistics, scales and shifts that are all different."""
    generator = torch.Generator().manual_seed(0)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5),
                (module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5),
            ):  # fmt: skip
                tensor.data.uniform_(low, high, generator=generator)
    return theirs.eval()


def layers_of(theirs: nn.Module) -> list[tuple[Tensor, Tensor | None, nn.BatchNorm2d | None]]:
    """Weight, bias and BatchNorm of each of their convolutions, in order; a BatchNorm over several convolutions side by
    side, and the halves of a grouped one, are left as they come."""
    found: list[tuple[Tensor, Tensor | None, nn.BatchNorm2d | None]] = []
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            weight, bias, _ = found[-1]
            found[-1] = (weight, bias, module)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            found.append((module.weight.data, None if module.bias is None else module.bias.data, None))
    return found


def copy(ours: Network, theirs: nn.Module) -> None:
    """Our layers in order take what they need: a grouped convolution of ours may be several of theirs, and a BatchNorm
    of theirs several of ours."""
    pending = layers_of(theirs)
    norm: nn.BatchNorm2d | None = None
    start = 0  # first unused channel of ``norm``
    for conv in ours.plan.convs:
        layer = ours.layer(conv)
        weights: list[Tensor] = []
        while sum(map(len, weights)) < conv.out_shape[0]:
            weight, bias, found = pending.pop(0)
            weights.append(weight if weight.ndim == 4 else weight[:, :, None, None])
        layer.conv.weight.data.copy_(torch.cat(weights))
        if layer.conv.bias is not None:
            layer.conv.bias.data.copy_(bias)
        if layer.norm is None:
            continue
        if norm is None or start == norm.num_features:
            norm, start = found or next(later for _, _, later in pending if later is not None), 0
        part = slice(start, start + conv.out_shape[0])
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(layer.norm, name).data.copy_(getattr(norm, name)[part])
        start = part.stop
    assert not pending


def check(ours: Network, theirs: nn.Module) -> None:
    copy(ours.double(), alive(theirs.double()))
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, 224, 224, generator=generator, dtype=torch.float64)
    images *= 100  # so that ReLU6 differs from ReLU
    assert ours.plan.params == sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    with torch.no_grad():
        logits = theirs(images)
        torch.testing.assert_close(ours(images), logits, rtol=1e-9, atol=1e-9 * float(logits.std()))
    assert logits.std() > 0.01


@pytest.fixture(autouse=True)
def _their_weights() -> Iterator[None]:
    """The other libraries draw from the global generator."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(("family", "geometry", "theirs"), TORCHVISION)
def test_twin_equals_torchvision(family: str, geometry: str, theirs: str) -> None:
    check(twin(family, geometry), torchvision.models.get_model(theirs, weights=None))


def test_twin_equals_timm() -> None:
    check(twin("mixnet", "imagenet-s"), timm.create_model("mixnet_s", pretrained=False))
