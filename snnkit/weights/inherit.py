"""Weights from a trained network to another one: what a child of a search inherits from its parent.

What corresponds is decided on the plans alone, in `snnkit.weights.matching`. A filter's importance is the L1 norm of
its weights (Li et al. 2017, arXiv:1608.08710) with its BatchNorm folded in, whose scale is the criterion of Liu et al.
2017 (arXiv:1708.06519); an input channel's is the L1 norm of the weights that read it.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from snnkit.architecture.plan import Conv
from snnkit.nn.network import ConvLayer, Network
from snnkit.weights.matching import Importance, Match, match

Outcome = Literal["copied", "cut", "padded", "rewired", "drawn"]
"""Of a layer. copied: every weight, as it was. cut: the parent's without some filters or input channels. padded: the
parent's, and others drawn as from scratch. rewired: the parent's, but some of them read other channels than there.
drawn: the parent has no such layer."""
Pick = tuple[Tensor, Tensor]  # indices into the parent's, 0 where there is none; and where there is one


@dataclass(frozen=True)
class Inherited:
    """What became of one layer."""

    name: str
    outcome: Outcome
    match: Match | None  # None: drawn


@torch.no_grad()
def inherit(child: Network, parent: Network) -> tuple[Inherited, ...]:
    """Give ``child`` the weights and BatchNorm statistics of ``parent`` where the two correspond; what has none stays
    as it was drawn. A child with the plan of its parent then puts out the same.

    Kernels of another size are aligned at their centres: taps that only the child has are 0, so that it computes what
    the parent did (Chen et al. 2016, Net2Net, arXiv:1511.05641). Currents are scaled by the ratio of the thresholds
    (spikes that are added to currents are not). Leaks that both learn are the parent's. Statistics no longer fit where
    something was left out: see `snnkit.training.recalibration`. Nor do weights that now read other channels: see
    `snnkit.weights.refit`.
    """
    theirs = {conv.name: conv for conv in parent.plan.convs}
    importance = {name: _importance(parent.layer(conv)) for name, conv in theirs.items()}
    matches = match(child.plan, parent.plan, importance)
    for conv in child.plan.convs:
        if conv.name in matches:
            _copy(child, conv, parent, theirs[conv.name], matches[conv.name])
    leaks = {op.name: parent.lif(op).leak_logit for op in parent.firing}
    for op in child.firing:
        own, learned = child.lif(op).leak_logit, leaks.get(op.name)
        if own is not None and learned is not None:
            own.copy_(learned)
    return tuple(
        Inherited(conv.name, _outcome(conv, theirs, matches), matches.get(conv.name)) for conv in child.plan.convs
    )


def scale_current(layer: ConvLayer, factor: float, shift: float = 0.0) -> None:
    """Make what a layer puts out before its activation ``factor`` times as much, and ``shift`` more: by its BatchNorm
    where it has one. Raises ValueError where neither a BatchNorm nor a bias could take the shift."""
    scale, bias = (layer.conv.weight, layer.conv.bias) if layer.norm is None else (layer.norm.weight, layer.norm.bias)
    if shift and bias is None:
        raise ValueError("a layer without bias and BatchNorm cannot be shifted")
    with torch.no_grad():
        scale.mul_(factor)
        if bias is not None:
            bias.mul_(factor).add_(shift)


def _importance(layer: ConvLayer) -> Importance:
    weight = layer.conv.weight.detach().abs().sum((2, 3)).double()  # (filters, channels of a group)
    filters = weight.sum(1)
    if layer.norm is not None:
        assert layer.norm.running_var is not None
        filters = filters * layer.norm.weight.detach().abs() / (layer.norm.running_var + layer.norm.eps).sqrt()
    by_group = weight.view(layer.conv.groups, -1, weight.shape[1]).sum(1)
    return Importance(filters.tolist(), by_group.flatten().tolist())


def _copy(child: Network, own: Conv, parent: Network, theirs: Conv, found: Match) -> None:
    layer, source = child.layer(own), parent.layer(theirs)
    filters, inputs = _pick(found.filters), _pick(found.inputs)
    there, index = _local(own, theirs, filters, inputs)
    aligned = _aligned(source.conv.weight, own.kernel)
    _fill(layer.conv.weight, aligned[filters[0][:, None], index], there)
    _fill_each(layer.conv.bias, source.conv.bias, filters)
    if layer.norm is not None and source.norm is not None:
        _fill_each(layer.norm.weight, source.norm.weight, filters)
        _fill_each(layer.norm.bias, source.norm.bias, filters)
        _fill_each(layer.norm.running_mean, source.norm.running_mean, filters)
        _fill_each(layer.norm.running_var, source.norm.running_var, filters)
    if child.neuron and parent.neuron and child.neuron.threshold != parent.neuron.threshold and drives(own):
        scale_current(layer, child.neuron.threshold / parent.neuron.threshold)


def drives(conv: Conv) -> bool:
    """Whether what it puts out are currents for neurons, its own or those behind a sum. The scores are none: they alone
    have neither an activation nor a BatchNorm."""
    return conv.fires or (conv.activation is None and conv.batchnorm)


def _pick(picks: tuple[int | None, ...]) -> Pick:
    return torch.tensor([pick or 0 for pick in picks]), torch.tensor([pick is not None for pick in picks])


def _local(own: Conv, theirs: Conv, filters: Pick, inputs: Pick) -> tuple[Tensor, Tensor]:
    """(filters, channels of a group): for each weight of the child whether the parent has it, and at which of the
    channels that the parent's filter reads."""
    size, their_size = own.in_shape[0] // own.groups, theirs.in_shape[0] // theirs.groups
    group = torch.arange(own.out_shape[0]) // (own.out_shape[0] // own.groups)
    channel = group[:, None] * size + torch.arange(size)  # that the child's weight reads
    their_group = filters[0] // (theirs.out_shape[0] // theirs.groups)
    picked = inputs[0][channel]
    there = filters[1][:, None] & inputs[1][channel] & (picked // their_size == their_group[:, None])
    return there, picked % their_size


def _aligned(weight: Tensor, kernel: int) -> Tensor:
    """(..., K, K) to (..., kernel, kernel), centre on centre."""
    before = (kernel - weight.shape[-1]) // 2
    after = kernel - weight.shape[-1] - before
    return nn.functional.pad(weight.detach(), (before, after, before, after))  # a negative width cuts


def _fill(own: Tensor, values: Tensor, there: Tensor) -> None:
    own.copy_(torch.where(there[..., None, None], values, own))


def _fill_each(own: Tensor | None, theirs: Tensor | None, filters: Pick) -> None:
    if own is not None and theirs is not None:
        own.copy_(torch.where(filters[1], theirs.detach()[filters[0]], own))


def _outcome(own: Conv, theirs: dict[str, Conv], matches: dict[str, Match]) -> Outcome:
    if own.name not in matches:
        return "drawn"
    found, other = matches[own.name], theirs[own.name]
    there, _ = _local(own, other, _pick(found.filters), _pick(found.inputs))
    if not there.all():
        return "padded"
    if found.rewired:
        return "rewired"
    alike = (own.in_shape[0], own.out_shape[0], own.kernel) == (other.in_shape[0], other.out_shape[0], other.kernel)
    return "copied" if alike else "cut"
