"""Refit layers that read other channels than in the parent, because a module before them was removed.

Their weights are fitted by least squares to the output of the parent's layer on the same images, as He et al. 2017
(arXiv:1707.06168) compensate for pruned channels. Without it, a SqueezeNet that lost a Fire module is at chance.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from snnkit.architecture.plan import Conv
from snnkit.nn.modes import eval_mode
from snnkit.nn.network import Network
from snnkit.weights.inherit import Inherited

# ridge penalty as a share of the mean square input; with few images and redundant spikes, plain least squares has no
# unique solution
RIDGE_PENALTY = 1e-2


@torch.no_grad()
def refit_rewired_layers(
    child: Network, parent: Network, inherited: Sequence[Inherited], batches: Sequence[Tensor]
) -> tuple[str, ...]:
    """Refit the rewired 1x1 layers of ``child`` in order of execution, and return their names.

    ``inherited`` is the result of `inherit` for the two networks. ``batches`` are normalised images (B, C, H, W) or
    frames (B, T, C, H, W) on any device; both networks must have as many time steps as there are frames. Layers with
    larger kernels, with groups or with another output size than the parent's stay unchanged.
    """
    own, theirs = ({conv.name: conv for conv in network.plan.convs} for network in (child, parent))
    refitted = [
        layer.name
        for layer in inherited
        if layer.match is not None
        and (layer.match.rewired or None in layer.match.inputs)
        and own[layer.name].kernel == own[layer.name].groups == 1
        and own[layer.name].out_shape[1:] == theirs[layer.name].out_shape[1:]
    ]
    filters = {layer.name: layer.match.filters for layer in inherited if layer.match is not None}
    for name in refitted:
        _refit_layer(child, own[name], parent, theirs[name], filters[name], batches)
    return tuple(refitted)


def _refit_layer(
    child: Network, own: Conv, parent: Network, theirs: Conv, filters: Sequence[int | None], batches: Iterable[Tensor]
) -> None:  # fmt: skip
    """Fit a layer by ridge regression. The intercept becomes the bias; if there is none, BatchNorm absorbs it."""
    layer = child.layer(own).conv
    own_filters = torch.tensor([at for at, index in enumerate(filters) if index is not None])
    parent_filters = torch.tensor([index for index in filters if index is not None])
    size = own.in_shape[0] + 1
    squares = torch.zeros(size, size, dtype=torch.float64)
    products = torch.zeros(size, len(parent_filters), dtype=torch.float64)
    for images in batches:
        inputs = _mean_over_time(child, own, images, output=False)[:, :, :: own.stride, :: own.stride]
        outputs = _mean_over_time(parent, theirs, images, output=True)[:, parent_filters]
        x = functional.pad(_pixels(inputs), (0, 1), value=1.0)
        squares += x.T @ x
        products += x.T @ _pixels(outputs)
    penalty = RIDGE_PENALTY * squares.diagonal()[:-1].mean().clamp(min=1e-12)
    identity = torch.eye(size, dtype=torch.float64)
    solution = torch.linalg.solve(squares + penalty * identity, products).T.to(layer.weight)
    layer.weight[own_filters] = solution[:, :-1, None, None]
    if layer.bias is not None:
        layer.bias[own_filters] = solution[:, -1]


def _mean_over_time(network: Network, conv: Conv, images: Tensor, *, output: bool) -> Tensor:
    """Return the input or output (B, C, H, W) of a convolution, averaged over time so that any T can be compared."""
    recorded: list[Tensor] = []
    hook = network.layer(conv).conv.register_forward_hook(
        lambda module, inputs, result: recorded.append(result if output else inputs[0])
    )
    try:
        with eval_mode(network):
            network(images.to(next(network.parameters()).device))
    finally:
        hook.remove()
    (values,) = recorded
    return values.view(-1, len(images), *values.shape[1:]).mean(0)


def _pixels(values: Tensor) -> Tensor:
    """Reshape (B, C, H, W) to (B * H * W, C), in float64 on the CPU."""
    return values.movedim(1, -1).flatten(0, -2).double().cpu()
