"""Export to the Neuromorphic Intermediate Representation (NIR, Pedersen et al. 2024, 10.1038/s41467-024-52259-9).

A file holds one time step of the network; the neurons keep the state. A reader shows the image at every step and
averages the output, (classes, 1, 1), over time. NIR's LIF is a differential equation. Importers integrate it in steps
of ``TIME_STEP_S``, which gives ``u[t] = leak * u[t-1] + x[t]``, set to 0 by a spike. That is our neuron with
``reset: zero`` and ``reset_delay: false``; no other one can be expressed. NIR has neither concatenation nor max
pooling. Layers that read the same input and are read together are merged into one convolution; max pooling is refused.
"""

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.architecture.plan import Concat, Conv, Dropout, GlobalAverage, Neurons, Op, Pool, Sum, sources
from snnkit.export.errors import ExportError
from snnkit.export.folding import fold_batchnorm
from snnkit.export.obstacles import Obstacle, merged_convs, missing_libraries, nir_obstacles, refuse
from snnkit.export.parity import Run, RunResult
from snnkit.nn.network import Network

if TYPE_CHECKING:
    import nir

LIBRARIES = ("nir", "nirtorch", "snntorch")  # what writes a file, and what checks it
TIME_STEP_S = 1e-4  # the step in which snnTorch's importer integrates an LIF node


def nir_graph(network: Network, metadata: Mapping[str, str] | None = None) -> "nir.NIRGraph":
    """Return the trained spiking ``network`` as a NIR graph.

    Raises:
        ExportError: NIR cannot express the network, or is not installed. The message names all obstacles, the modules
            and the values that would make it possible.
    """
    refuse(missing_libraries(LIBRARIES, "nir"))
    refuse([*nir_obstacles(network.plan, network.neuron), *obstacles(network)])
    nir = _library()
    graph = _Graph(network)
    try:
        graph.build()
        return nir.NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata=dict(metadata or {}))
    except ValueError as error:  # its types are checked here and nowhere else
        raise ExportError(f"the nir library refuses the network ({error}); export as onnx") from error


def obstacles(network: Network) -> tuple[Obstacle, ...]:
    """Return what training has put in the way: learned leaks without a time constant."""
    learned = tuple(op for op in network.spiking_ops if network.lif(op).leak is not None)
    bounds = tuple(op.name for op in learned if network.lif(op).current_neuron.leak in (0, 1))
    reason = "the learned leak is 0 or 1: a time constant is between the two"
    return (Obstacle(reason, "retrain with neuron.learn_leak: false", bounds),) if bounds else ()


def write(network: Network, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the network's NIR graph to ``path``. Raises ExportError as `nir_graph` does, and OSError."""
    graph = nir_graph(network, metadata)
    with path.open("w+b") as file:
        _library().write(file, graph)


def load(path: Path, network: Network) -> Run:
    """Return a function that runs the file with snnTorch's importer, which shares no code with the writer.

    It runs for the network's time steps; a still image is shown at every step. Raises ExportError if the file's
    neurons are not the importer's.
    """
    graph = _library().read(path)
    _check_reset(graph)
    imported = _import_into_snntorch(graph)
    spikes: dict[str, list[Tensor]] = {}  # by node: (B, C, H, W) for each step
    for name, node in graph.nodes.items():
        if type(node).__name__ == "LIF":
            imported.get_submodule(name).register_forward_hook(_spike_recorder(name, spikes))

    @torch.no_grad()
    def run(images: Tensor) -> RunResult:
        spikes.clear()
        frames = images.transpose(0, 1) if images.dim() == 5 else images.expand(network.timesteps, *images.shape)
        state, total = None, torch.zeros(())
        for frame in frames:
            output, state = imported(frame, state)
            total = total + output.flatten(1)
        return RunResult(total / len(frames), _spikes_by_layer(network, spikes))

    return run


def _check_reset(graph: "nir.NIRGraph") -> None:
    """snnTorch's importer ignores ``v_reset`` and resets to 0, so check that the file says so."""
    for name, node in graph.nodes.items():
        if type(node).__name__ == "LIF" and np.any(node.v_reset):
            raise ExportError(f"{name}: the file resets membranes to other values than 0")


def _import_into_snntorch(graph: "nir.NIRGraph") -> nn.Module:
    """Import the graph with one module per node; snnTorch prints what it does, so its output is dropped."""
    from snntorch.import_nir import import_from_nir  # type: ignore[import-untyped]  # it ships no types

    with contextlib.redirect_stdout(io.StringIO()):
        imported: nn.Module = import_from_nir(graph)
    return imported


def _spike_recorder(name: str, spikes: dict[str, list[Tensor]]) -> Callable[[nn.Module, object, Tensor], None]:
    def record(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        fired = output[0] if isinstance(output, tuple) else output
        spikes.setdefault(name, []).append(fired.bool())

    return record


def _spikes_by_layer(network: Network, spikes: dict[str, list[Tensor]]) -> dict[str, Tensor]:
    """Return the spikes (T, B, C, H, W) of the plan's layers. Channels separate layers that share one node."""
    merged = merged_convs(network.plan.ops)
    found, start = {}, dict.fromkeys(spikes, 0)
    steps = {node: torch.stack(each) for node, each in spikes.items()}
    for op in network.plan.ops:
        node = merged.get(op.name, op.name).replace(".", "_")
        if isinstance(op, Conv | Neurons) and node in steps:
            stop = start[node] + op.out_shape[0]
            found[op.name] = steps[node][:, :, start[node] : stop]
            start[node] = stop
    return found


def _library() -> Any:
    try:
        import nir
    except ImportError as error:
        raise ExportError("nir is not installed: pip install 'snnsearch[nir]'") from error
    return nir


class _Graph:
    """Collect the nodes and edges of a network's NIR graph."""

    def __init__(self, network: Network) -> None:
        assert network.neuron is not None
        self.network, self.neuron = network, network.neuron
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        # operation -> the nodes whose outputs add up to its value
        self._last: dict[str, tuple[str, ...]] = {"input": ("input",)}
        self._merged = merged_convs(network.plan.ops)

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
                return ()  # it was merged into another node
            case Conv():
                return self._layer(op.name, (op,), read)
            case Concat() if (convs := self._convs_merged_into(op)) is not None:
                return self._layer(op.name, convs, self._last[convs[0].source])
            case Neurons():
                return self._lif(op.name, (op,), read)
            case Pool():
                window = (np.array([size] * 2) for size in (op.kernel, op.stride, 0))
                return self._put(op.name, nir.AvgPool2d(*window), read)
            case Sum():
                return read  # NIR adds up the values that reach a node along several edges
            case Dropout():
                return read
            case GlobalAverage():
                side = np.array(op.in_shape[1:])
                return self._put(op.name, nir.AvgPool2d(side, side, np.array([0, 0])), read)
            case _:
                raise AssertionError(f"{op.name} is an obstacle")

    def _convs_merged_into(self, op: Concat) -> tuple[Conv, ...] | None:
        convs = tuple(conv for conv in self.network.plan.convs if self._merged.get(conv.name) == op.name)
        return convs or None

    def _layer(self, name: str, convs: tuple[Conv, ...], read: tuple[str, ...]) -> tuple[str, ...]:
        """Add one convolution that merges ``convs``, and its neurons."""
        nir = _library()
        kernel = max(conv.kernel for conv in convs)
        parts = [_pad_kernels(*fold_batchnorm(self.network.layer(conv)), kernel) for conv in convs]
        weight, bias = (torch.cat(each).numpy() for each in zip(*parts, strict=True))
        first = max(convs, key=lambda conv: conv.kernel)
        node = nir.Conv2d(
            input_shape=first.in_shape[1:], weight=weight, bias=bias, stride=first.stride, padding=first.padding,
            dilation=1, groups=first.groups,
        )  # fmt: skip
        current = self._put(f"{name}.conv" if first.emits_spikes else name, node, read)
        return self._lif(name, convs, current) if first.emits_spikes else current

    def _lif(self, name: str, ops: tuple[Conv | Neurons, ...], read: tuple[str, ...]) -> tuple[str, ...]:
        """Add one node with the neurons of all ``ops``, each with its own leak."""
        nir = _library()
        shape = (sum(op.out_shape[0] for op in ops), *ops[0].out_shape[1:])
        leaks = [np.full(op.out_shape, self.network.lif(op).current_neuron.leak) for op in ops]
        tau = (TIME_STEP_S / (1 - np.concatenate(leaks))).astype(np.float32)
        leak, threshold, reset = (np.full(shape, each, np.float32) for each in (0.0, self.neuron.threshold, 0.0))
        node = nir.LIF(tau=tau, r=tau / np.float32(TIME_STEP_S), v_leak=leak, v_threshold=threshold, v_reset=reset)
        return self._put(name, node, read)

    def _put(self, name: str, node: Any, read: tuple[str, ...]) -> tuple[str, ...]:
        label = name.replace(".", "_")
        self.nodes[label] = node
        self.edges += [(source, label) for source in read]
        return (label,)


def _pad_kernels(weight: Tensor, bias: Tensor, kernel: int) -> tuple[Tensor, Tensor]:
    """Pad the kernels with zeros to ``kernel`` x ``kernel``, around their centre."""
    edge = (kernel - weight.shape[-1]) // 2
    return functional.pad(weight, (edge, edge, edge, edge)), bias
