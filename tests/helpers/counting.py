"""Networks that fire, and what NeuroBench 2.3 counts in them.

NeuroBench leaves out BatchNorm, biases, pooling, neurons and taps in the padding, as `snnkit.energy.operations` does.
The network runs as it is: T lies in the batch of every convolution, so NeuroBench sums over it; the stem sees each
still image once.
"""

import torch
from neurobench.metrics.utils.layers import single_layer_MACs
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import TorchModel
from torch import Tensor, nn

from snnkit.architecture.plan import Conv, Neurons
from snnkit.kernels import Spikes
from snnkit.nn.network import Fired, Network, layer_key


def awake(network: Network) -> Network:
    """Return a float64 network whose BatchNorm statistics of random images make spikes in every layer."""
    network.double().train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # average all batches
    with torch.no_grad():
        for seed in range(4):
            network(inputs(network, 8, seed=seed))
    return network.eval()


def images(count: int, shape: tuple[int, int, int], seed: int = 1) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def frames(count: int, shape: tuple[int, int, int], timesteps: int, seed: int = 1) -> Tensor:
    """Return random events, a third of the possible ones: (B, T, C, H, W)."""
    return (torch.rand(count, timesteps, *shape, generator=torch.Generator().manual_seed(seed)) < 1 / 3).double()


def inputs(network: Network, count: int, seed: int = 1) -> Tensor:
    """Input that fits the network's encoding."""
    shape, encoding = network.plan.in_shape, network.encoding
    return frames(count, shape, encoding.timesteps, seed) if encoding.kind == "frames" else images(count, shape, seed)


def fired(spikes: Tensor) -> Fired:
    """Return ``spikes`` (T, B, C, H, W) as a network shows them to an observer."""
    return Fired(spikes.sum(dtype=torch.float64), lambda: Spikes(spikes, None))


def neurobench(network: Network, data: Tensor) -> dict[str, float]:
    """MACs, ACs and dense operations per image."""
    model, metric = TorchModel(network), SynapticOperations()
    model.register_hooks()
    with torch.no_grad():
        logits = model(data)
        counts = metric(model, logits, (data, None))
    model.cleanup_hooks()
    return counts


def neurobench_layers(network: Network, data: Tensor) -> dict[str, float]:
    """Nonzero operations per image, by layer."""
    counts = {}

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if isinstance(op, Conv):
            layer = network.layers[layer_key(op)].conv
            counts[op.name] = single_layer_MACs(incoming.flatten(0, 1), layer)[0] / len(data)

    with torch.no_grad():
        network(data, observe=observe)
    return counts
