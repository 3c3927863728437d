"""What a network does per inference, counted exactly from its real spikes; ``snnkit.energy`` puts prices on it.

Rules: an operation is a tap that meets an input, so taps that fall into the padding are none, in spiking and in dense
layers alike. A layer that reads spikes accumulates: one AC per spike and weight it meets, and a value that sums two
spikes is two. A layer that reads the image or means of spikes, and every layer of the CNN twin, multiplies: one MAC per
tap. Behind a real gate it is one MAC per spike and weight, the gate folded into the weight. Which of these a layer is
follows from the plan, never from the batch. BatchNorm is folded into its convolution; pooling, concatenation, splits,
shuffles, gates and sums of spikes are free; a sum of currents is one addition per element and step, means that are
taken as real numbers one per spike.
NeuroBench 2.3's ``SynapticOperations`` gives the same synaptic counts, and leaves those additions out (tests).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from snnkit.architecture.plan import Conv, Neurons, Plan, Sum
from snnkit.base.config import EncodingConfig, NeuronConfig

if TYPE_CHECKING:  # the values and the twin's counts are had without torch
    from torch import Tensor

    from snnkit.nn.network import Fired, Network


@dataclass(frozen=True)
class LayerCounts:
    """One operation that costs something, per inference: summed over the time steps, mean over the images."""

    op: Conv | Sum | Neurons
    timesteps: int  # T; 1 in the twin
    evaluations: int  # T on spikes, 1 in the twin and on a still image (`EncodingConfig.stem`)
    dense: bool = False  # a convolution that reads real numbers everywhere: all its taps are MACs
    macs: float = 0
    nonzero_macs: float | None = 0.0  # whose input is not zero, the first layer dense; None where nothing was run
    synapses: float = 0.0  # ACs: one per spike and weight it meets
    additions: float = 0.0  # ACs beside those: into residual sums, into means
    spikes_in: float = 0.0  # a value that sums two spikes counts as two
    spikes_out: float = 0.0
    neurons: int = 0  # LIF; 0 where there are none
    neuron_ops: int = 0  # multiplications by the leak

    @property
    def name(self) -> str:
        return self.op.name

    @property
    def acs(self) -> float:
        return self.synapses + self.additions

    @property
    def params(self) -> int:
        return self.op.params if isinstance(self.op, Conv) else 0

    @property
    def dense_macs(self) -> int:
        """Of one dense evaluation by the usual convention, taps in the padding counted."""
        return self.op.dense_macs if isinstance(self.op, Conv) else 0

    @property
    def bias_adds(self) -> int:
        """An addition at each evaluation for each output that has a bias, a BatchNorm folded into one included."""
        op = self.op
        return self.evaluations * op.outputs if isinstance(op, Conv) and (op.bias or op.batchnorm) else 0

    @property
    def input_mean(self) -> float | None:
        """Mean of the incoming elements over space, time and images; None where they are no spikes."""
        if self.dense or not isinstance(self.op, Conv):
            return None
        return self.spikes_in / (prod(self.op.in_shape) * self.timesteps * self.op.input_scale)

    @property
    def firing_rate(self) -> float | None:
        """Spikes out per neuron and time step; None without neurons."""
        return self.spikes_out / (self.neurons * self.timesteps) if self.neurons else None


@dataclass(frozen=True)
class OperationCounts:
    """All that a network does that costs something, in order of execution; totals per inference."""

    plan: Plan
    spiking: bool  # False: the CNN twin
    timesteps: int
    images: int  # that the means are over; 0 where nothing was run
    layers: tuple[LayerCounts, ...]

    @property
    def macs(self) -> float:
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


def dense_twin(plan: Plan) -> OperationCounts:
    """What the CNN twin of a network with this plan does, without running it."""
    return OperationCounts(
        plan, False, 1, 0, tuple(_twin_layer(op, None) for op in plan.ops if isinstance(op, Conv | Sum))
    )


def silent(plan: Plan, neuron: NeuronConfig, encoding: EncodingConfig) -> OperationCounts:
    """The least that the spiking network of this plan can do, without running it: no neuron fires, no event comes in.

    Every count of `count_operations` is at least this one, because spikes only add to it. So every energy model with
    non-negative prices gives at least the energy of these counts.
    """
    costly = (op for op in plan.ops if isinstance(op, Conv | Sum | Neurons))
    layers = tuple(_silent_layer(op, neuron, encoding) for op in costly if not isinstance(op, Sum) or op.currents)
    return OperationCounts(plan, True, encoding.timesteps, 0, layers)


def count_operations(network: "Network", batches: "Iterable[Tensor]") -> OperationCounts:
    """Runs ``network`` on batches of normalised images (B, C, H, W) in eval mode and in fp32, and counts; the mode is
    restored.

    The counts are whole numbers until they are divided by the number of images, so they do not depend on the batch
    size. Raises ``ValueError`` if there is no image.
    """
    from snnkit.nn.modes import as_counted

    counter = Counter(network)
    device = next(network.parameters()).device
    with as_counted(network):
        for images in batches:
            network(images.to(device), observe=counter)
    return counter.activity()


class Counter:
    """Counts while a network runs: ``network(images, observe=counter)`` batch by batch, then ``counter.activity()``.

    Everything is kept on the network's device until ``activity`` is called; no batch waits for it.
    """

    def __init__(self, network: "Network") -> None:
        from snnkit.kernels import arrivals

        self._network, self._arrivals = network, arrivals
        self._images = 0
        self._spikes: dict[str, Tensor] = {}  # source -> (H, W), spikes that arrived at each position
        self._nonzero: dict[str, Tensor] = {}  # source -> (H, W), values that are not zero, where a reader multiplies
        self._fired: dict[str, Tensor] = {}  # name -> spikes
        # Convolutions that share a source read one tensor: it is counted once, by the first of them.
        self._reader = {conv.source: conv.name for conv in reversed(network.plan.convs)}

    def __call__(self, op: Conv | Neurons, incoming: "Tensor", fired: "Fired | None") -> None:
        """``incoming`` (T or 1, B, C, H, W) enters ``op``, and its neurons fired."""
        spiking = self._network.neuron is not None
        if op.name == self._network.plan.convs[0].name:
            self._images += incoming.shape[1]
        if isinstance(op, Conv) and self._reader[op.source] == op.name and not self._is_dense(op):
            if spiking and op.reads != "gated":
                _add(self._spikes, op.source, self._arrivals(incoming, op.input_scale, op.input_most))
            if not spiking or op.reads in ("gated", "means"):
                _add(self._nonzero, op.source, self._arrivals(incoming, 0))
        if fired is not None:
            _add(self._fired, op.name, fired.count)

    def activity(self) -> OperationCounts:
        """The means over the images seen so far; raises ``ValueError`` if there was none."""
        if not self._images:
            raise ValueError("no image to count on: give measure() at least one batch of at least one image")
        network, neuron = self._network, self._network.neuron
        if neuron is not None:
            quiet = silent(network.plan, neuron, network.encoding)
            return replace(quiet, images=self._images, layers=tuple(map(self._spiking, quiet.layers)))
        layers = tuple(self._twin(op) for op in network.plan.ops if isinstance(op, Conv | Sum))
        return OperationCounts(network.plan, False, 1, self._images, layers)

    def _is_dense(self, conv: Conv) -> bool:
        """Whether it multiplies at every tap: what it reads is the picture, as against spikes or frames of events."""
        still = self._network.encoding.kind == "direct" or self._network.neuron is None
        return conv.reads == "input" and still

    def _twin(self, op: Conv | Sum) -> LayerCounts:
        if isinstance(op, Sum):
            return _twin_layer(op, 0.0)
        return _twin_layer(op, float(taps(op)) if op.reads == "input" else self._met(op, self._nonzero))

    def _spiking(self, layer: LayerCounts) -> LayerCounts:
        """``layer``, silent, with the spikes that it gave and those that it read."""
        if layer.neurons:
            layer = replace(layer, spikes_out=float(self._fired[layer.name]) / self._images)
        conv = layer.op
        if not isinstance(conv, Conv) or self._is_dense(conv):
            return layer
        if conv.reads == "gated":
            met = self._met(conv, self._nonzero)
            return replace(layer, macs=met, nonzero_macs=met, spikes_in=self._arrived(conv, self._nonzero))
        spikes_in = self._arrived(conv, self._spikes)
        if conv.reads == "means":
            nonzero = self._met(conv, self._nonzero)
            return replace(layer, nonzero_macs=nonzero, additions=spikes_in, spikes_in=spikes_in)
        return replace(layer, synapses=self._met(conv, self._spikes), spikes_in=spikes_in)

    def _arrived(self, conv: Conv, arrivals: "dict[str, Tensor]") -> float:
        return float(arrivals[conv.source].sum()) / self._images

    def _met(self, conv: Conv, arrivals: "dict[str, Tensor]") -> float:
        """Weights met by what arrived, per image: its number at each position x the outputs that read the position."""
        arrived = arrivals[conv.source]
        rows = arrived.new_tensor(reach(conv.in_shape[1], conv.out_shape[1], conv))
        columns = arrived.new_tensor(reach(conv.in_shape[2], conv.out_shape[2], conv))
        return float(rows @ arrived @ columns) * (conv.out_shape[0] // conv.groups) / self._images


def _silent_layer(op: Conv | Sum | Neurons, neuron: NeuronConfig, encoding: EncodingConfig) -> LayerCounts:
    timesteps = encoding.timesteps
    if isinstance(op, Sum):
        return LayerCounts(op, timesteps, timesteps, additions=float(timesteps * op.additions))
    neurons = op.outputs if op.fires else 0
    neuron_ops = timesteps * neurons if 0 < neuron.leak < 1 else 0
    layer = LayerCounts(op, timesteps, timesteps, neurons=neurons, neuron_ops=neuron_ops)
    if isinstance(op, Neurons):
        return layer
    if op.reads == "input" and encoding.kind == "direct":
        evaluations = 1 if encoding.stem == "once" else timesteps
        macs = evaluations * taps(op)
        return replace(layer, dense=True, evaluations=evaluations, macs=macs, nonzero_macs=float(macs))
    return replace(layer, dense=True, macs=timesteps * taps(op)) if op.reads == "means" else layer


def _twin_layer(op: Conv | Sum, nonzero_macs: float | None) -> LayerCounts:
    if isinstance(op, Sum):
        return LayerCounts(op, 1, 1, additions=float(op.additions), nonzero_macs=nonzero_macs)
    return LayerCounts(op, 1, 1, dense=True, macs=taps(op), nonzero_macs=nonzero_macs)


def _add(sums: "dict[str, Tensor]", name: str, term: "Tensor") -> None:
    sums[name] = sums[name] + term if name in sums else term
