"""One set of weights for all networks of a space, so that any of them can be judged without a training of its own.

Convolutions of one name share their weights: a narrower one has the first of the filters. What a layer reads is known
by the place of its source among the layer's sources and by the filter there, not by the module: behind a removed Fire
the next one reads the Fire before with the same weights. (Cai et al. 2020, Once-for-All, arXiv:1908.09791; Yu et al.
2020, BigNAS, arXiv:2003.11142.) BatchNorm's statistics differ from network to network: `snnkit.training.recalibration`.
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
from snnkit.nn.network import Network, Observer
from snnkit.nn.network import key as layer_key

KEPT = 128  # networks that are kept with their buffers, rather than built anew at every step

Index = tuple[slice | list[int], ...]


@dataclass(frozen=True)
class Place:
    """A tensor of a layer, or some of its input channels: ``own[here]`` is ``shared[name][there]``."""

    tensor: str  # of the network: layers.fire4_squeeze.conv.weight
    name: str
    here: Index
    there: Index
    size: tuple[int, ...]  # that the shared tensor has at least


def places(plan: Plan, *, leaks: bool) -> Iterator[Place]:
    """For all weights of a network, in order of execution; last, where they are learned, its leaks."""
    at = {conv.name: index for index, conv in enumerate(plan.convs)}
    origins = channels(plan)
    for conv in plan.convs:
        filters = conv.out_shape[0]
        kernel = (conv.kernel, conv.kernel)
        name = layer_key(conv)
        for slot, (here, there) in enumerate(_sources(conv, at, origins.read_by(conv))):
            columns = max(there) + 1
            yield Place(
                f"layers.{name}.conv.weight", f"{name}_{conv.kernel}_{slot}", (slice(None), _run(here)),
                (slice(filters), _run(there)), (filters, columns, *kernel),
            )  # fmt: skip
        vectors = ("conv.bias",) * conv.bias + ("norm.weight", "norm.bias") * conv.batchnorm
        for vector in vectors:
            shared = f"{name}_{vector.replace('.', '_')}"
            yield Place(f"layers.{name}.{vector}", shared, (slice(None),), (slice(filters),), (filters,))
    for op in plan.firing if leaks else ():
        name = layer_key(op)
        lif = f"layers.{name}.activation" if isinstance(op, Conv) else f"neurons.{name}"
        yield Place(f"{lif}.leak_logit", f"{name}_leak_logit", (), (), ())


def _sources(
    conv: Conv, at: dict[str, int], origins: Sequence[frozenset[tuple[str, int]]]
) -> Iterator[tuple[list[int], list[int]]]:
    """The channels that ``conv`` reads, by the layer that they come from: which they are here, and there."""
    if conv.groups > 1:
        each = list(range(conv.in_shape[0] // conv.groups))
        yield each, each
        return
    found: dict[str, tuple[list[int], list[int]]] = {}
    for channel, origin in enumerate(origins):
        source, filter_ = max(origin, key=lambda one: at.get(one[0], -1))  # the newest of a sum
        here, there = found.setdefault(source, ([], []))
        here.append(channel)
        there.append(filter_)
    yield from found.values()


def _run(indices: list[int]) -> slice | list[int]:
    """A slice where they follow each other, which is read faster."""
    run = slice(indices[0], indices[-1] + 1)
    return run if indices == list(range(run.start, run.stop)) else indices


@dataclass(frozen=True)
class _Part:
    own: nn.Parameter
    shared: nn.Parameter
    here: Index
    there: Index

    def load(self) -> None:
        self.own[self.here] = self.shared[self.there]

    def collect(self) -> None:
        if self.own.grad is not None:
            if self.shared.grad is None:
                self.shared.grad = torch.zeros_like(self.shared)
            self.shared.grad[self.there] += self.own.grad[self.here]


class Supernet(nn.Module):
    """``plans``: of all networks that are taken out of it, first the one that it is itself as a module: the largest."""

    def __init__(self, plans: Sequence[Plan], neuron: NeuronConfig, encoding: EncodingConfig, *, seed: int) -> None:
        super().__init__()
        self.largest, self.neuron, self.encoding, self.seed = plans[0], neuron, encoding, seed
        self.shared = nn.ParameterDict()
        self._taken = lru_cache(KEPT)(self._build)
        for plan in plans:
            self._make_room(plan)
        for name, norm in _norms(self._network(self.largest)):
            self.register_buffer(f"{name}_mean", norm.running_mean)
            self.register_buffer(f"{name}_var", norm.running_var)

    def forward(self, images: Tensor, observe: Observer | None = None) -> Tensor:
        """Images (B, C, H, W) to the logits (B, classes) of the largest network."""
        logits: Tensor = self.take(self.largest).train(self.training)(images, observe=observe)
        return logits

    @torch.no_grad()
    def take(self, plan: Plan) -> Network:
        """The network of ``plan`` with a copy of the shared weights as they are now, overwritten by the next call with
        the same plan. Its BatchNorm statistics are those of what it ran on before."""
        network, parts = self._taken(plan)
        for part in parts:
            part.load()
        if plan == self.largest:  # what is evaluated after each epoch is part of a checkpoint
            for name, norm in _norms(network):
                norm.running_mean, norm.running_var = self.get_buffer(f"{name}_mean"), self.get_buffer(f"{name}_var")
        return network

    @torch.no_grad()
    def collect(self, plan: Plan) -> None:
        """Add the gradients of the network of ``plan``, taken before, to those of the shared weights, and drop them."""
        network, parts = self._taken(plan)
        for part in parts:
            part.collect()
        network.zero_grad(set_to_none=True)

    def _network(self, plan: Plan) -> Network:
        return Network(plan, self.neuron, self.encoding, seed=self.seed)

    def _places(self, plan: Plan) -> Iterator[Place]:
        return places(plan, leaks=self.neuron.learn_leak)

    def _build(self, plan: Plan) -> tuple[Network, tuple[_Part, ...]]:
        network = self._network(plan)
        network.to(next(iter(self.shared.values())).device).to(memory_format=torch.channels_last)
        return network, tuple(
            _Part(network.get_parameter(place.tensor), self.shared[place.name], place.here, place.there)
            for place in self._places(plan)
        )

    def _make_room(self, plan: Plan) -> None:
        """A place for every weight of ``plan``; what is new is drawn as the network itself would have it."""
        network: Network | None = None
        for place in self._places(plan):
            before = self.shared.get(place.name, None)
            if before is not None and all(n <= there for n, there in zip(place.size, before.shape, strict=True)):
                continue
            network = network or self._network(plan)
            self.shared[place.name] = _grown(before, network.get_parameter(place.tensor), place, self.seed)


def _grown(before: Tensor | None, own: Tensor, place: Place, seed: int) -> nn.Parameter:
    """``before`` in the corner of a tensor that has room for ``place``, spread like ``own``."""
    old = before.shape if before is not None else (0,) * len(place.size)
    size = [max(pair) for pair in zip(place.size, old, strict=True)]
    generator = torch.Generator().manual_seed(crc32(f"{seed}/{place.name}/{size}".encode()))
    with torch.no_grad():
        grown = own.new_empty(size).normal_(generator=generator) * own.std(correction=0) + own.mean()
        if before is not None:
            grown[tuple(slice(n) for n in old)] = before
    return nn.Parameter(grown)


def _norms(network: Network) -> Iterator[tuple[str, nn.BatchNorm2d]]:
    for conv in network.plan.convs:
        norm = network.layer(conv).norm
        if norm is not None:
            yield layer_key(conv), norm
