"""A trained CNN twin becomes a spiking network: weights as they are, thresholds balanced layer by layer.

Each layer's currents are scaled such that a neuron's rate follows the twin's activation, as in Diehl et al. 2015
(10.1109/IJCNN.2015.7280696) and Rueckauer et al. 2017 (10.3389/fnins.2017.00682). There a high percentile of the
activations is worth one threshold; with few time steps and a leak almost nothing fires then. So the percentile is the
one at which rates reproduce the activations with the least squared error, over the network's own steps and neurons (as
Li et al. 2021, arXiv:2106.06984, choose thresholds): a high one where there are many steps and no leak. What remains is
made good by training (Rathi and Roy 2021, arXiv:2008.03658). Not followed: max pooling is the maximum at each step,
more than that of rates; negative values behind a projection, which the twin passes on and neurons do not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snnkit import kernels
from snnkit.architecture.channels import channels
from snnkit.architecture.plan import Conv, Neurons, Plan
from snnkit.base.config import NeuronConfig
from snnkit.nn.modes import eval_mode
from snnkit.nn.network import Fired, Network
from snnkit.weights.inherit import drives, scale_current

PERCENTILES = (50, 60, 70, 80, 85, 90, 95, 98, 99, 99.9)  # of positive activations: tried as worth of a threshold
SAMPLED = 4096  # activations of a layer and batch that are looked at


@dataclass(frozen=True)
class Balance:
    """What a layer's currents and spikes stand for, in the twin's activations."""

    threshold: float  # worth one threshold of current
    spike: float  # a rate of 1


@torch.no_grad()
def convert(network: Network, twin: Network, batches: Iterable[Tensor]) -> dict[str, Balance]:
    """Give the spiking ``network`` the weights of its trained ``twin``, of the same plan, balanced on ``batches`` of
    normalised training images (B, C, H, W); what was found, by layer.

    A layer that ends in neurons where the twin has a sigmoid fires at the rate ``1/2 + z/4``, the sigmoid's tangent.
    Running statistics are still the twin's: see `snnkit.training.recalibration`.
    """
    assert network.neuron is not None, "a spiking network is made of a twin"
    assert network.plan == twin.plan, "a twin has the plan of its network"
    found = balances(twin, network.neuron, network.timesteps, batches)
    origins = channels(network.plan).origins
    network.layers.load_state_dict(twin.layers.state_dict(), strict=False)  # it has no leaks
    for conv in network.plan.convs:
        layer = network.layer(conv)
        # what is summed in a channel has one balance, so any of its origins will do
        read = [next(iter(origin))[0] for origin in origins[conv.source]]
        worth = torch.tensor([found[name].spike if name in found else 1.0 for name in read])
        by_group = worth.view(conv.groups, 1, -1).expand(-1, conv.out_shape[0] // conv.groups, -1)
        layer.conv.weight.mul_(by_group.reshape(conv.out_shape[0], -1, 1, 1).to(layer.conv.weight.device))
        if conv.name in found:
            scale_current(layer, network.neuron.threshold / found[conv.name].threshold)
        elif _gates(conv):
            scale_current(layer, network.neuron.threshold / 4, network.neuron.threshold / 2)
    return found


@torch.no_grad()
def balances(twin: Network, neuron: NeuronConfig, timesteps: int, batches: Iterable[Tensor]) -> dict[str, Balance]:
    """For each layer that drives neurons; one and the same where their currents or spikes are summed."""
    shared = _shared(twin.plan)
    together: dict[str, list[Tensor]] = {}
    for name, values in _activations(twin, batches).items():
        together.setdefault(shared[name], []).append(values)
    found = {group: _balance(torch.cat(values), neuron, timesteps) for group, values in together.items()}
    return {conv.name: found[shared[conv.name]] for conv in twin.plan.convs if drives(conv) and not _gates(conv)}


def _balance(activations: Tensor, neuron: NeuronConfig, timesteps: int) -> Balance:
    """That with the least squared error of rates on constant currents; where nothing is positive, one to one."""
    wanted = activations.clamp(min=0)
    positive = wanted[wanted > 0]
    if not len(positive):
        return Balance(1.0, 1.0)
    tried = torch.quantile(positive, torch.tensor(PERCENTILES, dtype=positive.dtype) / 100).tolist()
    return min((_tried(wanted, threshold, neuron, timesteps) for threshold in tried), key=lambda pair: pair[0])[1]


def _tried(wanted: Tensor, threshold: float, neuron: NeuronConfig, timesteps: int) -> tuple[float, Balance]:
    """The squared error with ``threshold``, and with what a rate of 1 is then worth at best."""
    currents = wanted * (neuron.threshold / threshold)
    rates = kernels.lif(currents[None], neuron, timesteps).mean(0)
    spike = float((rates * wanted).sum() / rates.square().sum().clamp(min=1e-12))
    return float((wanted - spike * rates).square().sum()), Balance(threshold, spike or threshold)


def _gates(conv: Conv) -> bool:
    return conv.fires and conv.activation == "sigmoid"


def _shared(plan: Plan) -> dict[str, str]:
    """For each convolution and layer of neurons the first of those whose currents or spikes are summed with its own."""
    origins = channels(plan).origins
    first: dict[str, str] = {}

    def of(name: str) -> str:
        while first.setdefault(name, name) != name:
            name = first[name]
        return name

    for op in plan.ops:
        for origin in origins[op.name]:
            names = [op.name] * isinstance(op, Neurons) + [name for name, _ in origin]
            for name in names:
                first[of(name)] = of(names[0])
    return {name: of(name) for name in first}


def _activations(twin: Network, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Samples of what each layer of neurons would have to show, (count,) by name."""
    samples: dict[str, list[Tensor]] = {}

    def keep(name: str, values: Tensor) -> None:
        flat = values.flatten().float().cpu()
        samples.setdefault(name, []).append(flat[:: max(1, len(flat) // SAMPLED)])

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if isinstance(op, Neurons):
            keep(op.name, incoming)

    hooks = [
        twin.layer(conv).register_forward_hook(_keeper(conv.name, keep))
        for conv in twin.plan.convs
        if conv.fires and not _gates(conv)
    ]
    device = next(twin.parameters()).device
    try:
        with eval_mode(twin):
            for images in batches:
                twin(images.to(device), observe=observe)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: torch.cat(values) for name, values in samples.items()}


def _keeper(name: str, keep: Callable[[str, Tensor], None]) -> Callable[[nn.Module, object, Tensor], None]:
    return lambda module, given, values: keep(name, values)
