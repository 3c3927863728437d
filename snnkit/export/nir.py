"""A network in the Neuromorphic Intermediate Representation (Pedersen et al. 2024, 10.1038/s41467-024-52259-9).

One time step of it, with the state in the neurons: a reader shows the image at every step and takes the mean of the
output, (classes, 1, 1), over time. NIR's LIF is a differential equation; with ``DT``, the step that importers take it
in, its membrane is ``u[t] = leak * u[t-1] + x[t]``, set to 0 by a spike, which is this project's neuron with
``reset: zero`` and ``reset_delay: false`` and no other. NIR has no concatenation and no max pooling: layers that
read the same and are read together become one convolution, maxima are refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from snnkit.architecture.plan import Concat, Conv, Dropout, GlobalAverage, Neurons, Op, Pool, Sum, sources
from snnkit.base.config import NeuronConfig
from snnkit.export.errors import ExportError
from snnkit.export.folding import folded
from snnkit.export.parity import Outcome
from snnkit.nn.network import Network

if TYPE_CHECKING:
    import nir

DT = 1e-4  # s, the step that snnTorch's importer takes an LIF node in


def nir_graph(network: Network, metadata: Mapping[str, str] | None = None) -> "nir.NIRGraph":
    """The trained spiking ``network`` as a NIR graph. Raises ExportError, which names the module and the dial that
    would make it legal."""
    nir = _library()

    graph = _Graph(network)
    graph.build()
    return nir.NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata=dict(metadata or {}))


def write(network: Network, path: Path, metadata: Mapping[str, str]) -> None:
    """Raises ExportError, OSError."""
    graph = nir_graph(network, metadata)
    with path.open("w+b") as file:
        _library().write(file, graph)


def run(path: Path, network: Network, images: Tensor) -> Outcome:
    """The file's nodes run one after the other, each as NIR defines it and in steps of ``DT``; for as many steps as the
    network has, still images the same at each."""
    graph = _library().read(path)
    frames = images.transpose(0, 1) if images.dim() == 5 else images.expand(network.timesteps, *images.shape)
    state: dict[str, Tensor] = {}
    spikes: dict[str, Tensor] = {}  # by channel
    total = torch.zeros(())
    for frame in frames:
        values = {"input": frame}
        for name in _order(graph):
            read = sum((values[source] for source, target in graph.edges if target == name), torch.zeros(()))
            values[name] = _node(graph.nodes[name], read, name, state)
            if name in state:
                spikes[name] = spikes.get(name, torch.zeros(())) + values[name].double().sum((0, 2, 3))
        total = total + values["output"].flatten(1)
    return Outcome(total / len(frames), _layers(network, spikes))


def _order(graph: "nir.NIRGraph") -> list[str]:
    """Every node after those that it reads, the input left out."""
    done, order = {"input"}, []
    while len(done) < len(graph.nodes):
        for name in graph.nodes:
            if name not in done and all(source in done for source, target in graph.edges if target == name):
                done.add(name)
                order.append(name)
    return order


def _node(node: Any, x: Tensor, name: str, state: dict[str, Tensor]) -> Tensor:
    match type(node).__name__:
        case "Conv2d":
            weight, bias = (torch.as_tensor(np.asarray(each)).float() for each in (node.weight, node.bias))
            stride, padding = (tuple(np.broadcast_to(each, 2).tolist()) for each in (node.stride, node.padding))
            return functional.conv2d(x, weight, bias, stride, padding, groups=int(node.groups))
        case "AvgPool2d":
            kernel, stride = (tuple(np.broadcast_to(each, 2).tolist()) for each in (node.kernel_size, node.stride))
            return functional.avg_pool2d(x, kernel, stride)
        case "LIF":
            tau, resistance, threshold = (torch.as_tensor(each) for each in (node.tau, node.r, node.v_threshold))
            before = state.get(name, torch.zeros(()))
            potential = before + DT / tau * (resistance * x - before)
            fires = potential > threshold
            state[name] = potential.masked_fill(fires, 0.0)
            return fires.float()
        case _:
            return x


def _layers(network: Network, spikes: dict[str, Tensor]) -> dict[str, float]:
    """By the names of the plan's layers, those that became one node told apart by their channels."""
    merged = _merged(network.plan.ops)
    found, start = {}, dict.fromkeys(spikes, 0)
    for op in network.plan.ops:
        label = merged.get(op.name, op.name).replace(".", "_")
        if isinstance(op, Conv | Neurons) and label in spikes:
            stop = start[label] + op.out_shape[0]
            found[op.name] = float(spikes[label][start[label] : stop].sum())
            start[label] = stop
    return found


def _library() -> Any:
    try:
        import nir
    except ImportError as error:
        raise ExportError("nir is not installed: pip install 'snnsearch[nir]'") from error
    return nir


class _Graph:
    def __init__(self, network: Network) -> None:
        if network.neuron is None:
            raise ExportError("a CNN twin has no neurons; export the spiking network, or the twin as onnx")
        self.network, self.neuron = network, _fit(network.neuron)
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self._last: dict[str, tuple[str, ...]] = {"input": ("input",)}  # operation -> the nodes that are its value
        self._merged = _merged(network.plan.ops)

    def build(self) -> None:
        nir = _library()
        plan = self.network.plan
        self.nodes["input"] = nir.Input(input_type={"input": np.array(plan.in_shape)})
        for op in plan.ops:
            self._last[op.name] = self._op(op)
        shape = np.array([plan.classes, 1, 1])
        self._put("output", nir.Output(output_type={"output": shape}), self._last[plan.ops[-1].name])

    def _op(self, op: Op) -> tuple[str, ...]:
        nir = _library()
        read = tuple(name for source in sources(op) for name in self._last[source])
        match op:
            case Conv() if op.name in self._merged:
                return ()  # its filters are those of another node
            case Conv():
                return self._layer(op.name, (op,), read)
            case Concat() if (pair := self._pair(op)) is not None:
                return self._layer(op.name, pair, self._last[pair[0].source])
            case Neurons():
                return self._lif(op.name, (op,), read)
            case Pool() if op.kind == "avg" and not op.ceil:
                window = (np.array([size] * 2) for size in (op.kernel, op.stride, 0))
                return self._put(op.name, nir.AvgPool2d(*window), read)
            case Sum():
                return read  # what reaches a node along several edges is added up
            case Dropout():
                return read
            case GlobalAverage():
                side = np.array(op.in_shape[1:])
                return self._put(op.name, nir.AvgPool2d(side, side, np.array([0, 0])), read)
            case _:
                raise ExportError(_unknown(op))

    def _pair(self, op: Concat) -> tuple[Conv, ...] | None:
        convs = tuple(conv for conv in self.network.plan.convs if self._merged.get(conv.name) == op.name)
        return convs or None

    def _layer(self, name: str, convs: tuple[Conv, ...], read: tuple[str, ...]) -> tuple[str, ...]:
        """One convolution for all of ``convs``, and its neurons."""
        nir = _library()
        if convs[0].activation is not None and not convs[0].fires:
            raise ExportError(f"{convs[0].name}: NIR has no {convs[0].activation}; leave the module out")
        kernel = max(conv.kernel for conv in convs)
        parts = [_widened(*folded(self.network.layer(conv)), kernel) for conv in convs]
        weight, bias = (torch.cat(each).numpy() for each in zip(*parts, strict=True))
        first = max(convs, key=lambda conv: conv.kernel)
        node = nir.Conv2d(
            input_shape=first.in_shape[1:], weight=weight, bias=bias, stride=first.stride, padding=first.padding,
            dilation=1, groups=first.groups,
        )  # fmt: skip
        current = self._put(f"{name}.conv" if first.fires else name, node, read)
        return self._lif(name, convs, current) if first.fires else current

    def _lif(self, name: str, ops: tuple[Conv | Neurons, ...], read: tuple[str, ...]) -> tuple[str, ...]:
        """The neurons of ``ops``, side by side, each with its leak."""
        nir = _library()
        shape = (sum(op.out_shape[0] for op in ops), *ops[0].out_shape[1:])
        leaks = [np.full(op.out_shape, self.network.lif(op).current_neuron.leak) for op in ops]
        tau = (DT / (1 - np.concatenate(leaks))).astype(np.float32)
        leak, threshold, reset = (np.full(shape, each, np.float32) for each in (0.0, self.neuron.threshold, 0.0))
        node = nir.LIF(tau=tau, r=tau / np.float32(DT), v_leak=leak, v_threshold=threshold, v_reset=reset)
        return self._put(name, node, read)

    def _put(self, name: str, node: Any, read: tuple[str, ...]) -> tuple[str, ...]:
        label = name.replace(".", "_")
        self.nodes[label] = node
        self.edges += [(source, label) for source in read]
        return (label,)


def _fit(neuron: NeuronConfig) -> NeuronConfig:
    """The neuron, where NIR's LIF is one. Raises ExportError."""
    wrong = [
        f"neuron.{name} is {given}: NIR's LIF has {wanted}"
        for name, given, wanted in (
            ("reset", neuron.reset, "zero"),
            ("reset_delay", str(neuron.reset_delay).lower(), "false"),
        )
        if given != wanted
    ]
    if neuron.leak in (0, 1):
        wrong.append(f"neuron.leak is {neuron.leak:g}: a time constant is between the two; write 0.01 or 0.99")
    if wrong:
        raise ExportError("; ".join(wrong) + "; search or retrain with those values, or export as onnx")
    return neuron


def _merged(ops: tuple[Op, ...]) -> dict[str, str]:
    """Convolution -> the concatenation that it becomes one layer in: those that alone read the same and fire."""
    convs = {op.name: op for op in ops if isinstance(op, Conv)}
    readers: dict[str, int] = {}
    for op in ops:
        for source in sources(op):
            readers[source] = readers.get(source, 0) + 1
    found: dict[str, str] = {}
    for op in ops:
        if isinstance(op, Concat) and all(name in convs and readers[name] == 1 for name in op.sources):
            members = [convs[name] for name in op.sources]
            alike = {(c.source, c.stride, c.groups, c.fires, c.kernel // 2 - c.padding) for c in members}
            if len(alike) == 1 and all(c.kernel % 2 and c.groups == 1 for c in members):
                found |= dict.fromkeys(op.sources, op.name)
    return found


def _widened(weight: Tensor, bias: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """The same filters in the middle of larger ones of zeros."""
    edge = (kernel - weight.shape[-1]) // 2
    return functional.pad(weight, (edge, edge, edge, edge)), bias


def _unknown(op: Op) -> str:
    match op:
        case Pool() if op.kind == "max":
            return f"{op.name}: NIR has no max pooling; network.pool.kind: avg makes it legal, or export as onnx"
        case Pool():
            return f"{op.name}: NIR has no ragged windows; network.pool.ceil: false makes it legal, or export as onnx"
        case Concat():
            return f"{op.name}: NIR has no concatenation of layers that read different things; export as onnx"
        case _:
            return f"{op.name}: NIR has no {type(op).__name__.lower()}; export as onnx"
