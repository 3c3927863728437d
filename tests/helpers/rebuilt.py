"""Networks of snnsearch, built again from the modules of other libraries, one time step for each call."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.architecture.plan import (
    Concat,
    Conv,
    Dropout,
    Gate,
    GlobalAverage,
    Neurons,
    Op,
    Pool,
    Shuffle,
    Slice,
    Sum,
    sources,
)
from snnkit.nn.layers import ACTIVATIONS
from snnkit.nn.network import Network, layer_key


class Rebuilt(nn.Module):
    """The same weights in plain torch layers; the neurons are snnTorch's or SpikingJelly's. Without, the CNN twin."""

    def __init__(self, network: Network, library: str = "snntorch") -> None:
        super().__init__()
        self.plan, self.spiking = network.plan, network.neuron is not None
        self.convs, self.norms, self.after = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for op in self.plan.ops:
            if isinstance(op, Conv):
                layer, key = network.layer(op), layer_key(op)
                self.convs[key] = nn.Conv2d(
                    op.in_shape[0], op.out_shape[0], op.kernel, op.stride, op.padding, groups=op.groups, bias=op.bias
                )
                self.convs[key].load_state_dict(layer.conv.state_dict())
                if layer.norm is not None:
                    self.norms[key] = nn.BatchNorm2d(op.out_shape[0])
                    self.norms[key].load_state_dict(layer.norm.state_dict())
            if isinstance(op, Conv | Neurons) and op.activation is not None:
                fires = self.spiking and op.emits_spikes
                self.after[layer_key(op)] = neurons(network, op, library) if fires else ACTIVATIONS[op.activation]()
            elif isinstance(op, Neurons) and self.spiking:
                self.after[layer_key(op)] = neurons(network, op, library)

    def forward(self, image: Tensor) -> Tensor:
        values = {"input": image}
        for op in self.plan.ops:
            values[op.name] = self.run(op, [values[name] for name in sources(op)])
        return values[self.plan.ops[-1].name]

    def run(self, op: Op, read: list[Tensor]) -> Tensor:
        x = read[0]
        match op:
            case Conv() | Neurons():
                key = layer_key(op)
                for part in (self.convs, self.norms, self.after):
                    y = part[key](x) if key in part else x
                    x = (y[0] if isinstance(y, tuple) else y).to(x.dtype)  # snnTorch: float32 spikes, and its state
                return x
            case Pool() if op.kind == "max":
                return functional.max_pool2d(x, op.kernel, op.stride, op.padding, ceil_mode=op.ceil)
            case Pool():
                window = op.kernel**2
                return functional.avg_pool2d(x, op.kernel, op.stride, ceil_mode=op.ceil, divisor_override=window)
            case Slice():
                return x[:, op.start : op.stop]
            case Concat():
                return torch.cat(read, 1)
            case Shuffle():
                return functional.channel_shuffle(x, op.groups)
            case Sum():
                return sum(read[1:], x)
            case Gate():
                return read[0] * read[1]
            case Dropout():
                return x
            case GlobalAverage():
                return x.mean((2, 3))


def neurons(network: Network, op: Conv | Neurons, library: str) -> nn.Module:
    if library == "snntorch":
        return network.lif(op).as_leaky()
    from spikingjelly.activation_based import neuron

    given = network.neuron
    assert (given.reset, given.reset_delay) == ("zero", False)
    return neuron.LIFNode(tau=1 / (1 - given.leak), decay_input=False, v_threshold=given.threshold, v_reset=0.0)
