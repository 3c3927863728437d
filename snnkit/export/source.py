"""The source of `network.py`: one network as stand-alone Python code."""

import json
import keyword
import re
from collections.abc import Iterable, Mapping

from torch import nn

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
from snnkit.export.dialects import Dialect
from snnkit.export.inputs import describe_input
from snnkit.nn.network import Network

MAX_LINE = 120
USED = ("images", "input", "torch", "functional", "nn", "over_time", "spiking", "sum")  # in the code itself
FUNCTIONS: dict[Activation, str] = {
    "relu": "functional.relu({})",
    "relu6": "functional.relu6({})",
    "silu": "functional.silu({})",
    "sigmoid": "torch.sigmoid({})",
    "hardswish": "functional.hardswish({})",
    "hardsigmoid": "functional.hardsigmoid({})",
    "gelu": "functional.gelu({})",
    "leaky_relu": "functional.leaky_relu({})",
}


class Names:
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


class Source:
    """Writes the code of one network."""

    def __init__(self, network: Network, dialect: Dialect, metadata: Mapping[str, str]) -> None:
        self.network, self.dialect, self.metadata = network, dialect, metadata
        self.plan, self.names = network.plan, Names(network)
        self.spiking = {op.name for op in network.spiking_ops}
        self.constant = self._constant_ops()

    def text(self) -> str:
        """Return the source of network.py."""
        neuron, network = self.network.neuron, self._network()
        libraries = () if neuron is None else self.dialect.imports
        constants, parts = [], [LAYERS]
        if neuron is not None:
            constants = [f"TIMESTEPS = {self.network.timesteps}\nTHRESHOLD = {neuron.threshold!r}"]
            parts = [self.dialect.neurons(neuron), LAYERS]
        if "over_time(" in network:
            parts.append(OVER_TIME)
        body = "\n\n\n".join(part.strip("\n") for part in (*parts, network, LOADING))
        head = "\n\n".join([self._docstring(), _imports(body, libraries), *constants])
        return f"{head}\n\n\n{body}\n"

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
            f"Input: {self._input()}.",
            "Run this file to compare it with the network that it was written from. metadata.json has the design and",
            "the figures of that network.",
            '"""',
        ]
        return "\n".join(lines)

    def _input(self) -> str:
        if "input" not in self.metadata:
            return "as the network was trained"
        found = json.loads(self.metadata["input"])
        return describe_input(found["mean"], found["std"])

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
            if op.name not in self.spiking and found.issuperset(sources(op)):
                found.add(op.name)
        return found

    def _layers(self, op: Op) -> Iterable[str]:
        if isinstance(op, Conv):
            given = [*map(str, (op.in_shape[0], op.out_shape[0], op.kernel))]
            given += [f"stride={op.stride}"] * (op.stride != 1) + [f"padding={op.padding}"] * (op.padding != 0)
            given += [f"groups={op.groups}"] * (op.groups != 1) + ["bias=False"] * (not op.bias)
            given += ["norm=False"] * (not op.batchnorm)
            yield f"self.{self.names[op.name]} = layer({', '.join(given)})"
        if isinstance(op, Conv | Neurons) and op.name in self.spiking:
            leak = self.network.lif(op).current_neuron.leak
            yield f"self.{self.names.neurons(op)} = LIF({leak!r})"

    def _forward(self, op: Op) -> list[str]:
        name, read = self.names[op.name], [self.names[source] for source in sources(op)]
        match op:
            case Conv():
                return [f"{name} = over_time(self.{name}, {read[0]})", *self._activated(op, name)]
            case Neurons():
                return self._activated(op, read[0]) or [f"{name} = {read[0]}"]
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

    def _activated(self, op: Conv | Neurons, value: str) -> list[str]:
        """Return the line that applies the neurons, or the activation, of an operation to ``value``."""
        name = self.names[op.name]
        if op.name in self.spiking:
            repeated = op.source in self.constant and self.network.timesteps > 1
            current = f"{value}.expand(TIMESTEPS, -1, -1, -1, -1)" if repeated else value
            return [f"{name} = self.{self.names.neurons(op)}({current})"]
        if op.activation is None or op.activation == "identity":
            return []
        return [f"{name} = {FUNCTIONS[op.activation].format(value)}"]


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


def _imports(body: str, libraries: Iterable[str]) -> str:
    """Return the imports that ``body`` needs."""
    standard = ["import math"] * ("math." in body) + ["from pathlib import Path"]
    others = ["import torch", "from torch import nn", *libraries]
    others += ["from torch.nn import functional"] * ("functional." in body)
    return "\n".join([*standard, "", *sorted(others, key=_import_order)])


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line.split()[1]


def _wrapped(start: str, words: list[str], end: str) -> list[str]:
    line = start + ", ".join(words) + end
    if len(line) + 8 <= MAX_LINE:
        return [line]
    return [start, *(f"    {word}," for word in words), end]
