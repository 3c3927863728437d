"""Run a NIR graph as a torch module, one time step for each call (Pedersen et al. 2024, 10.1038/s41467-024-52259-9).

NIR's neurons are differential equations. They are integrated in steps of `TIME_STEP_S` by the explicit Euler method, as
importers do. Values that reach a node along several edges are added up. A recurrent edge carries the value of the step
before.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.counting.errors import CountError
from snnkit.export.nir import TIME_STEP_S


def read_nir(path: Path) -> "NIRModel":
    """Return the graph in a NIR file as a module. Raises CountError if it cannot be read or run."""
    try:
        import nir
    except ImportError as error:
        raise CountError("nir is not installed: pip install 'snnsearch[nir]'") from error
    try:
        graph = nir.read(path)
    except Exception as error:  # the library raises what its parts raise
        raise CountError(f"{path} is not a NIR file: {type(error).__name__}: {error}") from error
    return NIRModel(graph)


class NIRNeuron(nn.Module):
    """Neurons with a state of one or two decaying variables: NIR's IF, LIF, CubaLIF, LI, CubaLI and I.

    ``beta`` is the decay of the membrane potential and ``alpha`` the decay of the synaptic current, if there is one.
    Without a threshold, the potential is the output.
    """

    beta: Tensor
    alpha: Tensor | None
    gain: Tensor
    w_in: Tensor
    rest: Tensor
    threshold: Tensor | None
    v_reset: Tensor

    def __init__(self, node: Any, time_step_s: float) -> None:
        super().__init__()
        kind = type(node).__name__
        tau = getattr(node, "tau", getattr(node, "tau_mem", None))
        rate = 1.0 if tau is None else _tensor(time_step_s / tau)
        self.register_buffer("beta", torch.ones(()) if tau is None else 1 - _tensor(time_step_s / tau))
        synapse = getattr(node, "tau_syn", None)
        self.register_buffer("alpha", None if synapse is None else 1 - _tensor(time_step_s / synapse))
        # The integrators I and IF have no time constant: their potential grows by R times the input in a step.
        self.register_buffer("gain", _tensor(node.r) * rate)
        self.register_buffer("w_in", _tensor(getattr(node, "w_in", 1.0)))
        self.register_buffer("rest", _tensor(getattr(node, "v_leak", 0.0)))
        fires = "IF" in kind
        self.register_buffer("threshold", _tensor(node.v_threshold) if fires else None)
        self.register_buffer("v_reset", _tensor(node.v_reset if fires else 0.0))
        self._potential: Tensor | None = None
        self._current: Tensor | None = None

    def reset(self) -> None:
        """Forget the state."""
        self._potential = self._current = None

    def forward(self, x: Tensor) -> Tensor:
        if self.alpha is not None:
            before = torch.zeros_like(x) if self._current is None else self._current
            self._current = x = self.alpha * before + (1 - self.alpha) * self.w_in * x
        potential = self.rest.expand_as(x) if self._potential is None else self._potential
        potential = self.beta * potential + (1 - self.beta) * self.rest + self.gain * x
        if self.threshold is None:
            self._potential = potential
            return potential
        spikes = (potential > self.threshold).to(x.dtype)
        self._potential = torch.where(spikes > 0, self.v_reset.to(x.dtype).expand_as(x), potential)
        return spikes


class LI(NIRNeuron):
    """A leaky integrator: it emits its potential."""


class CubaLI(NIRNeuron):
    """A leaky integrator with a synaptic current."""


class Integrator(NIRNeuron):
    """An integrator without leak."""


class _Function(nn.Module):
    """A node without state or weights."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)


class _Delay(nn.Module):
    """Pass a value on after whole time steps."""

    def __init__(self, node: Any, time_step_s: float) -> None:
        super().__init__()
        steps = _tensor(node.delay) / time_step_s
        if bool((steps != steps.flatten()[0]).any()):
            raise CountError("the NIR graph has a delay that differs between channels, which cannot be run")
        self._steps = round(float(steps.flatten()[0]))
        self._stored: list[Tensor] = []

    def reset(self) -> None:
        self._stored = []

    def forward(self, x: Tensor) -> Tensor:
        self._stored.append(x)
        return self._stored.pop(0) if len(self._stored) > self._steps else torch.zeros_like(x)


class NIRModel(nn.Module):
    """A NIR graph. One call is one time step: (B, ...) to the sum of its outputs.

    Raises CountError for a node that has no torch counterpart here.
    """

    def __init__(self, graph: Any, time_step_s: float = TIME_STEP_S) -> None:
        super().__init__()
        for name, node in graph.nodes.items():
            self.add_module(_key(name), _module(name, node, time_step_s))
        self._kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
        self._sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in dict.fromkeys(graph.edges):
            self._sources[target].append(source)
        self._order = _order(self._sources)
        self._before: dict[str, Tensor] = {}

    def reset(self) -> None:
        """Forget the outputs of the last step, which recurrent edges carry."""
        self._before = {}
        for module in self.children():
            if isinstance(module, _Delay):
                module.reset()

    def forward(self, x: Tensor) -> Tensor:
        values: dict[str, Tensor] = {}
        outputs = []
        for name in self._order:
            if self._kinds[name] == "Input":
                values[name] = x
                continue
            found = [values.get(source, self._before.get(source)) for source in self._sources[name]]
            read = [value for value in found if value is not None]  # at the first step, recurrent edges carry nothing
            if not read:
                continue
            values[name] = self.get_submodule(_key(name))(sum(read[1:], read[0]))
            if self._kinds[name] == "Output":
                outputs.append(values[name])
        self._before = values
        return sum(outputs[1:], outputs[0])


def _key(name: str) -> str:
    """Return the name of a node's module: without dots, and no attribute of a module."""
    key = name.replace(".", "_")
    return f"{key}_" if hasattr(nn.Module, key) or not key else key


def _order(sources: Mapping[str, list[str]]) -> list[str]:
    """Return the nodes so that each follows its sources, except along recurrent edges."""
    order: list[str] = []
    left = list(sources)
    while left:
        ready = [name for name in left if all(source in order for source in sources[name])]
        # A circle: begin it at the first node that already has one source.
        entered = [name for name in left if any(source in order for source in sources[name])]
        chosen = ready or (entered or left)[:1]
        order += chosen
        left = [name for name in left if name not in chosen]
    return order


def _module(name: str, node: Any, time_step_s: float) -> nn.Module:
    kind = type(node).__name__
    match kind:
        case "Input" | "Output" | "Identity":
            return nn.Identity()
        case "Affine" | "Linear":
            return _linear(node)
        case "Conv1d" | "Conv2d":
            return _convolution(node)
        case "Scale":
            scale = _tensor(node.scale)
            return _Function(lambda x: x * scale.to(x))
        case "Threshold":
            threshold = _tensor(node.threshold)
            return _Function(lambda x: (x > threshold.to(x)).to(x))
        case "Flatten":
            sizes = tuple(int(size) for size in node.output_type["output"])  # without the batch
            return _Function(lambda x: x.reshape(len(x), *sizes))
        case "AvgPool2d" | "SumPool2d":
            return _pooling(node, average=kind == "AvgPool2d")
        case "Delay":
            return _Delay(node, time_step_s)
        case "IF" | "LIF" | "CubaLIF":
            return NIRNeuron(node, time_step_s)
        case "LI" | "CubaLI" | "I":
            return {"LI": LI, "CubaLI": CubaLI, "I": Integrator}[kind](node, time_step_s)
        case "NIRGraph":
            return NIRModel(node, time_step_s)
        case _:
            raise CountError(f"{name} is a {kind}: this node of NIR cannot be run here")


def _linear(node: Any) -> nn.Module:
    weight, bias = _tensor(node.weight), getattr(node, "bias", None)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    return _with_weights(layer, weight, bias)


def _convolution(node: Any) -> nn.Module:
    weight = _tensor(node.weight)
    kind: Any = nn.Conv1d if weight.dim() == 3 else nn.Conv2d
    padding = node.padding if isinstance(node.padding, str) else _numbers(node.padding)
    layer: nn.Module = kind(
        weight.shape[1] * node.groups, weight.shape[0], tuple(weight.shape[2:]), stride=_numbers(node.stride),
        padding=padding, dilation=_numbers(node.dilation), groups=node.groups, bias=node.bias is not None,
    )  # fmt: skip
    return _with_weights(layer, weight, node.bias)


def _pooling(node: Any, *, average: bool) -> nn.Module:
    kernel, stride, padding = (_numbers(each) for each in (node.kernel_size, node.stride, node.padding))
    divisor = None if average else 1
    return _Function(lambda x: functional.avg_pool2d(x, kernel, stride, padding, divisor_override=divisor))


def _with_weights(layer: nn.Module, weight: Tensor, bias: Any) -> nn.Module:
    values = {"weight": weight} | ({} if bias is None else {"bias": _tensor(bias)})
    layer.load_state_dict(values)
    return layer


def _numbers(value: Any) -> Any:
    """One number, or one for each axis."""
    numbers = torch.as_tensor(value).flatten().tolist()
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _tensor(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float32)
