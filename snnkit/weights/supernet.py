"""One set of weights shared by all networks of a space, so that each can be evaluated without its own training.

Convolutions with the same name share weights; a narrower one uses the first filters. Input channels are identified by
the position of their source among the layer's sources and by the filter, not by the module: if a Fire module is
removed, the next module reads the one before it with the same weights. (Cai et al. 2020, Once-for-All,
arXiv:1908.09791; Yu et al. 2020, BigNAS, arXiv:2003.11142.) BatchNorm statistics differ between subnetworks: see
`snnkit.training.recalibration`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import torch
from torch import Tensor, nn

from snnkit.architecture.channels import channels
from snnkit.architecture.plan import Conv, Plan
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.nn.network import Network, Observer, layer_key

MAX_CACHED_NETWORKS = 128  # subnetworks kept with their buffers, so that not every step has to build them

Index = tuple[slice | list[int], ...]


@dataclass(frozen=True)
class SharedSlice:
    """A part of a layer's tensor and its shared weights: ``own[own_index]`` is ``shared[name][shared_index]``."""

    tensor: str  # name in the subnetwork, such as layers.fire4_squeeze.conv.weight
    name: str  # of the shared tensor
    own_index: Index
    shared_index: Index
    min_size: tuple[int, ...]  # of the shared tensor


def shared_slices(plan: Plan, *, leaks: bool) -> Iterator[SharedSlice]:
    """Yield the slices of all weights of a network, in order of execution, then of its leaks if they are learned."""
    position = {conv.name: index for index, conv in enumerate(plan.convs)}
    origins = channels(plan)
    for conv in plan.convs:
        filters = conv.out_shape[0]
        kernel = (conv.kernel, conv.kernel)
        name = layer_key(conv)
        for slot, (own, shared) in enumerate(_inputs_by_source(conv, position, origins.read_by(conv))):
            columns = max(shared) + 1
            yield SharedSlice(
                f"layers.{name}.conv.weight", f"{name}_{conv.kernel}_{slot}", (slice(None), _as_slice(own)),
                (slice(filters), _as_slice(shared)), (filters, columns, *kernel),
            )  # fmt: skip
        vectors = ("conv.bias",) * conv.bias + ("norm.weight", "norm.bias") * conv.batchnorm
        for vector in vectors:
            shared_name = f"{name}_{vector.replace('.', '_')}"
            yield SharedSlice(f"layers.{name}.{vector}", shared_name, (slice(None),), (slice(filters),), (filters,))
    for op in plan.spiking_ops if leaks else ():
        name = layer_key(op)
        lif = f"layers.{name}.activation" if isinstance(op, Conv) else f"neurons.{name}"
        yield SharedSlice(f"{lif}.leak_logit", f"{name}_leak_logit", (), (), ())


def _inputs_by_source(
    conv: Conv, position: dict[str, int], origins: Sequence[frozenset[tuple[str, int]]]
) -> Iterator[tuple[list[int], list[int]]]:
    """Group the input channels of ``conv`` by source layer: their indices in ``conv``, and the source's filters."""
    if conv.groups > 1:
        indices = list(range(conv.in_shape[0] // conv.groups))
        yield indices, indices
        return
    found: dict[str, tuple[list[int], list[int]]] = {}
    for channel, origin in enumerate(origins):
        source, filter_ = max(origin, key=lambda one: position.get(one[0], -1))  # the last layer of a sum
        own, shared = found.setdefault(source, ([], []))
        own.append(channel)
        shared.append(filter_)
    yield from found.values()


def _as_slice(indices: list[int]) -> slice | list[int]:
    """Turn consecutive indices into a slice, which is faster to read."""
    run = slice(indices[0], indices[-1] + 1)
    return run if indices == list(range(run.start, run.stop)) else indices


@dataclass(frozen=True)
class _BoundSlice:
    own: nn.Parameter
    shared: nn.Parameter
    own_index: Index
    shared_index: Index

    def load_weights(self) -> None:
        self.own[self.own_index] = self.shared[self.shared_index]

    def collect_gradients(self) -> None:
        if self.own.grad is not None:
            if self.shared.grad is None:
                self.shared.grad = torch.zeros_like(self.shared)
            self.shared.grad[self.shared_index] += self.own.grad[self.own_index]


class Supernet(nn.Module):
    """The shared weights of the networks of ``plans``. As a module, it is the network of the first and largest plan."""

    def __init__(self, plans: Sequence[Plan], neuron: NeuronConfig, encoding: EncodingConfig, *, seed: int) -> None:
        super().__init__()
        self.largest, self.neuron, self.encoding, self.seed = plans[0], neuron, encoding, seed
        self.shared = nn.ParameterDict()
        self._cached = lru_cache(MAX_CACHED_NETWORKS)(self._build)
        for plan in plans:
            self._add_weights(plan)
        for name, norm in _batchnorms(self._network(self.largest)):
            self.register_buffer(f"{name}_mean", norm.running_mean)
            self.register_buffer(f"{name}_var", norm.running_var)

    def forward(self, images: Tensor, observe: Observer | None = None) -> Tensor:
        """Return the logits (B, classes) of the largest network for images (B, C, H, W)."""
        logits: Tensor = self.subnetwork(self.largest).train(self.training)(images, observe=observe)
        return logits

    @torch.no_grad()
    def subnetwork(self, plan: Plan) -> Network:
        """Return the network of ``plan`` with a copy of the current shared weights.

        The next call with the same plan overwrites the copy. BatchNorm statistics stay as its previous use left them.
        """
        network, slices = self._cached(plan)
        for bound in slices:
            bound.load_weights()
        if plan == self.largest:  # it is evaluated after each epoch, so its statistics belong to the checkpoint
            for name, norm in _batchnorms(network):
                norm.running_mean, norm.running_var = self.get_buffer(f"{name}_mean"), self.get_buffer(f"{name}_var")
        return network

    @torch.no_grad()
    def collect_gradients(self, plan: Plan) -> None:
        """Move the gradients of the subnetwork of ``plan`` to the shared weights, adding to those already there."""
        network, slices = self._cached(plan)
        for bound in slices:
            bound.collect_gradients()
        network.zero_grad(set_to_none=True)

    def _network(self, plan: Plan) -> Network:
        return Network(plan, self.neuron, self.encoding, seed=self.seed)

    def _slices(self, plan: Plan) -> Iterator[SharedSlice]:
        return shared_slices(plan, leaks=self.neuron.learn_leak)

    def _build(self, plan: Plan) -> tuple[Network, tuple[_BoundSlice, ...]]:
        network = self._network(plan)
        network.to(next(iter(self.shared.values())).device).to(memory_format=torch.channels_last)
        return network, tuple(
            _BoundSlice(network.get_parameter(part.tensor), self.shared[part.name], part.own_index, part.shared_index)
            for part in self._slices(plan)
        )

    def _add_weights(self, plan: Plan) -> None:
        """Make the shared tensors large enough for ``plan``. New weights are drawn with the network's distribution."""
        network: Network | None = None
        for part in self._slices(plan):
            before = self.shared.get(part.name, None)
            if before is not None and all(n <= size for n, size in zip(part.min_size, before.shape, strict=True)):
                continue
            network = network or self._network(plan)
            self.shared[part.name] = _enlarge(before, network.get_parameter(part.tensor), part, self.seed)


def _enlarge(before: Tensor | None, own: Tensor, part: SharedSlice, seed: int) -> nn.Parameter:
    """Return a tensor that fits ``part``: ``before`` in its corner, and random weights with the moments of ``own``."""
    old = before.shape if before is not None else (0,) * len(part.min_size)
    size = [max(pair) for pair in zip(part.min_size, old, strict=True)]
    generator = torch.Generator().manual_seed(crc32(f"{seed}/{part.name}/{size}".encode()))
    with torch.no_grad():
        enlarged = own.new_empty(size).normal_(generator=generator) * own.std(correction=0) + own.mean()
        if before is not None:
            enlarged[tuple(slice(n) for n in old)] = before
    return nn.Parameter(enlarged)


def _batchnorms(network: Network) -> Iterator[tuple[str, nn.BatchNorm2d]]:
    for conv in network.plan.convs:
        norm = network.layer(conv).norm
        if norm is not None:
            yield layer_key(conv), norm
