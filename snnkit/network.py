"""Runs a plan: as a spiking network over T steps, or as its CNN twin in one pass."""

from typing import Protocol
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.neurons import LIF
from snnkit.plan import Concat, Conv, Dropout, Op, Plan, Pool
from snnkit.values import Encoding, Neuron


class Observer(Protocol):
    """Is shown every convolution of a forward pass: what it read and what came out after its activation.

    ``incoming`` is (T', B, C, H, W) with T' = 1 where it is the same at every step (the stem, the twin), ``outgoing``
    (T, B, C, H, W), or None where the convolution has no activation.
    """

    def __call__(self, conv: Conv, incoming: Tensor, outgoing: Tensor | None) -> None: ...


class ConvLayer(nn.Module):
    """Convolution, BatchNorm and activation as a ``Conv`` of the plan has them."""

    def __init__(self, conv: Conv, neuron: Neuron | None, timesteps: int) -> None:
        super().__init__()
        self.timesteps = timesteps
        self.conv = nn.Conv2d(
            conv.in_shape[0],
            conv.out_shape[0],
            conv.kernel,
            stride=conv.stride,
            padding=conv.padding,
            groups=conv.groups,
            bias=conv.bias,
        )
        self.norm = nn.BatchNorm2d(conv.out_shape[0]) if conv.batchnorm else None
        self.activation: nn.Module | None = None
        if conv.activation:
            self.activation = nn.ReLU() if neuron is None else LIF(neuron)

    def forward(self, x: Tensor) -> Tensor:
        """(T', B, C, H, W) to (T', B, C, H, W), or to (T, B, C, H, W) where neurons follow."""
        steps, images = x.shape[:2]
        y: Tensor = self.conv(x.flatten(0, 1))  # (T'*B, C, H, W)
        if self.norm is not None:
            y = self.norm(y)
        y = y.view(steps, images, *y.shape[1:])
        if self.activation is None:
            return y
        if isinstance(self.activation, LIF):
            y = y.expand(self.timesteps, *y.shape[1:])  # (T, B, C, H, W): a still image's current, the same each step
        out: Tensor = self.activation(y)
        return out


class Network(nn.Module):
    """The network that a plan describes: spiking with a ``neuron``, its CNN twin (ReLU, no time) without.

    Direct coding: the convolution that reads the image is evaluated once, and its current drives its neurons at every
    step. Weights depend on ``seed`` and the names in the plan alone.
    """

    def __init__(self, plan: Plan, neuron: Neuron | None, encoding: Encoding, *, seed: int = 0) -> None:
        super().__init__()
        self.plan, self.neuron, self.encoding = plan, neuron, encoding
        self.timesteps = 1 if neuron is None else encoding.timesteps
        with torch.device("meta"):  # no draw from the global random generator: initialise() draws the weights
            self.layers = nn.ModuleDict({key(conv): ConvLayer(conv, neuron, self.timesteps) for conv in plan.convs})
        self.layers.to_empty(device="cpu")
        self._unread = _last_readers(plan)
        self.initialise(seed)

    def forward(self, images: Tensor, observe: Observer | None = None) -> Tensor:
        """Images (B, C, H, W) to logits (B, classes): the mean over time and space of the head's current."""
        values = {"input": images.unsqueeze(0)}  # (1, B, C, H, W)
        for op, unread in zip(self.plan.ops, self._unread, strict=True):
            match op:
                case Conv():
                    values[op.name] = self._convolve(op, values[op.source], observe)
                case Pool():
                    values[op.name] = _pool(op, values[op.source])
                case Concat():
                    values[op.name] = _concat(tuple(values[source] for source in op.sources))
                case Dropout():
                    values[op.name] = _dropout(op, values[op.source], training=self.training)
                case _:
                    logits = values[op.source].mean(dim=(0, 3, 4))
            for name in unread:
                del values[name]
        return logits

    def initialise(self, seed: int) -> None:
        """Draws all weights anew: Kaiming normal (fan out), biases 0, BatchNorm 1 and 0.

        A layer's draw depends on ``seed`` and its name alone, not on the layers around it.
        """
        for name, layer in self.layers.items():
            assert isinstance(layer, ConvLayer)
            generator = torch.Generator().manual_seed(crc32(f"{seed}/{name}".encode()))
            nn.init.kaiming_normal_(layer.conv.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if layer.conv.bias is not None:
                nn.init.zeros_(layer.conv.bias)
            if layer.norm is not None:
                layer.norm.reset_parameters()

    def _convolve(self, conv: Conv, incoming: Tensor, observe: Observer | None) -> Tensor:
        outgoing: Tensor = self.layers[key(conv)](incoming)
        if observe is not None:
            observe(conv, incoming, outgoing if conv.activation else None)
        return outgoing


def key(conv: Conv) -> str:
    """Under which a convolution stands in ``Network.layers``: its name, "fire4.squeeze" as "fire4_squeeze"."""
    return conv.name.replace(".", "_")


def _pool(pool: Pool, x: Tensor) -> Tensor:
    flat = x.flatten(0, 1)
    if pool.kind == "max":
        y: Tensor = functional.max_pool2d(flat, pool.kernel, pool.stride, ceil_mode=pool.ceil)
    else:
        y = functional.avg_pool2d(flat, pool.kernel, pool.stride, ceil_mode=pool.ceil, divisor_override=pool.kernel**2)
    return y.view(*x.shape[:2], *y.shape[1:])


def _concat(sources: tuple[Tensor, ...]) -> Tensor:
    y = torch.cat([x.flatten(0, 1) for x in sources], dim=1)  # in four axes, as channels_last is defined for those
    return y.view(*sources[0].shape[:2], *y.shape[1:])


def _dropout(dropout: Dropout, x: Tensor, *, training: bool) -> Tensor:
    """The same elements at every step, so that an input is absent and not merely rarer."""
    return x * functional.dropout(torch.ones_like(x[:1]), dropout.rate, training) if training else x


def _last_readers(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """For each operation the values that none after it reads."""
    last: dict[str, int] = {}
    for index, op in enumerate(plan.ops):
        last |= dict.fromkeys(_sources(op), index)
    return tuple(tuple(name for name, at in last.items() if at == index) for index in range(len(plan.ops)))


def _sources(op: Op) -> tuple[str, ...]:
    return op.sources if isinstance(op, Concat) else (op.source,)
