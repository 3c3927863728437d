"""What a network does per inference, counted exactly from its real spikes; ``snnkit.energy`` puts prices on it.

Rules: an operation is a tap that meets an input, so taps that fall into the padding are none, in spiking and in dense
layers alike. A layer that reads spikes accumulates: one AC per spike and weight it meets, and a value that sums two
spikes is two. A layer that reads the image, and every layer of the CNN twin, multiplies: one MAC per tap. Which of the
two a layer is follows from the plan, never from the batch. BatchNorm is folded into its convolution; pooling and
concatenation of spikes are free. NeuroBench 2.3's ``SynapticOperations`` gives the same counts (tests).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snnkit.plan import Conv, Plan

if TYPE_CHECKING:  # the values and the twin's counts are had without torch
    from torch import Tensor

    from snnkit.network import Network


@dataclass(frozen=True)
class LayerActivity:
    """One convolution, per inference: summed over the time steps, mean over the images."""

    conv: Conv
    timesteps: int  # T; 1 in the twin
    evaluations: int  # of the convolution: T on spikes, 1 in the twin and on a still image (`Encoding.stem`)
    dense: bool  # reads real numbers: MACs, else ACs
    nonzero_macs: float | None  # MACs whose input is not zero, the first layer dense; None where nothing was run
    acs: float
    spikes_in: float  # a value that sums two spikes counts as two
    spikes_out: float
    neurons: int  # LIF; 0 where there are none
    neuron_ops: int  # multiplications by the leak

    @property
    def name(self) -> str:
        return self.conv.name

    @property
    def macs(self) -> int:
        return self.evaluations * taps(self.conv) if self.dense else 0

    @property
    def dense_macs(self) -> int:
        """Of one dense evaluation by the usual convention, taps in the padding counted."""
        return self.conv.dense_macs

    @property
    def bias_adds(self) -> int:
        """T additions for each output that has a bias, a BatchNorm folded into one included."""
        return self.timesteps * self.conv.outputs if self.conv.bias or self.conv.batchnorm else 0

    @property
    def input_mean(self) -> float | None:
        """Mean of the incoming elements over space, time and images; None where they are no spikes."""
        if self.dense:
            return None
        channels, height, width = self.conv.in_shape
        return self.spikes_in / (channels * height * width * self.timesteps * self.conv.input_scale)

    @property
    def firing_rate(self) -> float | None:
        """Spikes out per neuron and time step; None without neurons."""
        return self.spikes_out / (self.neurons * self.timesteps) if self.neurons else None


@dataclass(frozen=True)
class Activity:
    """All convolutions of a network in order of execution; totals per inference."""

    plan: Plan
    spiking: bool  # False: the CNN twin
    timesteps: int
    images: int  # that the means are over; 0 where nothing was run
    layers: tuple[LayerActivity, ...]

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def nonzero_macs(self) -> float | None:
        counted = [layer.nonzero_macs for layer in self.layers if layer.nonzero_macs is not None]
        return sum(counted) if len(counted) == len(self.layers) else None

    @property
    def acs(self) -> float:
        return sum(layer.acs for layer in self.layers)

    @property
    def spikes(self) -> float:
        return sum(layer.spikes_out for layer in self.layers)

    @property
    def neuron_ops(self) -> int:
        return sum(layer.neuron_ops for layer in self.layers)

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and time step over all spiking layers; 0 in the twin."""
        neurons = sum(layer.neurons for layer in self.layers)
        return self.spikes / (neurons * self.timesteps) if neurons else 0.0


def reach(size: int, outputs: int, conv: Conv) -> list[int]:
    """For each of ``size`` input positions along one side, how many of the ``outputs`` positions read it."""
    first_taps = [out * conv.stride - conv.padding for out in range(outputs)]
    return [sum(tap <= position < tap + conv.kernel for tap in first_taps) for position in range(size)]


def taps(conv: Conv) -> int:
    """Multiply-accumulates of one dense evaluation without those in the padding."""
    (channels, *size), (filters, *outputs) = conv.in_shape, conv.out_shape
    rows, columns = (sum(reach(*side, conv)) for side in zip(size, outputs, strict=True))
    return channels * filters // conv.groups * rows * columns


def dense_twin(plan: Plan) -> Activity:
    """What the CNN twin of a network with this plan does, without running it."""
    return Activity(plan, False, 1, 0, tuple(_twin_layer(conv, None) for conv in plan.convs))


def measure(network: "Network", batches: "Iterable[Tensor]") -> Activity:
    """Runs ``network`` on batches of normalised images (B, C, H, W) in eval mode and counts; the mode is restored.

    The counts are whole numbers until they are divided by the number of images, so they do not depend on the batch
    size. Raises ``ValueError`` if there is no image.
    """
    import torch

    counter = Counter(network)
    device = next(network.parameters()).device
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            for images in batches:
                network(images.to(device), observe=counter)
    finally:
        for module, training in modes:
            module.training = training
    return counter.activity()


class Counter:
    """Counts while a network runs: ``network(images, observe=counter)`` batch by batch, then ``counter.activity()``.

    Everything is kept on the network's device until ``activity`` is called; no batch waits for it.
    """

    def __init__(self, network: "Network") -> None:
        self._network = network
        self._images = 0
        self._still = True  # the image enters once, not once per time step
        self._arrived: dict[str, Tensor] = {}  # source -> (H, W), spikes (in the twin: non-zero values) per position
        self._fired: dict[str, Tensor] = {}  # convolution -> (H, W), spikes, where no convolution reads them directly
        # Convolutions that share a source read one tensor: it is counted once, by the first of them.
        self._reader = {conv.source: conv.name for conv in reversed(network.plan.convs)}

    def __call__(self, conv: Conv, incoming: "Tensor", outgoing: "Tensor | None") -> None:
        """``incoming`` (T or 1, B, C, H, W) enters ``conv``, ``outgoing`` (T, B, C, H, W) leaves its activation."""
        spiking = self._network.neuron is not None
        if conv.name == self._network.plan.convs[0].name:
            self._images += incoming.shape[1]
        if conv.real_input:
            self._still = incoming.shape[0] == 1
        elif self._reader[conv.source] == conv.name:
            arrived = _spike_map(incoming, conv.input_scale) if spiking else _spike_map(incoming.sign().abs(), 1)
            _add(self._arrived, conv.source, arrived)
        if spiking and outgoing is not None and conv.name not in self._reader:
            _add(self._fired, conv.name, _spike_map(outgoing, 1))

    def activity(self) -> Activity:
        """The means over the images seen so far; raises ``ValueError`` if there was none."""
        if not self._images:
            raise ValueError("no image to count on: give measure() at least one batch of at least one image")
        network = self._network
        spiking = network.neuron is not None
        layers = tuple(self._spiking(conv) if spiking else self._twin(conv) for conv in network.plan.convs)
        return Activity(network.plan, spiking, network.encoding.timesteps if spiking else 1, self._images, layers)

    def _twin(self, conv: Conv) -> LayerActivity:
        return _twin_layer(conv, float(taps(conv)) if conv.real_input else self._synapses(conv))

    def _spiking(self, conv: Conv) -> LayerActivity:
        neuron, encoding = self._network.neuron, self._network.encoding
        assert neuron is not None
        once = conv.real_input and self._still and encoding.stem == "once"
        evaluations = 1 if once else encoding.timesteps
        neurons = conv.outputs if conv.activation else 0
        fired = self._fired.get(conv.name, self._arrived.get(conv.name))  # read directly: the same tensor
        return LayerActivity(
            conv=conv,
            timesteps=encoding.timesteps,
            evaluations=evaluations,
            dense=conv.real_input,
            nonzero_macs=float(evaluations * taps(conv)) if conv.real_input else 0.0,
            acs=0.0 if conv.real_input else self._synapses(conv),
            spikes_in=0.0 if conv.real_input else float(self._arrived[conv.source].sum()) / self._images,
            spikes_out=float(fired.sum()) / self._images if neurons and fired is not None else 0.0,
            neurons=neurons,
            neuron_ops=encoding.timesteps * neurons if 0 < neuron.leak < 1 else 0,
        )

    def _synapses(self, conv: Conv) -> float:
        """Weights met by what arrived, per image: its number at each position x the outputs that read the position."""
        arrived = self._arrived[conv.source]
        rows = arrived.new_tensor(reach(conv.in_shape[1], conv.out_shape[1], conv))
        columns = arrived.new_tensor(reach(conv.in_shape[2], conv.out_shape[2], conv))
        return float(rows @ arrived @ columns) * (conv.out_shape[0] // conv.groups) / self._images


def _twin_layer(conv: Conv, nonzero_macs: float | None) -> LayerActivity:
    return LayerActivity(
        conv=conv,
        timesteps=1,
        evaluations=1,
        dense=True,
        nonzero_macs=nonzero_macs,
        acs=0.0,
        spikes_in=0.0,
        spikes_out=0.0,
        neurons=0,
        neuron_ops=0,
    )


def _add(sums: "dict[str, Tensor]", name: str, term: "Tensor") -> None:
    sums[name] = sums[name] + term if name in sums else term


def _spike_map(values: "Tensor", scale: int) -> "Tensor":
    """(T, B, C, H, W), each the sum of up to ``scale`` spikes over ``scale`` -> (H, W): spikes, exact, in float64.

    From bf16 too, as long as no value sums more than 255 spikes.
    """
    if scale > 1:
        values = (values.float() * scale).round()
    positions = values.shape[-2] * values.shape[-1]
    exact_in_float32 = values.numel() // positions * scale < 2**24  # 8 to 36 times faster than float64, one CPU core
    return (values.float() if exact_in_float32 else values.double()).sum(2).sum((0, 1)).double()
