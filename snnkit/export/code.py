"""Export as stand-alone Python code for plain PyTorch, snnTorch or SpikingJelly: a folder that needs nothing of ours.

`network.py` defines the network and loads `weights.pt`. Run as a program, it compares itself with `example.pt`: random
input, and what our network returns for it. Values are (T, B, C, H, W), layer by layer, so that the code trains as our
network does: BatchNorm sees all steps at once.
"""

import importlib.util
import json
import keyword
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from snnkit.architecture.plan import (
    Activation,
    Concat,
    Conv,
    Dropout,
    Gate,
    GlobalAverage,
    Neurons,
    Op,
    Pool,
    Shuffle,
    Slice,
    Sum,
    sources,
)
from snnkit.base.config import NeuronConfig
from snnkit.export.parity import Run, RunResult
from snnkit.nn.network import Network

CODE, WEIGHTS, EXAMPLE, METADATA = "network.py", "weights.pt", "example.pt", "metadata.json"
FILES = frozenset({CODE, WEIGHTS, EXAMPLE, METADATA})
MAX_LINE = 120
USED = ("images", "input", "torch", "functional", "nn", "over_time", "spiking", "sum")  # in the code itself
EXAMPLES = 8
FUNCTIONS: dict[Activation, str] = {
    "relu": "functional.relu({})",
    "relu6": "functional.relu6({})",
    "silu": "functional.silu({})",
    "sigmoid": "torch.sigmoid({})",
    "identity": "{}",
    "hardswish": "functional.hardswish({})",
    "hardsigmoid": "functional.hardsigmoid({})",
    "gelu": "functional.gelu({})",
    "leaky_relu": "functional.leaky_relu({})",
}
SURROGATES = {  # derivative of the step function at ``distance`` from the threshold; {a} is neuron.slope
    "atan": "{a} / 2 / (1 + (math.pi * {a} / 2 * distance) ** 2)",
    "fast_sigmoid": "1 / (1 + {a} * distance.abs()) ** 2",
    "sigmoid": "{a} * torch.sigmoid({a} * distance) * torch.sigmoid(-{a} * distance)",
    "triangular": "torch.where(distance < 0, 1.0, -1.0)",
    "straight_through": "torch.ones_like(distance)",
}
OF_SNNTORCH = {
    "atan": "surrogate.atan(alpha={a})",
    "fast_sigmoid": "surrogate.fast_sigmoid(slope={a})",
    "sigmoid": "surrogate.sigmoid(slope={a})",
    "triangular": "surrogate.triangular()",
    "straight_through": "surrogate.straight_through_estimator()",
}


@dataclass(frozen=True)
class Dialect:
    """How code for one library looks."""

    library: str  # as people write it
    imports: tuple[str, ...]
    neurons: Callable[[NeuronConfig], str]  # the source of the class LIF
    prepare: tuple[str, ...] = ()  # the first lines of ``forward``


def write(network: Network, folder: Path, metadata: Mapping[str, str], dialect: Dialect) -> None:
    """Write the files of ``network`` into the empty ``folder``. Raises OSError."""
    (folder / CODE).write_text(_Source(network, dialect, metadata).text(), encoding="utf-8")
    (folder / METADATA).write_text(json.dumps(dict(metadata), indent=1), encoding="utf-8")
    module = _module(folder).Network()
    module.load_state_dict(_weights(network, module))
    torch.save({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, folder / WEIGHTS)
    network.eval()
    channels, height, width = network.plan.in_shape
    frames = () if network.encoding.frames is None else (network.encoding.frames,)
    images = torch.randn(EXAMPLES, *frames, channels, height, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.save({"images": images, "logits": network(images)}, folder / EXAMPLE)


def load(folder: Path, network: Network) -> Run:
    """Return a function that runs the code in ``folder``, with the spikes of its layers."""
    module: nn.Module = _module(folder).load()
    names = _Names(network)
    spikes: dict[str, Tensor] = {}
    for op in network.spiking_ops:
        neurons = module.get_submodule(names.neurons(op))
        neurons.register_forward_hook(partial(_keep, spikes, op.name))

    @torch.no_grad()
    def run(images: Tensor) -> RunResult:
        spikes.clear()
        return RunResult(module(images.cpu()), dict(spikes))

    return run


def _keep(spikes: dict[str, Tensor], name: str, module: nn.Module, inputs: object, output: Tensor) -> None:
    spikes[name] = output.bool()


def _module(folder: Path) -> ModuleType:
    """Import the code in ``folder`` under a name of its own. Nothing is written beside it."""
    spec = importlib.util.spec_from_file_location(f"snnsearch_export_{abs(hash(folder))}", folder / CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def _weights(network: Network, module: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of ``module``: the weights of ``network``, and the module's own constants."""
    names, weights = _Names(network), dict(module.state_dict())
    for conv in network.plan.convs:
        layer = network.layer(conv)
        parts = [layer.conv] if layer.norm is None else [layer.conv, layer.norm]
        for place, part in enumerate(parts):
            weights |= {f"{names[conv.name]}.{place}.{key}": value.cpu() for key, value in part.state_dict().items()}
    return weights


class _Names:
    """Python names of the operations' values and layers, unique and not taken by anything else in the code."""

    def __init__(self, network: Network) -> None:
        taken = {*dir(nn.Module()), *keyword.kwlist, *USED}
        self._names: dict[str, str] = {"input": "images"}
        for op in network.plan.ops:
            name = re.sub(r"\W|^(?=\d)", "_", op.name)
            while {name, self._of_neurons(op, name)} & taken:
                name += "_"
            taken |= {name, self._of_neurons(op, name)}
            self._names[op.name] = name

    def __getitem__(self, op: str) -> str:
        return self._names[op]

    def neurons(self, op: Conv | Neurons) -> str:
        """Return the name of the neurons of an operation."""
        return self._of_neurons(op, self[op.name])

    def _of_neurons(self, op: Op, name: str) -> str:
        return f"{name}_neurons" if isinstance(op, Conv) and op.emits_spikes else name


class _Source:
    """Writes the code of one network."""

    def __init__(self, network: Network, dialect: Dialect, metadata: Mapping[str, str]) -> None:
        self.network, self.dialect, self.metadata = network, dialect, metadata
        self.plan, self.names = network.plan, _Names(network)
        self.steps = network.timesteps
        self.constant = self._constant_ops()

    def text(self) -> str:
        """Return the source of network.py."""
        neuron = self.network.neuron
        head = [self._docstring(), self._imports()]
        head += [] if neuron is None else [f"TIMESTEPS = {self.steps}\nTHRESHOLD = {neuron.threshold!r}"]
        body = [] if neuron is None else [self.dialect.neurons(neuron)]
        network = self._network()
        body += [LAYERS, *([OVER_TIME] if "over_time(" in network else []), network, LOADING]
        return "\n\n\n".join(part.strip("\n") for part in ("\n\n".join(head), *body)) + "\n"

    def _docstring(self) -> str:
        channels, height, width = self.plan.in_shape
        frames = "" if self.network.encoding.frames is None else f"{self.network.encoding.frames}, "
        kind = "CNN" if self.network.neuron is None else f"spiking network for {self.dialect.library}"
        lines = [
            f'"""A {kind}: {self.plan.params:,} parameters, {self.plan.classes} classes.',
            "",
            "    from network import load",
            "",
            "    network = load()  # reads weights.pt, which lies beside this file",
            f"    logits = network(images)  # (B, {frames}{channels}, {height}, {width}) -> (B, {self.plan.classes})",
            "",
            *_input_lines(self.metadata.get("input", "{}")),
            "Run this file to compare it with the network that it was written from. metadata.json has the design and",
            "the figures of that network.",
            '"""',
        ]
        return "\n".join(lines)

    def _imports(self) -> str:
        neuron = self.network.neuron
        own_step = neuron is not None and "class Fire" in self.dialect.neurons(neuron)
        needs_math = own_step and neuron is not None and neuron.surrogate == "atan"
        lines = ["import math" if needs_math else "", "from pathlib import Path"]
        imports = ["import torch", "from torch import nn", *(() if neuron is None else self.dialect.imports)]
        if "functional." in self._network() + OVER_TIME:
            imports.append("from torch.nn import functional")
        return "\n".join(filter(None, lines)) + "\n\n" + "\n".join(sorted(imports, key=_import_order))

    def _network(self) -> str:
        layers = [line for op in self.plan.ops for line in self._layers(op)]
        code = [line for op in self.plan.ops for line in self._forward(op)]
        prepare = () if self.network.neuron is None else self.dialect.prepare
        return "\n".join(
            [
                "class Network(nn.Module):",
                "    def __init__(self):",
                "        super().__init__()",
                *(f"        {line}" for line in layers),
                "",
                "    def forward(self, images):",
                *(f"        {line}" for line in (*prepare, *self._over_time(), *code)),
                f"        return {self.names[self.plan.ops[-1].name]}.mean(0)",
            ]
        )

    def _over_time(self) -> list[str]:
        """Return the first lines: they give the input its axis of time."""
        if self.network.encoding.frames is None:
            return ["images = images.unsqueeze(0)  # (1, B, C, H, W): the same at every step"]
        if self.network.neuron is None:
            return ["images = images.mean(1).unsqueeze(0)  # (1, B, C, H, W)"]
        return ["images = images.transpose(0, 1)  # (T, B, C, H, W)"]

    def _constant_ops(self) -> set[str]:
        """Return the operations whose values are the same at every step: (1, B, C, H, W)."""
        found = {"input"} if self.network.encoding.frames is None else set()
        for op in self.plan.ops:
            spikes = self.network.neuron is not None and isinstance(op, Conv | Neurons) and op.emits_spikes
            if not spikes and all(source in found for source in sources(op)):
                found.add(op.name)
        return found

    def _layers(self, op: Op) -> Iterable[str]:
        if isinstance(op, Conv):
            given = [*map(str, (op.in_shape[0], op.out_shape[0], op.kernel))]
            given += [f"stride={op.stride}"] * (op.stride != 1) + [f"padding={op.padding}"] * (op.padding != 0)
            given += [f"groups={op.groups}"] * (op.groups != 1) + ["bias=False"] * (not op.bias)
            given += ["norm=False"] * (not op.batchnorm)
            yield f"self.{self.names[op.name]} = layer({', '.join(given)})"
        if self.network.neuron is not None and isinstance(op, Conv | Neurons) and op.emits_spikes:
            leak = self.network.lif(op).current_neuron.leak
            yield f"self.{self.names.neurons(op)} = LIF({leak!r})"

    def _forward(self, op: Op) -> list[str]:
        name, read = self.names[op.name], [self.names[source] for source in sources(op)]
        match op:
            case Conv():
                value = f"over_time(self.{name}, {read[0]})"
                return [f"{name} = {value}", *self._activated(op, name, op.activation if not op.emits_spikes else None)]
            case Neurons():
                lines = self._activated(op, name, op.activation, read[0])
                return lines or [f"{name} = {read[0]}"]
            case Pool():
                given = [f"{op.kernel}, {op.stride}", *([f"padding={op.padding}"] * (op.padding > 0))]
                given += ["ceil_mode=True"] * op.ceil
                given += [f"divisor_override={op.kernel**2}"] * (op.kind == "avg")
                return [f"{name} = over_time(functional.{op.kind}_pool2d, {read[0]}, {', '.join(given)})"]
            case Slice():
                return [f"{name} = {read[0]}[:, :, {op.start}:{op.stop}]"]
            case Concat():
                return _wrapped(f"{name} = torch.cat([", read, "], dim=2)")
            case Shuffle():
                return [f"{name} = over_time(functional.channel_shuffle, {read[0]}, {op.groups})"]
            case Sum():
                return _wrapped(f"{name} = sum([", read, "])") if len(read) > 2 else [f"{name} = {' + '.join(read)}"]
            case Gate():
                return [f"{name} = {' * '.join(read)}"]
            case Dropout():
                same = f"functional.dropout(torch.ones_like({read[0]}[:1]), {op.rate!r}, self.training)"
                return [f"{name} = {read[0]} * {same}  # the same elements at every step"]
            case GlobalAverage():
                return [f"{name} = {read[0]}.mean((3, 4))"]

    def _activated(self, op: Conv | Neurons, name: str, activation: Activation | None, read: str = "") -> list[str]:
        """Return the line that applies the neurons, or the activation, of an operation to ``read``."""
        value = read or name
        if self.network.neuron is None or not op.emits_spikes:
            own = op.activation if self.network.neuron is None else activation
            return [] if own is None or own == "identity" else [f"{name} = {FUNCTIONS[own].format(value)}"]
        repeat = isinstance(op, Conv) and op.source in self.constant
        repeat |= isinstance(op, Neurons) and op.source in self.constant
        if repeat and self.steps > 1:
            value = f"{value}.expand(TIMESTEPS, -1, -1, -1, -1)"
        return [f"{name} = self.{self.names.neurons(op)}({value})"]


LAYERS = '''
def layer(channels, out, kernel, *, norm=True, **options):
    """A convolution and its BatchNorm."""
    conv = nn.Conv2d(channels, out, kernel, **options)
    return nn.Sequential(conv, nn.BatchNorm2d(out)) if norm else nn.Sequential(conv)
'''
OVER_TIME = '''
def over_time(function, x, *arguments, **options):
    """Apply ``function``, which takes (B, C, H, W), to (T, B, C, H, W)."""
    return function(x.flatten(0, 1), *arguments, **options).unflatten(0, x.shape[:2])
'''
LOADING = '''
def load(weights=Path(__file__).parent / "weights.pt"):
    """Return the trained network, ready to run. Call .train() on it to train it further."""
    network = Network()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


if __name__ == "__main__":
    example = torch.load(Path(__file__).parent / "example.pt", weights_only=True)
    with torch.no_grad():
        logits = load()(example["images"])
    difference = (logits - example["logits"]).abs().max()
    print(f"{len(logits)} examples: logits differ by at most {difference:.2g}")
'''


def _input_lines(described: str) -> list[str]:
    """Return lines that say how images are normalised, from the metadata of trained weights."""
    found = json.loads(described)
    if not found.get("mean"):
        return ["Input: as the network was trained."]
    mean, std = (", ".join(f"{value:.4g}" for value in found[key]) for key in ("mean", "std"))
    return [f"Input: {found['scale']}, minus [{mean}], divided by [{std}], by channel."]


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line.split()[1]


def _wrapped(start: str, words: list[str], end: str) -> list[str]:
    line = start + ", ".join(words) + end
    if len(line) + 8 <= MAX_LINE:
        return [line]
    return [start, *(f"    {word}," for word in words), end]


def _fire(neuron: NeuronConfig) -> str:
    derivative = SURROGATES[neuron.surrogate].format(a=repr(neuron.slope))
    return f'''
class Fire(torch.autograd.Function):
    """1 above the threshold, else 0. The gradient is a surrogate's: {neuron.surrogate}."""

    @staticmethod
    def forward(ctx, distance):
        ctx.save_for_backward(distance)
        return (distance > 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        return gradient * ({derivative})
'''


def _plain(neuron: NeuronConfig) -> str:
    charge, after = _equations(neuron, "membrane", "spike", "reset")
    return (
        _fire(neuron)
        + f'''

class LIF(nn.Module):
    """Leaky integrate-and-fire neurons: currents (T, B, C, H, W) -> spikes of the same shape."""

    def __init__(self, leak):
        super().__init__()
        self.leak = leak

    def forward(self, currents):
        membrane = reset = torch.zeros_like(currents[0])
        spikes = []
        for current in currents:
            membrane = {charge}
            spike = Fire.apply(membrane - THRESHOLD)
{_indented(after, 12)}
            spikes.append(spike)
        return torch.stack(spikes)
'''
    )


def _spikingjelly(neuron: NeuronConfig) -> str:
    charge, after = _equations(neuron, "self.v", "spike", "self.reset_by")
    return (
        _fire(neuron)
        + f'''

class LIF(neuron.SimpleBaseNode):
    """Leaky integrate-and-fire neurons: currents (T, B, C, H, W) -> spikes of the same shape."""

    def __init__(self, leak):
        super().__init__(THRESHOLD, v_reset=None, surrogate_function=Fire.apply, step_mode="m")
        self.leak = leak
        self.register_memory("reset_by", 0.0)

    def neuronal_charge(self, current):
        self.v = {charge.replace("membrane", "self.v")}

    def neuronal_reset(self, spike):
{_indented(after, 8)}
'''
    )


def _equations(neuron: NeuronConfig, m: str, s: str, r: str) -> tuple[str, list[str]]:
    """Return the membrane's next value, and the lines after a spike, as `snnkit.kernels.reference` defines them."""
    if neuron.reset == "zero":
        if neuron.reset_delay:
            return f"self.leak * (1 - {r}) * {m} + current", [f"{r} = {s}.detach()  # takes effect at the next step"]
        return f"self.leak * {m} + current", [f"{m} = {m} - {s} * {m}"]
    charge = f"self.leak * {m} + current - {r} * THRESHOLD"
    if neuron.reset_delay:
        return charge, [f"{r} = {s}.detach()  # takes effect at the next step"]
    return charge, [f"{m} = {m} - ({s} - {r}) * THRESHOLD", f"{r} = ({m} > THRESHOLD).to({m}.dtype)"]


def _snntorch(neuron: NeuronConfig) -> str:
    spike_grad = OF_SNNTORCH[neuron.surrogate].format(a=repr(neuron.slope))
    return f'''
class LIF(nn.Module):
    """A layer of snnTorch's neurons over all steps: currents (T, B, C, H, W) -> spikes of the same shape."""

    def __init__(self, leak):
        super().__init__()
        self.leaky = Leaky(
            beta=leak,
            threshold=THRESHOLD,
            reset_mechanism="{neuron.reset}",
            reset_delay={neuron.reset_delay},
            spike_grad={spike_grad},
        )

    def forward(self, currents):
        membrane = torch.zeros_like(currents[0])
        spikes = []
        for current in currents:
            spike, membrane = self.leaky(current, membrane)
            spikes.append(spike)
        return torch.stack(spikes)
'''


def _indented(lines: Iterable[str], by: int) -> str:
    return "\n".join(" " * by + line for line in lines)


DIALECTS: Mapping[str, Dialect] = {
    "code": Dialect("plain PyTorch", (), _plain),
    "snntorch": Dialect("snnTorch", ("from snntorch import Leaky, surrogate",), _snntorch),
    "spikingjelly": Dialect(
        "SpikingJelly",
        (
            "from spikingjelly.activation_based import functional as spiking",
            "from spikingjelly.activation_based import neuron",
        ),
        _spikingjelly,
        prepare=("spiking.reset_net(self)  # membranes start at 0",),
    ),
}
