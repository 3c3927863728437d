"""Convert a trained CNN twin into a spiking network: copy its weights and balance thresholds layer by layer.

The currents of each layer are scaled so that firing rates follow the twin's activations (Diehl et al. 2015,
10.1109/IJCNN.2015.7280696; Rueckauer et al. 2017, 10.3389/fnins.2017.00682). These papers equate a high percentile of
the activations with the threshold, but with few time steps and a leak almost nothing would fire then. Here the
percentile is the one whose rates reproduce the activations with the least squared error, for the network's own time
steps and neurons (as Li et al. 2021, arXiv:2106.06984, choose thresholds). With many steps and no leak it is
high. Training makes up for the remaining error (Rathi and Roy 2021, arXiv:2008.03658).

Two errors are not modelled. Max pooling takes the maximum at each step, which is more than the maximum of rates. The
twin passes on negative values behind a projection; neurons do not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snnkit import kernels
from snnkit.architecture.channels import channels
from snnkit.architecture.plan import Conv, Neurons, Plan
from snnkit.base.config import NeuronConfig
from snnkit.nn.layers import GATES
from snnkit.nn.modes import eval_mode
from snnkit.nn.network import Fired, Network
from snnkit.weights.inherit import feeds_neurons, rescale_output

PERCENTILES = (50, 60, 70, 80, 85, 90, 95, 98, 99, 99.9)  # of positive activations: candidates for the threshold
N_ACTIVATION_SAMPLES = 4096  # about so many activations are sampled per layer and batch


@dataclass(frozen=True)
class ThresholdBalance:
    """The twin's activations that correspond to a layer's currents and spikes."""

    threshold: float  # the activation that corresponds to a current of one threshold
    spike: float  # the activation that corresponds to a rate of 1


@torch.no_grad()
def convert(network: Network, twin: Network, batches: Iterable[Tensor]) -> dict[str, ThresholdBalance]:
    """Give the spiking ``network`` the weights of its trained ``twin``, and return the balance of each layer.

    Both have the same plan. ``batches`` are normalised training images (B, C, H, W). A layer that ends in neurons,
    where the twin has a sigmoid, fires at the rate ``1/2 + z/4``, the sigmoid's tangent; where it has a hardsigmoid, at
    the rate ``1/2 + z/6``. BatchNorm statistics are still the twin's: see `snnkit.training.recalibration`.
    """
    assert network.neuron is not None, "only a spiking network is converted from a twin"
    assert network.plan == twin.plan, "a twin must have the plan of its network"
    found = balance_thresholds(twin, network.neuron, network.timesteps, batches)
    origins = channels(network.plan).origins
    network.layers.load_state_dict(twin.layers.state_dict(), strict=False)  # the twin has no leaks
    for conv in network.plan.convs:
        layer = network.layer(conv)
        # all origins summed in a channel have the same balance, so any of them will do
        read = [next(iter(origin))[0] for origin in origins[conv.source]]
        spike = torch.tensor([found[name].spike if name in found else 1.0 for name in read])
        by_group = spike.view(conv.groups, 1, -1).expand(-1, conv.out_shape[0] // conv.groups, -1)
        layer.conv.weight.mul_(by_group.reshape(conv.out_shape[0], -1, 1, 1).to(layer.conv.weight.device))
        if conv.name in found:
            rescale_output(layer, network.neuron.threshold / found[conv.name].threshold)
        elif _is_gate(conv):
            slope = 1 / 6 if conv.activation == "hardsigmoid" else 1 / 4
            rescale_output(layer, network.neuron.threshold * slope, network.neuron.threshold / 2)
    return found


@torch.no_grad()
def balance_thresholds(
    twin: Network, neuron: NeuronConfig, timesteps: int, batches: Iterable[Tensor]
) -> dict[str, ThresholdBalance]:
    """Return the balance of each layer that feeds neurons. Layers whose currents or spikes are summed share one."""
    group_of = _summed_groups(twin.plan)
    activations: dict[str, list[Tensor]] = {}
    for name, values in _sample_activations(twin, batches).items():
        activations.setdefault(group_of[name], []).append(values)
    found = {group: _best_balance(torch.cat(values), neuron, timesteps) for group, values in activations.items()}
    feeding = (conv for conv in twin.plan.convs if feeds_neurons(conv) and not _is_gate(conv))
    return {conv.name: found[group_of[conv.name]] for conv in feeding}


def _best_balance(activations: Tensor, neuron: NeuronConfig, timesteps: int) -> ThresholdBalance:
    """Return the balance whose rates on constant currents have the least squared error.

    If no activation is positive, return a balance of 1.
    """
    wanted = activations.clamp(min=0)
    positive = wanted[wanted > 0]
    if not len(positive):
        return ThresholdBalance(1.0, 1.0)
    thresholds = torch.quantile(positive, torch.tensor(PERCENTILES, dtype=positive.dtype) / 100).tolist()
    candidates = (_squared_error(wanted, threshold, neuron, timesteps) for threshold in thresholds)
    return min(candidates, key=lambda pair: pair[0])[1]


def _squared_error(
    wanted: Tensor, threshold: float, neuron: NeuronConfig, timesteps: int
) -> tuple[float, ThresholdBalance]:
    """Return the squared error with ``threshold``, and the balance with the best-fitting value of a spike."""
    currents = wanted * (neuron.threshold / threshold)
    rates = kernels.lif(currents[None], neuron, timesteps).mean(0)
    spike = float((rates * wanted).sum() / rates.square().sum().clamp(min=1e-12))
    return float((wanted - spike * rates).square().sum()), ThresholdBalance(threshold, spike or threshold)


def _is_gate(conv: Conv) -> bool:
    return conv.emits_spikes and conv.activation in GATES


def _summed_groups(plan: Plan) -> dict[str, str]:
    """Group the layers whose currents or spikes are summed: map each layer's name to the name of its group."""
    from scipy.cluster.hierarchy import DisjointSet

    origins = channels(plan).origins
    groups = DisjointSet()
    for op in plan.ops:
        for origin in origins[op.name]:
            names = [op.name] * isinstance(op, Neurons) + [name for name, _ in origin]
            for name in names:
                groups.add(name)
                groups.merge(names[0], name)
    return {name: groups[name] for name in groups}


def _sample_activations(twin: Network, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Return samples (count,) of the activations that each layer of neurons must reproduce, by layer name."""
    samples: dict[str, list[Tensor]] = {}

    def record(name: str, values: Tensor) -> None:
        flat = values.flatten().float().cpu()
        samples.setdefault(name, []).append(flat[:: max(1, len(flat) // N_ACTIVATION_SAMPLES)])

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if isinstance(op, Neurons):
            record(op.name, incoming)

    hooks = [
        twin.layer(conv).register_forward_hook(_output_hook(conv.name, record))
        for conv in twin.plan.convs
        if conv.emits_spikes and not _is_gate(conv)
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


def _output_hook(name: str, record: Callable[[str, Tensor], None]) -> Callable[[nn.Module, object, Tensor], None]:
    return lambda module, inputs, output: record(name, output)
