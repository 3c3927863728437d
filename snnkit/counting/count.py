"""Count the operations of any torch model that spikes, with the rules of `snnkit.energy.operations`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import isclose, prod
from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from snnkit.architecture.plan import Axis, GlobalAverage, Neurons, Op, Plan, Reads, Sum
from snnkit.counting.driving import FORWARDS, Drive, Forward, find_forward, find_time_axis
from snnkit.counting.errors import CountError
from snnkit.counting.neurons import find_neurons, reset
from snnkit.counting.nir import NIRModel
from snnkit.counting.nodes import LayerNode, NeuronsNode, PoolNode, Signal, SumNode, Trace
from snnkit.counting.operations import AnyConv, AnyPool
from snnkit.counting.tracing import Tracer, mark
from snnkit.energy.operations import (
    LayerCounts,
    OperationCounter,
    OperationCounts,
    synaptic_operations,
    unpadded_macs,
)
from snnkit.nn.modes import as_counted
from snnkit.nn.network import Network

if TYPE_CHECKING:
    import nir

Stem = Literal["once", "every_step"]


@dataclass(frozen=True)
class ModelCounts(OperationCounts):
    """The counts of a model that was not built by snnsearch; every energy model prices them."""

    forward: Forward = "loop"  # how the model ran
    accuracy: float | None = None  # 0..1; None without labels, or if the output has no class scores
    uncounted: tuple[str, ...] = ()  # what the figures leave out, in words

    def with_stem_every_step(self) -> OperationCounts:
        """The same counts if the layers that see only a still image ran at every time step, not once."""
        if not any(isinstance(layer.op, AnyConv) for layer in self.layers):  # a network of snnsearch
            return super().with_stem_every_step()
        return replace(self, layers=tuple(_at_every_step(layer, self.timesteps) for layer in self.layers))


def _at_every_step(layer: LayerCounts, steps: int) -> LayerCounts:
    if not (isinstance(layer.op, AnyConv) and layer.op.runs_once):
        return layer
    nonzero = None if layer.nonzero_macs is None else layer.nonzero_macs * steps
    return replace(layer, evaluations=layer.evaluations * steps, macs=layer.macs * steps, nonzero_macs=nonzero)


def count(
    model: "nn.Module | nir.NIRGraph",
    loader: Iterable[Any],
    timesteps: int,
    *,
    forward: Literal["auto", "step", "sequence", "loop"] = "auto",
    time_axis: int | Literal["auto"] | None = "auto",
    inputs: Literal["auto", "real", "spikes"] = "auto",
    stem: Stem = "once",
    neurons: Collection[type[nn.Module]] = (),
    real: Collection[str] = (),
) -> ModelCounts:
    """Count the operations per inference of ``model``: a snnTorch or SpikingJelly network, a NIR graph, or a CNN.

    The rules and the result are the same as for `count_operations`, layer by layer: `estimate_energy` prices it. A
    layer is called as its module is. The model runs in eval mode; its mode is restored, and the state of its neurons
    is reset before each batch and at the end.

    Args:
        model: any torch module, or a NIR graph. A network of snnsearch is counted by `count_operations`.
        loader: batches, or pairs of batches and labels: images (B, ...), shown at every time step, or recordings.
        timesteps: T, the number of time steps of an inference; 1 for a CNN.
        forward: what one call of the model is. step: one time step, with one frame. sequence: all time steps, as
            (T, B, ...). loop: the whole inference; the model repeats the still images. auto: call the model with one
            step and with a sequence, and see how often its neurons run.
        time_axis: the axis of time in the batches, or None for still images. auto: None, except for batches with five
            axes. There it is the first or second axis, the one with ``timesteps`` entries.
        inputs: what the first layer reads. real: one MAC for each weight and value. spikes: one AC for each weight and
            spike. auto: spikes if the batches have an axis of time and hold whole numbers, as events do.
        stem: how often layers that see only a still image are counted: once, or every_step.
        neurons: further classes of neurons. Their first output must be their spikes.
        real: names of layers of neurons that emit real numbers.

    Raises:
        CountError: the model cannot be run, or does something that has no count. The message says what to do.
    """
    if timesteps < 1:
        raise CountError(f"given timesteps={timesteps}; an inference has at least 1")
    if forward not in ("auto", *FORWARDS):
        raise CountError(f"given forward={forward!r}; allowed are auto, {', '.join(FORWARDS)}")
    if not isinstance(model, nn.Module):
        if type(model).__name__ != "NIRGraph":
            raise CountError(f"given a {type(model).__name__}; the model should be a torch module or a NIR graph")
        model = NIRModel(model)
    if isinstance(model, Network):
        return _count_network(model, loader, timesteps)
    others = tuple(neurons)
    layers = find_neurons(model, others)
    if unknown := set(real) - set(layers):
        raise CountError(f"given real={sorted(unknown)}; the neurons of the model are {', '.join(layers) or 'none'}")
    run = _Run(model, layers, others, Tracer(model, layers, real), timesteps)
    with as_counted(model):
        for batch in loader:
            run.batch(batch, forward, time_axis, inputs)
    reset(model, others)
    return run.counts(stem)


class _Run:
    """A model that is run batch by batch."""

    def __init__(
        self, model: nn.Module, neurons: Mapping[str, nn.Module], others: tuple[type[nn.Module], ...], tracer: Tracer,
        timesteps: int,
    ) -> None:  # fmt: skip
        self._model, self._neurons, self._others, self._tracer = model, dict(neurons), others, tracer
        self._timesteps = timesteps
        self._place = next((each for each in (*model.parameters(), *model.buffers()) if each.is_floating_point()), None)
        self._drive: Drive | None = None
        self._input: Signal | None = None
        self._images, self._correct, self._labelled = 0, 0, 0

    def batch(self, batch: Any, forward: str, time_axis: int | str | None, inputs: str) -> None:
        images, labels = _split(batch)
        images = images.to(self._place) if self._place is not None else images.float()
        if self._drive is None:
            self._drive = self._find_drive(images, forward, time_axis)
            self._input = self._find_input(images, inputs)
        self._check(images)
        reset(self._model, self._others)
        outputs = []
        with self._tracer:
            for call in self._drive.calls(images):
                mark(call, self._input)
                outputs.append(self._model(call))
        number = images.shape[1 if self._drive.time_axis == 0 else 0]
        self._images += number
        scores = None if labels is None else self._drive.scores(outputs, number)
        if scores is not None and labels is not None:
            self._correct += _correct(scores, labels)
            self._labelled += number

    def counts(self, stem: Stem) -> ModelCounts:
        if not self._images:
            raise CountError("no image to count on: the loader is empty")
        assert self._drive is not None
        return _Assembly(self._tracer.finish(), self._images, self._timesteps, bool(self._neurons), stem).counts(
            self._drive.forward, self._correct / self._labelled if self._labelled else None
        )

    def _find_drive(self, images: Tensor, forward: Any, time_axis: Any) -> Drive:
        axis = find_time_axis(images, self._timesteps) if time_axis == "auto" else time_axis
        if axis is not None and images.shape[axis] != self._timesteps:
            raise CountError(
                f"given time_axis={axis} and timesteps={self._timesteps}, but the batches are {tuple(images.shape)}; "
                f"give timesteps={images.shape[axis]}, or another axis"
            )
        if forward == "auto":
            forward = find_forward(self._model, self._neurons, images, self._timesteps, axis, self._others)
        return Drive(forward, self._timesteps, axis)

    def _find_input(self, images: Tensor, inputs: str) -> Signal:
        assert self._drive is not None
        still = self._drive.time_axis is None
        spikes = inputs == "spikes" or (inputs == "auto" and not still and _are_whole(images))
        return Signal("input", "spikes" if spikes else "real", static=still and not spikes, image=True)

    def _check(self, images: Tensor) -> None:
        """Raise CountError if this batch is not like the first one."""
        assert self._drive is not None
        assert self._input is not None
        axis = self._drive.time_axis
        if self._input.kind == "spikes" and not _are_whole(images):
            raise CountError("the first batch holds whole numbers and a later one does not; say inputs='real'")
        if axis is not None and images.shape[axis] != self._timesteps:
            raise CountError(f"a batch is {tuple(images.shape)}: it should have {self._timesteps} steps on axis {axis}")


class _Assembly:
    """Turn a trace into counts."""

    def __init__(self, trace: Trace, images: int, timesteps: int, spiking: bool, stem: Stem) -> None:
        self._trace, self._images, self._timesteps, self._spiking = trace, images, timesteps, spiking
        self._stem = stem
        self._neurons = trace.neurons_of_layers()
        self._merged = {neurons.name: layer for layer, neurons in self._neurons.items()}

    def counts(self, forward: Forward, accuracy: float | None) -> ModelCounts:
        layers = [node for node in self._trace.nodes.values() if isinstance(node, LayerNode)]
        if not layers:
            raise CountError("the model ran no convolution and no linear layer, so there is nothing to count")
        leads = self._trace.leading_to_costs()
        ops: list[Op] = []
        counted = []
        for node in self._trace.nodes.values():
            found: LayerCounts | None = None
            match node:
                case LayerNode():
                    found = self._layer(node)
                case NeuronsNode() if node.name not in self._merged:
                    found = self._with_neurons(LayerCounts(self._neurons_op(node), 0, 0), node)
                case SumNode() if node.name in leads:
                    found = self._sum(node)
                case PoolNode() if node.name in leads:
                    ops.append(self._pool(node))
                case _:
                    pass
            if found is not None:
                ops.append(found.op)
                counted.append(found)
        plan = Plan((*ops, self._scores(layers[-1], leads)), layers[0].in_shape, layers[-1].out_shape[0])
        return ModelCounts(
            plan, self._spiking, self._timesteps, self._images, tuple(counted), forward=forward, accuracy=accuracy,
            uncounted=tuple(self._trace.notes),
        )  # fmt: skip

    def _layer(self, node: LayerNode) -> LayerCounts:
        signal, neurons = node.signal or Signal("input", "spikes"), self._neurons.get(node.name)
        op, evaluations = self._conv(node, signal), self._evaluations(node, signal)
        steps = self._timesteps if signal.static else evaluations
        figures = self._figures(node, signal, op, evaluations)
        counts = LayerCounts(op, steps, evaluations, **figures)  # type: ignore[arg-type]  # values of several types
        return self._with_neurons(counts, neurons) if neurons else counts

    def _figures(self, node: LayerNode, signal: Signal, op: AnyConv, evaluations: int) -> dict[str, object]:
        """Return the fields of `LayerCounts` that follow from what the layer reads."""
        # A static layer may have run once for all steps, or at each of them: evaluations is what the rule says.
        share = evaluations / node.rows if node.rows else 0.0

        def per_image(values: Tensor | float) -> tuple[float, float]:
            """Values, and their synaptic operations."""
            if not isinstance(values, Tensor):
                return 0.0, 0.0
            return float(values.sum()) * share, synaptic_operations(op, values) * share

        (values, nonzero), (spikes, synapses) = per_image(node.nonzero), per_image(node.spikes)
        macs = evaluations * unpadded_macs(op)
        if signal.kind == "gated":
            return {"macs": nonzero, "nonzero_macs": nonzero, "spikes_in": values}
        if signal.kind == "spikes" and not node.means:
            return {"synapses": synapses, "spikes_in": spikes}
        means = {"additions": spikes, "spikes_in": spikes} if node.means else {}
        # Of the first layer, all are recorded as nonzero.
        return {"dense": True, "macs": macs, "nonzero_macs": float(macs) if signal.image else nonzero, **means}

    def _with_neurons(self, counts: LayerCounts, node: NeuronsNode) -> LayerCounts:
        updates, neurons = round(node.updates / self._images), prod(node.shape)
        return replace(
            counts, timesteps=updates, evaluations=counts.evaluations or updates, neurons=neurons,
            spikes_out=float(node.spikes) / self._images, neuron_ops=updates * neurons * node.neurons.multiplications,
        )  # fmt: skip

    def _sum(self, node: SumNode) -> LayerCounts:
        op = Sum(node.name, tuple(map(self._source, node.parts)), node.shape, currents=True)
        ran = round(node.elements / (prod(node.shape) * self._images))
        evaluations = 1 if node.static and self._stem == "once" else ran
        return LayerCounts(op, evaluations, evaluations, additions=float(evaluations * op.additions))

    def _evaluations(self, node: LayerNode, signal: Signal) -> int:
        """Evaluations per image. A layer that sees only a still image has as many as the rule says.

        A linear layer has one evaluation for each position, for example of a sequence of tokens.
        """
        ran = round(node.rows / self._images)
        if not signal.static:
            return ran
        once = ran // self._timesteps if ran % self._timesteps == 0 else ran  # it ran at every step, or once for all
        return once if self._stem == "once" else once * self._timesteps

    def _scores(self, last: LayerNode, leads: set[str]) -> GlobalAverage:
        """The mean over space behind the last layer; it may hold a single value for each class."""
        pools = [node for node in self._trace.nodes.values() if isinstance(node, PoolNode) and node.name not in leads]
        for node in pools:
            if node.kind == "avg" and node.sources == {last.name} and node.out_shape[1:] == (1, 1):
                return GlobalAverage("scores", last.name, node.in_shape)
        return GlobalAverage("scores", last.name, last.out_shape)

    def _conv(self, node: LayerNode, signal: Signal) -> AnyConv:
        scale = 1 / signal.unit if signal.kind == "spikes" else 1.0
        kinds: dict[str, Reads] = {"spikes": "means" if node.means else "spikes", "gated": "gated", "real": "means"}
        fires = node.name in self._neurons
        return AnyConv(
            name=node.name, source=self._source(_one(node.sources)), in_shape=node.in_shape, out_shape=node.out_shape,
            groups=node.groups, bias=node.bias, batchnorm=node.batchnorm, activation="identity" if fires else None,
            spiking=fires, reads="input" if signal.image or signal.static else kinds[signal.kind],
            input_scale=round(scale) if isclose(scale, round(scale)) and scale >= 1 else 1,
            input_most=signal.most if signal.kind == "spikes" else 1, windows=node.axes,
            runs_once=signal.static and self._stem == "once", **_largest(node.axes),
        )  # fmt: skip

    def _pool(self, node: PoolNode) -> AnyPool:
        return AnyPool(
            node.name, self._source(_one(node.sources)), node.in_shape, node.out_shape, node.kind, windows=node.axes,
            **_largest(node.axes),
        )  # fmt: skip

    def _neurons_op(self, node: NeuronsNode) -> Neurons:
        return Neurons(node.name, self._source(_one(node.sources)), node.shape, "identity")

    def _source(self, name: str) -> str:
        """The operation of the plan that a node has become a part of."""
        return self._merged.get(name, name)


def _largest(axes: Sequence[Axis]) -> dict[str, Any]:
    """The one kernel, stride and padding that a plan shows for all axes; counts read the axes themselves."""
    return {name: max((getattr(axis, name) for axis in axes), default=least) for name, least in _WINDOW.items()}


_WINDOW = {"kernel": 1, "stride": 1, "padding": 0}


def _one(sources: set[str]) -> str:
    return min(sources, default="input")


def _split(batch: Any) -> tuple[Tensor, Tensor | None]:
    if isinstance(batch, Tensor):
        return batch, None
    if isinstance(batch, list | tuple) and batch and all(isinstance(each, Tensor) for each in batch[:2]):
        return batch[0], batch[1] if len(batch) > 1 else None
    raise CountError(f"a batch is a {type(batch).__name__}; the loader should yield tensors, or pairs with labels")


def _correct(scores: Tensor, labels: Tensor) -> int:
    """Return how many of the labels (N,) have the largest of their scores (N, classes)."""
    classes = scores.shape[1]
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise CountError(
            f"labels are from {int(labels.min())} to {int(labels.max())}, and the model has {classes} scores; number "
            f"the classes from 0 to {classes - 1}"
        )
    return int((scores.argmax(1).cpu() == labels.cpu()).sum())


def _are_whole(images: Tensor) -> bool:
    return bool((images == images.round()).all())


def _count_network(network: Network, loader: Iterable[Any], timesteps: int) -> ModelCounts:
    if timesteps != network.timesteps:
        raise CountError(f"given timesteps={timesteps}, but the network runs {network.timesteps}")
    counter, device = OperationCounter(network), next(network.parameters()).device
    correct = labelled = 0
    with as_counted(network):
        for batch in loader:
            images, labels = _split(batch)
            scores = network(images.to(device), observe=counter)
            if labels is not None:
                correct += _correct(scores, labels)
                labelled += len(labels)
    counts = counter.counts()
    known = {each.name: getattr(counts, each.name) for each in fields(OperationCounts)}
    return ModelCounts(**known, accuracy=correct / labelled if labelled else None)
