"""Layers that read other channels than in the parent, because a module before them was removed, learn to give the same.

Their weights are fitted by least squares to what the parent's layer puts out on the same images, as He et al. 2017
(arXiv:1707.06168) make good for the channels that they prune: without it a SqueezeNet that lost a Fire is at chance.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from snnkit.architecture.plan import Conv
from snnkit.nn.modes import eval_mode
from snnkit.nn.network import Network
from snnkit.weights.inherit import Inherited

RIDGE = 1e-2  # of the mean square of what is read: few images, and spikes that say the same, leave weights undecided


@torch.no_grad()
def reconnect(
    child: Network, parent: Network, inherited: Sequence[Inherited], batches: Sequence[Tensor]
) -> tuple[str, ...]:
    """Fit the rewired 1x1 layers of ``child``, in order of execution; the names of those.

    ``inherited`` is what `inherit` said of the two; ``batches`` are normalised images (B, C, H, W) or frames
    (B, T, C, H, W), on any device, with as many frames as both networks have steps. Layers of other kernels or groups,
    or whose outputs have another size than the parent's, stay as they are.
    """
    own, theirs = ({conv.name: conv for conv in network.plan.convs} for network in (child, parent))
    fitted = [
        each.name
        for each in inherited
        if each.match is not None
        and (each.match.rewired or None in each.match.inputs)
        and own[each.name].kernel == own[each.name].groups == 1
        and own[each.name].out_shape[1:] == theirs[each.name].out_shape[1:]
    ]
    picks = {each.name: each.match.filters for each in inherited if each.match is not None}
    for name in fitted:
        _fit(child, own[name], parent, theirs[name], picks[name], batches)
    return tuple(fitted)


def _fit(
    child: Network, own: Conv, parent: Network, theirs: Conv, filters: Sequence[int | None], batches: Iterable[Tensor]
) -> None:  # fmt: skip
    """Ridge regression with an intercept, which goes into the bias, or, where there is none, into BatchNorm's mean."""
    layer = child.layer(own).conv
    there = torch.tensor([at for at, pick in enumerate(filters) if pick is not None])
    wanted = torch.tensor([pick for pick in filters if pick is not None])
    size = own.in_shape[0] + 1
    squares = torch.zeros(size, size, dtype=torch.float64)
    products = torch.zeros(size, len(wanted), dtype=torch.float64)
    for images in batches:
        read = _seen(child, own, images, out=False)[:, :, :: own.stride, :: own.stride]
        given = _seen(parent, theirs, images, out=True)[:, wanted]
        x = functional.pad(_pixels(read), (0, 1), value=1.0)
        squares += x.T @ x
        products += x.T @ _pixels(given)
    ridge = RIDGE * squares.diagonal()[:-1].mean().clamp(min=1e-12)
    found = torch.linalg.solve(squares + ridge * torch.eye(size, dtype=torch.float64), products).T.to(layer.weight)
    layer.weight[there] = found[:, :-1, None, None]
    if layer.bias is not None:
        layer.bias[there] = found[:, -1]


def _seen(network: Network, conv: Conv, images: Tensor, *, out: bool) -> Tensor:
    """What a convolution reads or puts out, (B, C, H, W): means over time, so that networks of different T compare."""
    kept: list[Tensor] = []
    hook = network.layer(conv).conv.register_forward_hook(
        lambda module, given, result: kept.append(result if out else given[0])
    )
    try:
        with eval_mode(network):
            network(images.to(next(network.parameters()).device))
    finally:
        hook.remove()
    (found,) = kept
    return found.view(-1, len(images), *found.shape[1:]).mean(0)


def _pixels(values: Tensor) -> Tensor:
    """(B, C, H, W) to (B * H * W, C), in float64 on the CPU."""
    return values.movedim(1, -1).flatten(0, -2).double().cpu()
