"""Export to ONNX: a graph of standard operators with unrolled time steps and folded BatchNorm.

The graph is built from the plan, operation by operation, with the neuron defined in `snnkit.kernels.reference`; nothing
is traced. The input is a normalised image (N, C, H, W) or frames (N, T, C, H, W), the output logits (N, classes).
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from snnkit.architecture.plan import (
    Concat,
    Conv,
    Dropout,
    Gate,
    GlobalAverage,
    Neurons,
    Op,
    Pool,
    Shape,
    Shuffle,
    Slice,
    Sum,
    sources,
)
from snnkit.base.config import NeuronConfig
from snnkit.export.errors import ExportError
from snnkit.export.folding import fold_batchnorm
from snnkit.export.parity import Run, RunResult
from snnkit.nn.network import Network

if TYPE_CHECKING:
    import onnx

LIBRARIES = ("onnx", "onnxruntime")  # what writes a file, and what checks it
OPSET_VERSION = 17  # from 2022: old enough for the runtimes of edge devices
IR_VERSION = 8  # matches the opset
FIRES_SUFFIX = ".fires"  # of the outputs that show the spikes of a layer at one step


def onnx_model(
    network: Network, *, spikes: bool = False, metadata: Mapping[str, str] | None = None
) -> "onnx.ModelProto":
    """Return the trained ``network`` as an ONNX model of opset 17.

    With ``spikes``, the spikes (N, C, H, W) of each layer at each step are outputs too, as booleans. Raises
    ExportError if onnx is not installed.
    """
    try:
        from onnx import checker, helper
    except ImportError as error:
        raise ExportError("onnx is not installed: pip install 'snnsearch[onnx]'") from error

    graph = _Graph(network, spikes=spikes)
    graph.build()
    model = helper.make_model(
        graph.proto(),
        opset_imports=[helper.make_opsetid("", OPSET_VERSION)],
        ir_version=IR_VERSION,
        producer_name="snnsearch",
    )
    helper.set_model_props(model, dict(metadata or {}))
    checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Collect the nodes of the graph. A value that does not change over time has one node, read by all steps."""

    def __init__(self, network: Network, *, spikes: bool) -> None:
        self._network, self._shown = network, spikes
        self._steps = network.timesteps
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._values: dict[str, list[str]] = {}  # operation -> its value at each step, or one value for all steps
        self._spikes: dict[str, Shape] = {}  # outputs that show spikes

    def build(self) -> None:
        self._values["input"] = self._inputs()
        for op in self._network.plan.ops:
            self._values[op.name] = self._op(op)

    def proto(self) -> Any:
        from onnx import TensorProto, helper

        plan, kind = self._network.plan, TensorProto.FLOAT
        frames = [self._steps] if self._framed else []
        outputs = [helper.make_tensor_value_info("logits", kind, ["N", plan.classes])]
        outputs += [
            helper.make_tensor_value_info(name, TensorProto.BOOL, ["N", *shape]) for name, shape in self._spikes.items()
        ]
        image = helper.make_tensor_value_info("input", kind, ["N", *frames, *plan.in_shape])
        return helper.make_graph(self._nodes, "network", [image], outputs, list(self._constants.values()))

    # -- operations ---------------------------------------------------------------------------------------------------

    @property
    def _framed(self) -> bool:
        return self._network.encoding.kind == "frames" and self._network.neuron is not None

    def _inputs(self) -> list[str]:
        if not self._framed:
            return ["input"]
        return [
            self._node("Gather", ["input", self._constant(f"step{t}", np.array(t))], f"input.{t}", axis=1)
            for t in range(self._steps)
        ]

    def _op(self, op: Op) -> list[str]:
        read = [self._values[name] for name in sources(op)]
        match op:
            case Conv():
                return self._conv(op, read[0])
            case Neurons():
                return self._fire(op, read[0]) if self._network.neuron is not None else self._activated(op, read[0])
            case Pool():
                return self._per_step(op.name, read, lambda name, x: self._pool(op, name, x[0]))
            case Slice():
                given = [self._constant(f"place {at}", np.array([at])) for at in (op.start, op.stop, 1)]
                return self._per_step(op.name, read, lambda name, x: self._node("Slice", [x[0], *given], name))
            case Concat():
                return self._per_step(op.name, read, lambda name, x: self._node("Concat", x, name, axis=1))
            case Shuffle():
                channels = op.out_shape[0]
                order = np.arange(channels).reshape(op.groups, -1).T.flatten()
                index = self._constant(f"{op.name}.order", order)
                return self._per_step(op.name, read, lambda name, x: self._node("Gather", [x[0], index], name, axis=1))
            case Sum():
                return self._per_step(op.name, read, lambda name, x: self._node("Sum", x, name))
            case Gate():
                return self._per_step(op.name, read, lambda name, x: self._node("Mul", x, name))
            case Dropout():
                return read[0]
            case GlobalAverage():
                return [self._logits(op, read[0])]

    def _conv(self, op: Conv, read: list[str]) -> list[str]:
        layer = self._network.layer(op)
        weight, bias = fold_batchnorm(layer)
        given = [self._constant(f"{op.name}.weight", weight.numpy()), self._constant(f"{op.name}.bias", bias.numpy())]
        attributes: dict[str, Any] = {
            "kernel_shape": [op.kernel] * 2, "strides": [op.stride] * 2, "pads": [op.padding] * 4, "group": op.groups,
        }  # fmt: skip
        fires = op.emits_spikes and self._network.neuron is not None
        activated = not fires and _has_activation(op)
        name = f"{op.name}.current" if fires or activated else op.name
        currents = self._per_step(name, [read], lambda name, x: self._node("Conv", [*x, *given], name, **attributes))
        return self._fire(op, currents) if fires else self._activated(op, currents)

    def _activated(self, op: Conv | Neurons, values: list[str]) -> list[str]:
        if not _has_activation(op):
            return values
        return self._per_step(op.name, [values], lambda name, x: self._activation(op, name, x[0]))

    def _activation(self, op: Conv | Neurons, name: str, x: str) -> str:
        match op.activation:
            case "relu6":
                return self._node("Clip", [x, self._number(0.0), self._number(6.0)], name)
            case "silu":
                return self._node("Mul", [x, self._node("Sigmoid", [x], f"{name}.sigmoid")], name)
            case "sigmoid":
                return self._node("Sigmoid", [x], name)
            case "hardsigmoid":
                return self._node("HardSigmoid", [x], name, alpha=1 / 6, beta=0.5)
            case "hardswish":
                gate = self._node("HardSigmoid", [x], f"{name}.gate", alpha=1 / 6, beta=0.5)
                return self._node("Mul", [x, gate], name)
            case "leaky_relu":
                return self._node("LeakyRelu", [x], name, alpha=0.01)
            case "gelu":
                scaled = self._node("Mul", [x, self._number(0.5**0.5)], f"{name}.scaled")
                raised = self._node(
                    "Add", [self._node("Erf", [scaled], f"{name}.erf"), self._number(1.0)], f"{name}.cdf"
                )
                return self._node("Mul", [self._node("Mul", [x, self._number(0.5)], f"{name}.half"), raised], name)
            case _:
                return self._node("Relu", [x], name)

    def _pool(self, op: Pool, name: str, x: str) -> str:
        """Pad an incomplete last window: ignored by a maximum, zeros in an average over kernel**2 values."""
        ragged = [
            max(0, (out - 1) * op.stride + op.kernel - size - 2 * op.padding)
            for out, size in zip(op.out_shape[1:], op.in_shape[1:], strict=True)
        ]
        pads = [op.padding, op.padding, op.padding + ragged[0], op.padding + ragged[1]]
        window: dict[str, Any] = {"kernel_shape": [op.kernel] * 2, "strides": [op.stride] * 2}
        if op.kind == "max":
            return self._node("MaxPool", [x], name, pads=pads, **window)
        if any(pads):
            edges = self._constant(f"{op.name}.pads", np.array([0, 0, *pads[:2], 0, 0, *pads[2:]]))
            x = self._node("Pad", [x, edges], f"{name}.padded")
        return self._node("AveragePool", [x], name, **window)

    def _logits(self, op: GlobalAverage, read: list[str]) -> str:
        pooled = [self._node("ReduceMean", [x], f"{op.name}.{t}", axes=[2, 3], keepdims=0) for t, x in enumerate(read)]
        return self._node("Mean", pooled, "logits")

    # -- neurons ------------------------------------------------------------------------------------------------------

    def _fire(self, op: Conv | Neurons, currents: list[str]) -> list[str]:
        """Add the neurons as `snnkit.kernels.reference` defines them, starting from a membrane of 0."""
        layer, neuron = op.name, self._network.lif(op).current_neuron
        threshold, found = self._number(neuron.threshold), []
        membrane: str | None = None
        for t in range(self._steps):
            at = f"{layer}.{t}"
            current = currents[t if len(currents) > 1 else 0]
            reset = None if membrane is None else self._exceeds(membrane, threshold, f"{at}.reset")
            potential = self._potential(at, current, membrane, reset, neuron)
            spikes = self._exceeds(potential, threshold, at)
            found.append(spikes)
            if self._shown:
                self._spikes[f"{at}{FIRES_SUFFIX}"] = op.out_shape
            if t + 1 < self._steps:
                membrane = self._membrane_after(at, potential, spikes, reset, neuron)
        return found

    def _potential(self, at: str, current: str, membrane: str | None, reset: str | None, neuron: NeuronConfig) -> str:
        if membrane is None or reset is None:
            return current
        kept = self._node("Mul", [membrane, self._number(neuron.leak)], f"{at}.kept")
        if neuron.reset == "subtract":
            charged = self._node("Add", [kept, current], f"{at}.charged")
            taken = self._node("Mul", [reset, self._number(neuron.threshold)], f"{at}.taken")
            return self._node("Sub", [charged, taken], f"{at}.potential")
        held = self._node("Sub", [self._number(1.0), reset], f"{at}.held")
        return self._node("Add", [self._node("Mul", [kept, held], f"{at}.rest"), current], f"{at}.potential")

    def _membrane_after(self, at: str, potential: str, spikes: str, reset: str | None, neuron: NeuronConfig) -> str:
        if neuron.reset_delay:
            return potential
        if neuron.reset == "zero":
            return self._node("Sub", [potential, self._node("Mul", [spikes, potential], f"{at}.lost")], f"{at}.left")
        new = spikes if reset is None else self._node("Sub", [spikes, reset], f"{at}.new")
        lost = self._node("Mul", [new, self._number(neuron.threshold)], f"{at}.lost")
        return self._node("Sub", [potential, lost], f"{at}.left")

    def _exceeds(self, x: str, threshold: str, name: str) -> str:
        from onnx import TensorProto

        return self._node(
            "Cast", [self._node("Greater", [x, threshold], f"{name}{FIRES_SUFFIX}")], name, to=TensorProto.FLOAT
        )

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _per_step(self, name: str, read: list[list[str]], make: Callable[[str, list[str]], str]) -> list[str]:
        """Make a node for each step, or a single one if none of its inputs changes over time."""
        steps = max(map(len, read))
        if steps == 1:
            return [make(name, [values[0] for values in read])]
        return [make(f"{name}.{t}", [values[t if len(values) > 1 else 0] for values in read]) for t in range(steps)]

    def _node(self, kind: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def _constant(self, name: str, values: "np.ndarray[Any, Any]") -> str:
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(values, name)
        return name

    def _number(self, value: float) -> str:
        return self._constant(f"number {value!r}", np.array(value, np.float32))


def _has_activation(op: Conv | Neurons) -> bool:
    """Return whether the operation has an activation other than the identity in the CNN twin."""
    return op.activation not in (None, "identity")


def write(network: Network, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the network's ONNX model to ``path``. Raises ExportError, OSError."""
    path.write_bytes(onnx_model(network, metadata=metadata).SerializeToString())


def load(path: Path, network: Network) -> Run:
    """Return a function that runs the file with onnxruntime. A second graph shows its spikes.

    Raises ExportError if onnxruntime is not installed.
    """
    file = _session(path.read_bytes())
    second = _session(onnx_model(network, spikes=True).SerializeToString())
    names = [output.name for output in second.get_outputs() if output.name != "logits"]

    def run(images: Tensor) -> RunResult:
        logits = file.run(["logits"], {"input": images.numpy()})[0]
        values = second.run(names, {"input": images.numpy()}) if names else []
        steps: dict[str, list[Tensor]] = {}
        for name, value in zip(names, values, strict=True):
            steps.setdefault(_layer_of(name), []).append(torch.from_numpy(value))
        spikes = {layer: torch.stack(each) for layer, each in steps.items()}
        return RunResult(torch.from_numpy(logits), spikes)

    return run


def _layer_of(output: str) -> str:
    """The layer whose spikes at one step are in this output: "fire2.squeeze" for "fire2.squeeze.0.fires"."""
    return output.removesuffix(FIRES_SUFFIX).rpartition(".")[0]


def _session(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError("onnxruntime is not installed: pip install 'snnsearch[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
