"""Copy the weights of a trained parent network to a child of the search, as far as the two correspond.

`snnkit.weights.matching` decides from the plans alone what corresponds. The importance of a filter is the L1 norm of
its weights (Li et al. 2017, arXiv:1608.08710) times its folded BatchNorm scale, the criterion of Liu et al. 2017
(arXiv:1708.06519). The importance of an input channel is the L1 norm of the weights that read it.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from snnkit.architecture.plan import Conv
from snnkit.nn.layers import ConvLayer
from snnkit.nn.network import Network
from snnkit.weights.matching import Importance, Match, ParentIndices, match

LayerOutcome = Literal["copied", "cut", "padded", "rewired", "drawn"]
"""What became of a layer. copied: every weight is the parent's. cut: the parent's without some filters or channels.
padded: the parent's, with random weights added. rewired: the parent's, but some weights read other channels than there.
drawn: random, because the parent has no such layer."""


class _Selection(NamedTuple):
    """Parent's index for each filter or channel of the child (0 if there is none), and whether there is one."""

    source: Tensor
    exists: Tensor


@dataclass(frozen=True)
class Inherited:
    """What one layer of the child inherited."""

    name: str
    outcome: LayerOutcome
    match: Match | None  # None if the outcome is drawn


@torch.no_grad()
def inherit(child: Network, parent: Network) -> tuple[Inherited, ...]:
    """Copy weights and BatchNorm statistics of ``parent`` to ``child`` wherever they correspond.

    Everything else keeps its random weights. A child with its parent's plan computes the same outputs.

    Kernels of different sizes are aligned at their centres. Taps that only the child has are 0, so that it computes
    what the parent did (Chen et al. 2016, Net2Net, arXiv:1511.05641). If the thresholds differ, currents are scaled by
    their ratio, except spikes that are added to currents. Leaks that both networks learn are copied.

    Afterwards, BatchNorm statistics do not fit layers that lost inputs (see `snnkit.training.recalibration`), and
    rewired weights do not fit their new inputs (see `snnkit.weights.refit`).
    """
    parent_convs = {conv.name: conv for conv in parent.plan.convs}
    importance = {name: _importance(parent.layer(conv)) for name, conv in parent_convs.items()}
    matches = match(child.plan, parent.plan, importance)
    for conv in child.plan.convs:
        if conv.name in matches:
            _copy_layer(child, conv, parent, parent_convs[conv.name], matches[conv.name])
    leaks = {op.name: parent.lif(op).leak_logit for op in parent.spiking_ops}
    for op in child.spiking_ops:
        own, learned = child.lif(op).leak_logit, leaks.get(op.name)
        if own is not None and learned is not None:
            own.copy_(learned)
    return tuple(
        Inherited(conv.name, _outcome(conv, parent_convs, matches), matches.get(conv.name)) for conv in child.plan.convs
    )


def rescale_output(layer: ConvLayer, factor: float, shift: float = 0.0) -> None:
    """Multiply a layer's output before the activation by ``factor`` and add ``shift``, by changing its BatchNorm.

    Without BatchNorm, the convolution's weight and bias are changed.

    Raises:
        ValueError: a shift is given, but the layer has neither BatchNorm nor a bias.
    """
    scale, bias = (layer.conv.weight, layer.conv.bias) if layer.norm is None else (layer.norm.weight, layer.norm.bias)
    if shift and bias is None:
        raise ValueError("a layer without bias and BatchNorm cannot be shifted")
    with torch.no_grad():
        scale.mul_(factor)
        if bias is not None:
            bias.mul_(factor).add_(shift)


def feeds_neurons(conv: Conv) -> bool:
    """Return whether the convolution's output is a current for neurons, its own or those behind a sum.

    Only the convolution of the class scores is not: it has neither an activation nor BatchNorm.
    """
    return conv.emits_spikes or (conv.activation is None and conv.batchnorm)


def _importance(layer: ConvLayer) -> Importance:
    weight = layer.conv.weight.detach().abs().sum((2, 3)).double()  # (filters, channels of a group)
    filters = weight.sum(1)
    if layer.norm is not None:
        assert layer.norm.running_var is not None
        filters = filters * layer.norm.weight.detach().abs() / (layer.norm.running_var + layer.norm.eps).sqrt()
    by_group = weight.view(layer.conv.groups, -1, weight.shape[1]).sum(1)
    return Importance(filters.tolist(), by_group.flatten().tolist())


def _copy_layer(child: Network, own: Conv, parent: Network, theirs: Conv, found: Match) -> None:
    layer, source = child.layer(own), parent.layer(theirs)
    filters, inputs = _selection(found.filters), _selection(found.inputs)
    exists, channel = _weight_indices(own, theirs, filters, inputs)
    aligned = _align_kernels(source.conv.weight, own.kernel)[filters.source[:, None], channel]
    layer.conv.weight.copy_(torch.where(exists[..., None, None], aligned, layer.conv.weight))
    _copy_vector(layer.conv.bias, source.conv.bias, filters)
    if layer.norm is not None and source.norm is not None:
        _copy_vector(layer.norm.weight, source.norm.weight, filters)
        _copy_vector(layer.norm.bias, source.norm.bias, filters)
        _copy_vector(layer.norm.running_mean, source.norm.running_mean, filters)
        _copy_vector(layer.norm.running_var, source.norm.running_var, filters)
    if child.neuron and parent.neuron and child.neuron.threshold != parent.neuron.threshold and feeds_neurons(own):
        rescale_output(layer, child.neuron.threshold / parent.neuron.threshold)


def _selection(indices: ParentIndices) -> _Selection:
    return _Selection(
        torch.tensor([index or 0 for index in indices]), torch.tensor([index is not None for index in indices])
    )


def _weight_indices(own: Conv, theirs: Conv, filters: _Selection, inputs: _Selection) -> tuple[Tensor, Tensor]:
    """Whether the parent has each weight of the child (filters, channels of a group), and its channel in the group."""
    size, parent_size = own.in_shape[0] // own.groups, theirs.in_shape[0] // theirs.groups
    group = torch.arange(own.out_shape[0]) // (own.out_shape[0] // own.groups)
    channel = group[:, None] * size + torch.arange(size)  # that the child's weight reads
    parent_group = filters.source // (theirs.out_shape[0] // theirs.groups)
    parent_channel = inputs.source[channel]
    same_group = parent_channel // parent_size == parent_group[:, None]
    return filters.exists[:, None] & inputs.exists[channel] & same_group, parent_channel % parent_size


def _align_kernels(weight: Tensor, kernel: int) -> Tensor:
    """Pad or crop kernels (..., K, K) to (..., kernel, kernel) around their centre."""
    before = (kernel - weight.shape[-1]) // 2
    after = kernel - weight.shape[-1] - before
    return nn.functional.pad(weight.detach(), (before, after, before, after))  # a negative width crops


def _copy_vector(own: Tensor | None, theirs: Tensor | None, filters: _Selection) -> None:
    if own is not None and theirs is not None:
        own.copy_(torch.where(filters.exists, theirs.detach()[filters.source], own))


def _outcome(own: Conv, parent_convs: dict[str, Conv], matches: dict[str, Match]) -> LayerOutcome:
    if own.name not in matches:
        return "drawn"
    found, other = matches[own.name], parent_convs[own.name]
    exists, _ = _weight_indices(own, other, _selection(found.filters), _selection(found.inputs))
    if not exists.all():
        return "padded"
    if found.rewired:
        return "rewired"
    same = (own.in_shape[0], own.out_shape[0], own.kernel) == (other.in_shape[0], other.out_shape[0], other.kernel)
    return "copied" if same else "cut"
