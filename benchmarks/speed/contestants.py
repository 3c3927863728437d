"""The same spiking network with the same weights, run by ours, by ours with ReLU, by snnTorch and by SpikingJelly.

The peers run plans of convolutions, poolings and concatenations (SqueezeNet), written in the style of their tutorials.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.architecture.plan import Concat, Conv, GlobalAverage, Op, Plan, Pool, sources
from snnkit.base.config import NeuronConfig
from snnkit.nn.layers import ConvLayer
from snnkit.nn.lif import LIF
from snnkit.nn.network import Network, layer_key

# All three define this neuron's step in the same way. SpikingJelly has no delayed reset.
NEURON = NeuronConfig(leak=0.5, reset="zero", reset_delay=False, surrogate="atan", slope=2.0)


class Peer(nn.Module):
    """Runs a plan's operations on (N, C, H, W), with copies of our convolutions and BatchNorms."""

    def __init__(self, ours: Network) -> None:
        super().__init__()
        self.plan: Plan = ours.plan
        self.timesteps = ours.timesteps
        layers = {layer_key(conv): ours.layer(conv) for conv in ours.plan.convs}
        self.convs = nn.ModuleDict({name: plain(layer) for name, layer in layers.items()})
        self.norms = nn.ModuleDict({name: copy.deepcopy(layer.norm) for name, layer in layers.items() if layer.norm})

    def run(self, image: Tensor, fire: Callable[[Conv, Tensor], Tensor]) -> Tensor:
        """Return the head's output. ``fire`` turns the currents of a layer into spikes."""
        values = {"input": image}
        for op in self.plan.ops:
            values[op.name] = self._run(op, [values[name] for name in sources(op)], fire)
        return values[self.plan.ops[-1].name]

    def every_step(self, conv: Conv, current: Tensor) -> Tensor:
        """Repeat the stem's current, which is evaluated once, for every time step: (T * B, ...)."""
        return current.repeat(self.timesteps, 1, 1, 1) if conv.reads == "input" else current

    def _run(self, op: Op, reads: list[Tensor], fire: Callable[[Conv, Tensor], Tensor]) -> Tensor:
        match op:
            case Conv():
                y: Tensor = self.convs[layer_key(op)](reads[0])
                if layer_key(op) in self.norms:
                    y = self.norms[layer_key(op)](y)
                return fire(op, y) if op.activation else y
            case Pool():
                return functional.max_pool2d(reads[0], op.kernel, op.stride, op.padding, ceil_mode=op.ceil)
            case Concat():
                return torch.cat(reads, dim=1)
            case GlobalAverage():
                return reads[0].mean(dim=(2, 3))
        raise NotImplementedError(f"{op.name}: the peers run convolutions, poolings and concatenations")


class SnnTorch(Peer):
    """Follow snnTorch's tutorials: a loop over time, and a ``Leaky`` with its membrane for each layer."""

    def __init__(self, ours: Network) -> None:
        super().__init__(ours)
        self.leaky = nn.ModuleDict({layer_key(conv): LIF(NEURON).as_leaky() for conv in self.plan.convs})

    def forward(self, images: Tensor) -> Tensor:
        membranes = {name: torch.zeros((), device=images.device) for name in self.leaky}

        def fire(conv: Conv, current: Tensor) -> Tensor:
            name = layer_key(conv)
            spikes: Tensor
            spikes, membranes[name] = self.leaky[name](current, membranes[name])
            return spikes.to(current.dtype)  # Leaky returns float32 for any input

        return torch.stack([self.run(images, fire).float() for _ in range(self.timesteps)]).mean(0)


class SpikingJelly(Peer):
    """Multi-step neurons over (T, B, ...), other operations on T * B images. The stem runs once, like ours."""

    def __init__(self, ours: Network) -> None:
        from spikingjelly.activation_based import neuron, surrogate

        super().__init__(ours)
        self.nodes = nn.ModuleDict(
            {
                layer_key(conv): neuron.LIFNode(
                    tau=1 / (1 - NEURON.leak), decay_input=False, v_threshold=NEURON.threshold, v_reset=0.0,
                    surrogate_function=surrogate.ATan(alpha=NEURON.slope), step_mode="m",
                )
                for conv in self.plan.convs
            }
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        for node in self.nodes.values():
            node.reset()  # type: ignore[operator]

        def fire(conv: Conv, current: Tensor) -> Tensor:
            current = self.every_step(conv, current)
            over_time = current.view(self.timesteps, -1, *current.shape[1:])
            spikes: Tensor = self.nodes[layer_key(conv)](over_time)
            return spikes.flatten(0, 1)

        return over_steps(self.run(images, fire), self.timesteps)


class Rectified(Peer):
    """ReLU in place of LIF, by torch's own operations, at the same T x B. The stem runs once, like ours."""

    def forward(self, images: Tensor) -> Tensor:
        def fire(conv: Conv, current: Tensor) -> Tensor:
            return functional.relu(self.every_step(conv, current))

        return over_steps(self.run(images, fire), self.timesteps)


CONTESTANTS: dict[str, Callable[[Network], nn.Module]] = {
    "ours": lambda ours: ours,
    "relu": Rectified,
    "snntorch": SnnTorch,
    "spikingjelly": SpikingJelly,
}


def plain(layer: ConvLayer) -> nn.Conv2d:
    """Return torch's own convolution with the same weights."""
    ours = layer.conv
    theirs = nn.Conv2d(
        ours.in_channels, ours.out_channels, ours.kernel_size[0], ours.stride[0], ours.padding[0],
        groups=ours.groups, bias=ours.bias is not None,
    )  # fmt: skip
    theirs.load_state_dict(ours.state_dict())
    return theirs


def over_steps(scores: Tensor, timesteps: int) -> Tensor:
    """Average over time: (T * B, classes) to (B, classes)."""
    return scores.float().view(timesteps, -1, scores.shape[1]).mean(0)
