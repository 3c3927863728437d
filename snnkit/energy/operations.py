"""Count the operations of one inference exactly, from the network's real spikes.

The rules:

- Count kernel taps that hit an input. Taps in the padding are not counted, in spiking and dense layers alike.
- A layer that reads spikes accumulates: one AC per spike and weight that it reaches. A value that sums two spikes
  counts as two.
- A layer that reads the image or means of spikes, and every layer of the CNN twin, multiplies: one MAC per tap.
- Behind a real gate, each spike and weight is one MAC, because the gate is folded into the weight.
- The plan alone decides which of these applies to a layer; the batch has no influence.
- BatchNorm is folded into its convolution. Pooling, concatenation, splits, shuffles, gates and sums of spikes are free.
- A sum of currents costs one addition per element and time step, and a mean of spikes one addition per spike.
- The neurons' own work is counted apart: `LayerCounts.neuron_ops` and `OperationCounts.neuron_additions`.

Where inputs are binary, NeuroBench 2.3's ``SynapticOperations`` gives the same synaptic counts (tests compare them). It
counts a sum of two spikes once, and omits the additions.
`snnkit.energy` converts these counts to joules.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

from snnkit.architecture.plan import Conv, Neurons, Plan, Pool, Sum
from snnkit.base.config import MAX_COUNT, EncodingConfig, NeuronConfig

if TYPE_CHECKING:  # the records and the counts in closed form need no torch
    from torch import Tensor

    from snnkit.nn.network import Fired, Network


@dataclass(frozen=True)
class LayerCounts:
    """The counts of one operation per inference: summed over the time steps, averaged over the images."""

    op: Conv | Sum | Neurons
    timesteps: int  # T; 1 in the twin
    evaluations: int  # T on spikes; 1 in the twin, and on a still image if `EncodingConfig.stem` is once
    dense: bool = False  # a convolution that reads real numbers: all its taps are MACs
    macs: float = 0
    nonzero_macs: float | None = 0.0  # MACs whose input is not zero (all, in the first layer); None if nothing was run
    synapses: float = 0.0  # ACs: one per spike and weight that it reaches
    additions: float = 0.0  # further ACs: in residual sums of currents and in means
    spikes_in: float = 0.0  # a value that sums two spikes counts as two
    spikes_out: float = 0.0
    neurons: int = 0  # LIF neurons
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
        """MACs of one dense evaluation by the usual convention, which counts taps in the padding."""
        return self.op.dense_macs if isinstance(self.op, Conv) else 0

    @property
    def bias_adds(self) -> int:
        """One addition per evaluation and output that has a bias; a folded BatchNorm counts as a bias."""
        op = self.op
        return self.evaluations * op.outputs if isinstance(op, Conv) and (op.bias or op.batchnorm) else 0

    @property
    def neuron_additions(self) -> float:
        """Additions of the neurons themselves.

        One comparison with the threshold per neuron and time step, and one reset per spike. If the current is stored
        before the neurons read it (a stem that ran once, pooled or summed currents), also one addition of it to the
        membrane potential per neuron and time step.
        """
        updates = self.timesteps * self.neurons
        is_stored = isinstance(self.op, Neurons) or self.evaluations < self.timesteps
        return updates + self.spikes_out + updates * is_stored

    @property
    def input_mean(self) -> float | None:
        """Mean of the incoming elements over space, time and images; None if they are not spikes."""
        if self.dense or not isinstance(self.op, Conv):
            return None
        return self.spikes_in / (prod(self.op.in_shape) * self.timesteps * self.op.input_scale)

    @property
    def firing_rate(self) -> float | None:
        """Spikes per neuron and time step; None without neurons."""
        return self.spikes_out / (self.neurons * self.timesteps) if self.neurons else None


@dataclass(frozen=True)
class OperationCounts:
    """The counts of a network, in order of execution. Totals are per inference."""

    plan: Plan
    spiking: bool  # False: the CNN twin
    timesteps: int
    images: int  # the number of images averaged over; 0 if nothing was run
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
    def neuron_additions(self) -> float:
        """Additions that spiking layers need besides the ACs; a comparison counts as an addition.

        Biases, folded BatchNorm included; `LayerCounts.neuron_additions`; and at every time step the comparisons of max
        pooling and the additions of averaged currents. Averages of spikes are summed in the layer that reads them.
        """
        layers = sum(layer.bias_adds + layer.neuron_additions for layer in self.layers)
        return layers + self.timesteps * sum(map(pool_additions, _computing_pools(self.plan)))

    def with_stem_every_step(self) -> "OperationCounts":
        """The same counts if the layer that reads a still image ran at every time step, not once."""
        return replace(self, layers=tuple(map(_every_step, self.layers)))

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and time step over all spiking layers; 0 in the CNN twin."""
        neurons = sum(layer.neurons for layer in self.layers)
        return self.spikes / (neurons * self.timesteps) if neurons else 0.0


def _computing_pools(plan: Plan) -> list[Pool]:
    """Max pooling, and averages of currents: the ones that lead to neurons through nothing but pooling."""
    found, sources_of_neurons = [], set()
    for op in reversed(plan.ops):
        if isinstance(op, Neurons) or (isinstance(op, Pool) and op.name in sources_of_neurons):
            sources_of_neurons.add(op.source)
        if isinstance(op, Pool) and (op.kind == "max" or op.name in sources_of_neurons):
            found.append(op)
    return found


def pool_additions(pool: Pool) -> int:
    """Comparisons or additions of one evaluation: one less than the values in each window, without padding."""
    return pool.in_shape[0] * (prod(sum(axis.fan_out) for axis in pool.axes) - prod(pool.out_shape[1:]))


def unpadded_macs(conv: Conv) -> int:
    """Multiply-accumulates of one dense evaluation. Taps in the padding are not counted."""
    return conv.in_shape[0] * conv.out_shape[0] // conv.groups * prod(sum(axis.fan_out) for axis in conv.axes)


def synaptic_operations(conv: Conv, values: "Tensor") -> float:
    """Synaptic operations: the ``values`` at each input position, (H, W), times the fan-out of the position."""
    for axis in conv.axes:
        rest = values.shape[1:]
        values = (values.new_tensor(axis.fan_out) @ values.reshape(axis.size, -1)).reshape(rest)
    return float(values) * (conv.out_shape[0] // conv.groups)


def twin_counts(plan: Plan) -> OperationCounts:
    """Operations of the plan's CNN twin in closed form, without running it."""
    return OperationCounts(
        plan, False, 1, 0, tuple(_twin_layer(op, None) for op in plan.ops if isinstance(op, Conv | Sum))
    )


def silent_counts(plan: Plan, neuron: NeuronConfig, encoding: EncodingConfig) -> OperationCounts:
    """Lower bound on the operations of the plan's spiking network, without running it: no neuron fires.

    Spikes only add operations, so every count of `count_operations` is at least this one. Every energy model with
    non-negative constants therefore gives at least the energy of these counts.
    """
    costly = (op for op in plan.ops if isinstance(op, Conv | Sum | Neurons))
    layers = tuple(_silent_layer(op, neuron, encoding) for op in costly if not isinstance(op, Sum) or op.currents)
    return OperationCounts(plan, True, encoding.timesteps, 0, layers)


def count_operations(network: "Network", batches: "Iterable[Tensor]") -> OperationCounts:
    """Count the operations per inference while ``network`` classifies ``batches`` of normalised images.

    A batch is (B, C, H, W), or (B, T, C, H, W) for recordings. The network runs in eval mode and in float32; its mode
    is restored afterwards. Counts are whole numbers until they are divided by the number of images, so they do not
    depend on the batch size. Raises ``ValueError`` if there is no image.
    """
    from snnkit.nn.modes import as_counted

    counter = OperationCounter(network)
    device = next(network.parameters()).device
    with as_counted(network):
        for images in batches:
            network(images.to(device), observe=counter)
    return counter.counts()


def most_spikes(conv: Conv) -> int:
    """Return the largest number of spikes that one value read by ``conv`` stands for; frames may hold counts."""
    return MAX_COUNT if conv.reads == "input" else conv.input_most


class OperationCounter:
    """Count while a network runs: call ``network(images, observe=counter)`` per batch, then ``counter.counts()``.

    The sums stay on the network's device until ``counts`` is called, so no batch waits for a transfer.
    """

    def __init__(self, network: "Network") -> None:
        from snnkit.kernels import spikes_per_position

        self._network, self._spikes_per_position = network, spikes_per_position
        self._images = 0
        self._spikes: dict[str, Tensor] = {}  # source -> (H, W), spikes at each position
        self._nonzero: dict[str, Tensor] = {}  # source -> (H, W), nonzero values, if a reader multiplies them
        self._fired: dict[str, Tensor] = {}  # name -> spikes of its neurons
        # Convolutions with the same source read the same tensor; it is counted once, at the first of them.
        self._reader = {conv.source: conv.name for conv in reversed(network.plan.convs)}

    def __call__(self, op: Conv | Neurons, incoming: "Tensor", fired: "Fired | None") -> None:
        """Add what ``op`` reads, ``incoming`` (T or 1, B, C, H, W), and the spikes of its neurons."""
        spiking = self._network.neuron is not None
        if op.name == self._network.plan.convs[0].name:
            self._images += incoming.shape[1]
        if isinstance(op, Conv) and self._reader[op.source] == op.name and not self._is_dense(op):
            if spiking and op.reads != "gated":
                _add(self._spikes, op.source, self._spikes_per_position(incoming, op.input_scale, most_spikes(op)))
            if not spiking or op.reads in ("gated", "means"):
                _add(self._nonzero, op.source, self._spikes_per_position(incoming, 0))
        if fired is not None:
            _add(self._fired, op.name, fired.count)

    def counts(self) -> OperationCounts:
        """Return the means over the images so far. Raises ``ValueError`` if there was none."""
        if not self._images:
            raise ValueError("no image to count on: run the network on at least one image first")
        network, neuron = self._network, self._network.neuron
        if neuron is not None:
            silent = silent_counts(network.plan, neuron, network.encoding)
            return replace(silent, images=self._images, layers=tuple(map(self._spiking, silent.layers)))
        layers = tuple(self._twin(op) for op in network.plan.ops if isinstance(op, Conv | Sum))
        return OperationCounts(network.plan, False, 1, self._images, layers)

    def _is_dense(self, conv: Conv) -> bool:
        """Whether every tap is a MAC: the input is a still image, not spikes or event frames."""
        still = self._network.encoding.kind == "direct" or self._network.neuron is None
        return conv.reads == "input" and still

    def _twin(self, op: Conv | Sum) -> LayerCounts:
        if isinstance(op, Sum):
            return _twin_layer(op, 0.0)
        return _twin_layer(
            op, float(unpadded_macs(op)) if op.reads == "input" else self._synaptic_operations(op, self._nonzero)
        )

    def _spiking(self, layer: LayerCounts) -> LayerCounts:
        """Complete the silent ``layer`` with the spikes that it emitted and read."""
        if layer.neurons:
            layer = replace(layer, spikes_out=float(self._fired[layer.name]) / self._images)
        conv = layer.op
        if not isinstance(conv, Conv) or self._is_dense(conv):
            return layer
        if conv.reads == "gated":
            macs = self._synaptic_operations(conv, self._nonzero)
            return replace(layer, macs=macs, nonzero_macs=macs, spikes_in=self._values_in(conv, self._nonzero))
        spikes_in = self._values_in(conv, self._spikes)
        if conv.reads == "means":
            nonzero = self._synaptic_operations(conv, self._nonzero)
            return replace(layer, nonzero_macs=nonzero, additions=spikes_in, spikes_in=spikes_in)
        return replace(layer, synapses=self._synaptic_operations(conv, self._spikes), spikes_in=spikes_in)

    def _values_in(self, conv: Conv, values: "dict[str, Tensor]") -> float:
        """Values that ``conv`` reads, per image."""
        return float(values[conv.source].sum()) / self._images

    def _synaptic_operations(self, conv: Conv, values: "dict[str, Tensor]") -> float:
        """Synaptic operations per image."""
        return synaptic_operations(conv, values[conv.source]) / self._images


def _silent_layer(op: Conv | Sum | Neurons, neuron: NeuronConfig, encoding: EncodingConfig) -> LayerCounts:
    timesteps = encoding.timesteps
    if isinstance(op, Sum):
        return LayerCounts(op, timesteps, timesteps, additions=float(timesteps * op.additions))
    neurons = op.outputs if op.emits_spikes else 0
    neuron_ops = timesteps * neurons if 0 < neuron.leak < 1 else 0
    layer = LayerCounts(op, timesteps, timesteps, neurons=neurons, neuron_ops=neuron_ops)
    if isinstance(op, Neurons):
        return layer
    if op.reads == "input" and encoding.kind == "direct":
        evaluations = 1 if encoding.stem == "once" else timesteps
        macs = evaluations * unpadded_macs(op)
        return replace(layer, dense=True, evaluations=evaluations, macs=macs, nonzero_macs=float(macs))
    return replace(layer, dense=True, macs=timesteps * unpadded_macs(op)) if op.reads == "means" else layer


def _every_step(layer: LayerCounts) -> LayerCounts:
    op = layer.op
    if not isinstance(op, Conv) or op.reads != "input" or layer.evaluations == layer.timesteps:
        return layer
    macs = layer.timesteps * unpadded_macs(op)
    return replace(layer, evaluations=layer.timesteps, macs=macs, nonzero_macs=float(macs))


def _twin_layer(op: Conv | Sum, nonzero_macs: float | None) -> LayerCounts:
    if isinstance(op, Sum):
        return LayerCounts(op, 1, 1, additions=float(op.additions), nonzero_macs=nonzero_macs)
    return LayerCounts(op, 1, 1, dense=True, macs=unpadded_macs(op), nonzero_macs=nonzero_macs)


def _add(sums: "dict[str, Tensor]", name: str, term: "Tensor") -> None:
    sums[name] = sums[name] + term if name in sums else term
