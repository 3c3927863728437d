"""Check that the CNN twin of a traced graph computes what the module computes."""

import copy

import torch
from torch import Tensor, nn

from snnkit.architecture.lowering import lower
from snnkit.architecture.plan import Shape
from snnkit.base.config import EncodingConfig
from snnkit.nn.network import Network
from snnkit.scaffold.trace import ScaffoldError, Traced, Weights

TOLERANCE = 1e-4  # relative to the spread of the scores
IMAGES = 4


def check_parity(module: nn.Module, traced: Traced, shape: Shape) -> float:
    """Return the largest difference between the scores of ``module`` and of the CNN twin, relative to their spread.

    Both have the module's weights, with BatchNorm statistics drawn at random, and run in float64 in eval mode. Raises
    ScaffoldError if the difference exceeds `TOLERANCE`.
    """
    generator = torch.Generator().manual_seed(0)
    theirs = _randomised(module, generator)
    images = 10 * torch.randn(
        IMAGES, *shape, generator=generator, dtype=torch.float64
    )  # so that ReLU6 differs from ReLU
    with torch.no_grad():
        wanted = theirs(images).flatten(1)
        twin = twin_of(theirs, traced, shape)
        found = twin(images)
    spread = float(wanted.std())
    if not spread > 0:
        raise ScaffoldError(f"{type(module).__name__}: gives the same scores for every image; check its weights")
    difference = float((wanted - found).abs().max()) / spread
    if not difference <= TOLERANCE:
        raise ScaffoldError(
            f"{type(module).__name__}: the traced network differs from the module by {difference:.1e} of the scores' "
            f"spread, more than {TOLERANCE:g}; this is a bug of the tracing: please report the network"
        )
    return difference


def twin_of(module: nn.Module, traced: Traced, shape: Shape) -> Network:
    """Return the CNN twin of ``traced`` in float64 and eval mode, with the weights of ``module``."""
    plan = lower(traced.graph, traced.graph.classifier.channels, shape)
    twin = Network(plan, None, EncodingConfig()).double().eval()
    tensors = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}
    for conv in plan.convs:
        layer = twin.layer(conv)
        _copy(layer.conv, layer.norm, traced.weights[conv.name], tensors)
    return twin


def _randomised(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Return a copy in float64 and eval mode whose BatchNorms differ from the identity and from each other."""
    theirs = copy.deepcopy(module).double().eval()
    for each in theirs.modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm) and each.affine and each.running_mean is not None:
            for tensor, low, high in (
                (each.weight, 0.5, 1.5), (each.bias, -0.5, 0.5), (each.running_mean, -0.2, 0.2),
                (each.running_var, 0.5, 1.5),
            ):  # fmt: skip
                assert tensor is not None
                tensor.data.uniform_(low, high, generator=generator)
    return theirs


@torch.no_grad()
def _copy(conv: nn.Conv2d, norm: nn.Module | None, weights: Weights, tensors: dict[str, Tensor]) -> None:
    conv.weight.copy_(tensors[weights.weight].reshape(conv.weight.shape))
    if conv.bias is not None and weights.bias is not None:
        conv.bias.copy_(tensors[weights.bias])
    if isinstance(norm, nn.BatchNorm2d) and weights.norm is not None:
        scale, shift, mean, variance = (tensors[name] for name in weights.norm)
        norm.weight.copy_(scale)
        norm.bias.copy_(shift)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance + weights.eps - norm.eps)  # the same sum of variance and eps
