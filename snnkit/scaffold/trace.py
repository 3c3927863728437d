"""Trace a PyTorch module into a graph of layers with torch.export, and refuse what a graph cannot express.

The exported program has one call for each operation, whether the module wrote it as a module, a function or a method.
Each call is translated exactly or refused with its module, the reason and a remedy; nothing is approximated.
"""

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn

from snnkit.architecture.graph import (
    INPUT,
    Activated,
    Added,
    Convolution,
    Depthwise,
    Dropped,
    Gated,
    Graph,
    GraphError,
    Joined,
    Layer,
    Mean,
    Node,
    Part,
    Pooling,
    Shuffled,
    parse,
)
from snnkit.architecture.plan import Activation, Shape

GATES: tuple[Activation, ...] = ("sigmoid", "hardsigmoid")
NOT_TRACED = ("StochasticDepth", "DropPath")  # modules that do nothing in eval mode and are left out


class ScaffoldError(ValueError):
    """A network cannot be searched. The message names the module, the reason and the nearest remedy."""


@dataclass(frozen=True)
class Weights:
    """The weights of a layer of the graph, as names of tensors in the module's state."""

    weight: str
    bias: str | None = None
    norm: tuple[str, str, str, str] | None = None  # scale, shift, mean and variance of the BatchNorm
    eps: float = 1e-5


@dataclass(frozen=True)
class Traced:
    """A module as a graph."""

    graph: Graph
    weights: Mapping[str, Weights]  # by layer
    left_out: tuple[str, ...]  # modules that act in training only and are not in the graph


def trace(module: nn.Module, shape: Shape) -> Traced:
    """Return ``module`` as a graph, for images of ``shape``. Raises ScaffoldError."""
    found = _Tracer(module, shape)
    graph = found.run()
    try:
        graph = parse(graph.lines)
    except GraphError as error:
        raise ScaffoldError(str(error)) from None
    left_out = tuple(name for name, each in module.named_modules() if type(each).__name__ in NOT_TRACED)
    return Traced(
        graph, {node.name: found.weights[node.name] for node in graph.nodes if isinstance(node, Layer)}, left_out
    )


def _export(module: nn.Module, shape: Shape) -> torch.export.ExportedProgram:
    modes = {each: each.training for each in module.modules()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module.eval(), (torch.zeros(2, *shape),), strict=False)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        size = "x".join(map(str, shape))
        raise ScaffoldError(
            f"{type(module).__name__}: torch.export cannot trace it for images of {size} ({reason}); give the image "
            "size that it takes, and remove branches that depend on values"
        ) from error
    finally:
        for each, training in modes.items():
            each.training = training


@dataclass(frozen=True)
class _Shuffle:
    """A value whose channels are seen as groups x channels: the inside of a channel shuffle."""

    source: str
    groups: int
    swapped: bool = False


@dataclass(frozen=True)
class _Pieces:
    """The values of a split."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class _Flat:
    """A value whose channels, rows and columns were flattened; ``shape`` is (C, H, W)."""

    source: str
    shape: Shape


Value = str | _Shuffle | _Pieces | _Flat | float | int | list[Any] | None


class _Tracer:
    def __init__(self, module: nn.Module, shape: Shape) -> None:
        self.module = module
        self.program = _export(module, shape)
        self.nodes: dict[str, Node] = {}
        self.weights: dict[str, Weights] = {}
        self.values: dict[fx.Node, Value] = {}
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: (2, *shape)}
        signature = self.program.graph_signature
        self.parameters = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.used: dict[str, str] = {}  # weight -> the layer that has it

    def run(self) -> Graph:
        outputs: list[fx.Node] = []
        for call in self.program.graph.nodes:
            if call.op == "placeholder":
                if call.name in self.program.graph_signature.user_inputs:
                    self.values[call] = INPUT
            elif call.op == "call_function":
                self._call(call)
            elif call.op == "output":
                outputs = [each for each in _args(call)[0] if isinstance(each, fx.Node)]
        if len(outputs) != 1:
            raise ScaffoldError(
                f"{type(self.module).__name__}: returns {len(outputs)} tensors; return the class scores only"
            )
        last = self.values[outputs[0]]
        name = last.source if isinstance(last, _Flat) else last
        if not isinstance(name, str) or name == INPUT or _pixels(self.shapes[name]) > 1:
            raise ScaffoldError(
                f"{type(self.module).__name__}: returns {tuple(outputs[0].meta['val'].shape)}; return class scores "
                "(images, classes)"
            )
        return _without_unread(Graph(tuple(self.nodes.values())), name)

    # -- one call -----------------------------------------------------------------------------------------------------

    def _call(self, call: fx.Node) -> None:
        op = _base_name(call)
        handler = _HANDLERS.get(op)
        if handler is None:
            raise self._refused(call, *_reason(op))
        value = handler(self, call)
        if op != "getitem" and str(call.target).split(".")[1].endswith("_"):  # in place: earlier names see the result
            self._replace(_args(call)[0], value)
        self._set(call, value)

    def _set(self, call: fx.Node, value: Value) -> None:
        self.values[call] = value
        if isinstance(value, str) and value not in self.shapes:
            shape = tuple(call.meta["val"].shape)
            self.shapes[value] = (*shape, 1, 1) if len(shape) == 2 else shape

    def _replace(self, changed: Any, value: Value) -> None:
        before = self.values[changed]
        for each, held in self.values.items():
            if held == before:
                self.values[each] = value

    def _read(self, call: fx.Node, at: int = 0) -> str:
        """Return the value of an argument, which has channels, rows and columns. Raises ScaffoldError."""
        given = _args(call)[at]
        value = self.values.get(given) if isinstance(given, fx.Node) else None
        if not isinstance(value, str):
            what = "a number" if not isinstance(given, fx.Node) else "a parameter or a reshaped tensor"
            raise self._refused(call, f"{_base_name(call)} reads {what}", "keep to images x channels x rows x columns")
        return value

    def _add(self, call: fx.Node, node: Node) -> str:
        self.nodes[node.name] = node
        return node.name

    def _refused(self, call: fx.Node, reason: str, remedy: str) -> ScaffoldError:
        return ScaffoldError(f"{_module_of(call) or type(self.module).__name__}: {reason}; {remedy}")

    def _name(self, call: fx.Node, op: str) -> str:
        """Return a new name for a layer without weights: its torch.nn module, or its module and ``op``."""
        path = _module_of(call)
        kind = list((call.meta.get("nn_module_stack") or {"": ("", "")}).values())[-1][1]
        own = path if path and str(kind).startswith("torch.nn.") else f"{path}.{op}" if path else op
        name, number = own, 1
        while name in self.nodes or name == INPUT or any(each.startswith(f"{name}.") for each in self.nodes):
            number += 1
            name = f"{own}_{number}"
        return name

    def _is_last_reader(self, call: fx.Node, name: str) -> bool:
        """Return whether nothing but ``call`` reads ``name``, so that ``call`` can be merged into the layer."""
        if any(name in node.sources for node in self.nodes.values()):
            return False
        holders = [each for each, held in self.values.items() if held == name]
        return {user for each in holders for user in each.users if user not in self.values} == {call}

    # -- layers with weights ------------------------------------------------------------------------------------------

    def _tensor(self, call: fx.Node, given: Any, what: str) -> str:
        name = self.parameters.get(given.name) if isinstance(given, fx.Node) else None
        if name is None:
            raise self._refused(call, f"its {what} is computed in the forward pass", "give the layer a plain parameter")
        return str(name)

    def convolution(self, call: fx.Node) -> str:
        arguments = _arguments(call)
        source = self._read(call)
        weight = self._tensor(call, arguments["weight"], "weight")
        filters, per_group, *kernel = arguments["weight"].meta["val"].shape
        groups = int(arguments.get("groups", 1))
        stride, dilation = (_pair(arguments.get(key, 1)) for key in ("stride", "dilation"))
        padding = arguments.get("padding", 0)
        if isinstance(padding, str):
            padding = [(side - 1) // 2 for side in kernel] if padding == "same" else 0
        padding = _pair(padding)
        for what, pair in (("kernel", tuple(kernel)), ("stride", stride), ("padding", padding)):
            if len(set(pair)) > 1:
                size = "x".join(map(str, pair))
                raise self._refused(
                    call, f"the {what} {size} is not square", f"use the same {what} for rows and columns"
                )
        if set(dilation) != {1} and set(kernel) != {1}:
            raise self._refused(call, f"the dilation {dilation[0]} is not 1", "use a larger kernel without dilation")
        if isinstance(arguments.get("padding"), str) and kernel[0] % 2 == 0 and arguments["padding"] == "same":
            raise self._refused(call, f"padding same of a kernel of {kernel[0]} is uneven", "use an odd kernel")
        keys: dict[str, Any] = {"kernel": int(kernel[0]), "stride": stride[0], "padding": padding[0]}
        keys["bias"] = arguments.get("bias") is not None
        name = self._weighted(call, weight, arguments.get("bias"))
        if 1 < groups == filters and per_group == 1:
            return self._add(call, Depthwise(name, (source,), **keys))
        if groups > 1 and source == INPUT:
            raise self._refused(call, f"reads the image in {groups} groups", "use one group")
        return self._add(call, Convolution(name, (source,), channels=int(filters), groups=groups, **keys))

    def linear(self, call: fx.Node) -> str:
        arguments = _arguments(call)
        value, kernel = self.values.get(_args(call)[0]), 1
        if isinstance(value, _Flat):
            _, rows, columns = value.shape
            if rows != columns:
                raise self._refused(call, f"reads {rows}x{columns} pixels, which are not square", "use square images")
            source, kernel = value.source, rows
        else:
            source = self._read(call)
            if _pixels(self.shapes[source]) > 1:
                raise self._refused(call, "a linear layer for each pixel", "use a 1x1 convolution")
        weight = self._tensor(call, arguments["weight"], "weight")
        name = self._weighted(call, weight, arguments.get("bias"))
        channels = int(arguments["weight"].meta["val"].shape[0])
        bias = arguments.get("bias") is not None
        return self._add(call, Convolution(name, (source,), channels=channels, kernel=kernel, bias=bias))

    def _weighted(self, call: fx.Node, weight: str, bias: Any) -> str:
        """Return the name of the layer with this weight. Raises ScaffoldError if another one has it too."""
        name = weight.removesuffix(".weight") if weight.endswith(".weight") else weight
        name = _clean(name if name != "weight" else type(self.module).__name__.lower())
        if weight in self.used:
            raise self._refused(call, f"{weight} is used twice", "give each layer its own weights")
        self.used[weight] = name
        self.weights[name] = Weights(weight, None if bias is None else self._tensor(call, bias, "bias"))
        return name

    def batch_norm(self, call: fx.Node) -> str:
        arguments = _arguments(call)
        source = self._read(call)
        layer = self.nodes.get(source)
        free = isinstance(layer, Layer) and not layer.batchnorm and layer.activation is None
        if not (isinstance(layer, Layer) and free and self._is_last_reader(call, source)):
            raise self._refused(
                call, "a BatchNorm that does not directly follow a convolution", "put BatchNorm after convolutions"
            )
        names = []
        for key in ("weight", "bias", "running_mean", "running_var"):
            if arguments.get(key) is None:
                raise self._refused(call, f"a BatchNorm without {key}", "use affine=True and track_running_stats=True")
            names.append(self._tensor(call, arguments[key], key))
        norm = (names[0], names[1], names[2], names[3])
        if norm[0] in self.used:
            raise self._refused(call, f"{norm[0]} is used twice", "give each layer its own BatchNorm")
        self.used[norm[0]] = source
        self.weights[source] = replace(self.weights[source], norm=norm, eps=float(arguments["eps"]))
        return self._add(call, replace(layer, batchnorm=True))

    # -- layers without weights ---------------------------------------------------------------------------------------

    def activation(self, call: fx.Node, kind: Activation) -> Value:
        value = self.values.get(_args(call)[0])
        if isinstance(value, _Flat):  # elementwise, so it may as well come before the flattening
            return replace(value, source=self._activated(call, value.source, kind, merge=False))
        return self._activated(call, self._read(call), kind, merge=True)

    def _activated(self, call: fx.Node, source: str, kind: Activation, *, merge: bool) -> str:
        layer = self.nodes.get(source)
        free = merge and isinstance(layer, Layer) and layer.activation is None
        if isinstance(layer, Layer) and free and self._is_last_reader(call, source):
            return self._add(call, replace(layer, activation=kind))
        return self._add(call, Activated(self._name(call, kind), (source,), kind=kind))

    def hardtanh(self, call: fx.Node) -> Value:
        bounds = tuple(map(float, _args(call)[1:])) or (-1.0, 1.0)
        if bounds != (0.0, 6.0):
            raise self._refused(call, "Hardtanh", "use ReLU6 or ReLU")
        return self.activation(call, "relu6")

    def leaky_relu(self, call: fx.Node) -> Value:
        slope = float(_args(call)[1]) if len(_args(call)) > 1 else 0.01
        if slope != 0.01:
            raise self._refused(call, f"LeakyReLU with a slope of {slope:g}", "use a slope of 0.01, or ReLU")
        return self.activation(call, "leaky_relu")

    def gelu(self, call: fx.Node) -> Value:
        if _kwargs(call).get("approximate", "none") != "none":
            raise self._refused(call, "GELU with an approximation", "use approximate='none', or ReLU")
        return self.activation(call, "gelu")

    def max_pool(self, call: fx.Node) -> str:
        arguments = _arguments(call)
        if set(_pair(arguments.get("dilation", 1))) != {1}:
            raise self._refused(call, "a max pooling with dilation", "use a dilation of 1")
        return self._pooling(call, "max", arguments, ceil=bool(arguments.get("ceil_mode", False)))

    def avg_pool(self, call: fx.Node) -> str:
        arguments = _arguments(call)
        source = self._read(call)
        kernel, padding = _pair(arguments["kernel_size"]), _pair(arguments.get("padding", 0))
        if arguments.get("divisor_override") is not None:
            raise self._refused(call, "an average with another divisor", "use divisor_override=None")
        if any(padding) and not arguments.get("count_include_pad", True):
            raise self._refused(call, "an average that does not count its padding", "use count_include_pad=True")
        if kernel == self.shapes[source][2:] and not any(padding):
            return self._add(call, Mean(self._name(call, "mean"), (source,)))
        stride = _pair(arguments.get("stride") or arguments["kernel_size"])
        sides = zip(self.shapes[source][2:], kernel, stride, padding, strict=True)
        if arguments.get("ceil_mode") and any((side + 2 * p - k) % s for side, k, s, p in sides):
            raise self._refused(call, "an average over windows that are partly outside", "use ceil_mode=False")
        return self._pooling(call, "avg", arguments, ceil=False)

    def _pooling(self, call: fx.Node, kind: Any, arguments: Mapping[str, Any], *, ceil: bool) -> str:
        source = self._read(call)
        kernel, padding = _pair(arguments["kernel_size"]), _pair(arguments.get("padding", 0))
        stride = _pair(arguments.get("stride") or arguments["kernel_size"])
        for what, pair in (("window", kernel), ("stride", stride), ("padding", padding)):
            if len(set(pair)) > 1:
                raise self._refused(call, f"a pooling whose {what} is not square", "use the same for rows and columns")
        return self._add(
            call,
            Pooling(
                self._name(call, f"{kind}_pool"), (source,), kind=kind, kernel=kernel[0], stride=stride[0],
                padding=padding[0], ceil=ceil,
            ),
        )  # fmt: skip

    def adaptive_pool(self, call: fx.Node) -> str:
        source = self._read(call)
        size, target = self.shapes[source][2:], _pair(_args(call)[1])
        if target == (1, 1):
            return self._add(call, Mean(self._name(call, "mean"), (source,)))
        if target == size:
            return source
        (rows, columns), (wide, high) = size, target
        if rows % wide or columns % high or rows // wide != columns // high:
            raise self._refused(
                call, f"an adaptive pooling from {rows}x{columns} to {wide}x{high} pixels",
                f"use AdaptiveAvgPool2d(1), or images so large that {wide}x{high} pixels divide what it reads",
            )  # fmt: skip
        side = rows // wide
        name = self._name(call, "avg_pool")
        return self._add(call, Pooling(name, (source,), kind="avg", kernel=side, stride=side))

    def mean(self, call: fx.Node) -> str:
        source = self._read(call)
        rank = len(_args(call)[0].meta["val"].shape)
        dims = {int(dim) % rank for dim in _args(call)[1]} if len(_args(call)) > 1 else set()
        if rank != 4 or dims != {2, 3}:
            raise self._refused(call, f"a mean over dimensions {sorted(dims)}", "take the mean over rows and columns")
        return self._add(call, Mean(self._name(call, "mean"), (source,)))

    def dropout(self, call: fx.Node) -> Value:
        value, rate = self.values.get(_args(call)[0]), float(_args(call)[1])
        if not rate:
            return value
        if isinstance(value, _Flat):
            return replace(
                value, source=self._add(call, Dropped(self._name(call, "dropout"), (value.source,), rate=rate))
            )
        return self._add(call, Dropped(self._name(call, "dropout"), (self._read(call),), rate=rate))

    # -- several values -----------------------------------------------------------------------------------------------

    def add(self, call: fx.Node) -> str:
        if _kwargs(call).get("alpha", 1) != 1:
            raise self._refused(call, f"a sum with the factor {_kwargs(call)['alpha']}", "use a plain sum")
        read = (self._read(call, 0), self._read(call, 1))
        if self.shapes[read[0]] != self.shapes[read[1]]:
            raise self._refused(call, "a sum of values of different shapes", "add values of one shape")
        return self._add(call, Added(self._name(call, "sum"), read))

    def multiply(self, call: fx.Node) -> str:
        read = (self._read(call, 0), self._read(call, 1))
        for source, gate in (read, read[::-1]):
            layer = self.nodes.get(gate)
            if isinstance(layer, Layer) and layer.activation in GATES and _pixels(self.shapes[gate]) == 1:
                if self.shapes[source][1] != self.shapes[gate][1]:
                    break
                if not (layer.bias or layer.batchnorm):
                    raise self._refused(call, f"the gate {gate} has no bias", "give it a bias or BatchNorm")
                return self._add(call, Gated(self._name(call, "gate"), (source, gate)))
        raise self._refused(
            call,
            "a product that is no squeeze-excite",
            "multiply channels by a convolution with sigmoid or hardsigmoid",
        )

    def concatenate(self, call: fx.Node) -> str:
        given = _args(call)[0]
        dim = _args(call)[1] if len(_args(call)) > 1 else 0
        sources = tuple(self.values.get(each) for each in given)
        if dim not in (1, -3) or not all(isinstance(source, str) for source in sources):
            raise self._refused(call, f"a concatenation along dimension {dim}", "concatenate channels")
        names = tuple(str(source) for source in sources)
        return names[0] if len(names) == 1 else self._add(call, Joined(self._name(call, "concat"), names))

    def split(self, call: fx.Node) -> _Pieces:
        source = self._read(call)
        arguments = _arguments(call)
        if int(arguments.get("dim", 0)) % 4 != 1:
            raise self._refused(call, "a split of rows or columns", "split channels")
        widths = [int(piece.shape[1]) for piece in call.meta["val"]]
        starts = [sum(widths[:at]) for at in range(len(widths))]
        return _Pieces(tuple(self._part(call, source, *each) for each in zip(starts, widths, strict=True)))

    def slice(self, call: fx.Node) -> Value:
        if tuple(call.meta["val"].shape) == tuple(_args(call)[0].meta["val"].shape):
            return self.values[_args(call)[0]]
        arguments = _arguments(call)
        source = self._read(call)
        if int(arguments.get("dim", 0)) != 1 or int(arguments.get("step", 1)) != 1:
            raise self._refused(call, "a slice of rows, columns or every other channel", "slice adjacent channels")
        start = int(arguments.get("start") or 0) % self.shapes[source][1]
        return self._part(call, source, start, int(call.meta["val"].shape[1]))

    def _part(self, call: fx.Node, source: str, start: int, channels: int) -> str:
        name = self._add(call, Part(self._name(call, "slice"), (source,), start=start, channels=channels))
        self.shapes[name] = (self.shapes[source][0], channels, *self.shapes[source][2:])
        return name

    def item(self, call: fx.Node) -> Value:
        pieces = self.values[_args(call)[0]]
        assert isinstance(pieces, _Pieces)
        return pieces.names[int(_args(call)[1])]

    # -- shapes -------------------------------------------------------------------------------------------------------

    def same(self, call: fx.Node) -> Value:
        return self.values[_args(call)[0]]

    def reshape(self, call: fx.Node) -> Value:
        value, shape = self.values[_args(call)[0]], tuple(call.meta["val"].shape)
        if isinstance(value, _Shuffle):
            if shape == self.shapes[value.source]:
                if not value.swapped:
                    return value.source
                return self._shuffled(call, value.source, value.groups)
        elif isinstance(value, _Flat):
            if shape == (2, value.shape[0] * value.shape[1] * value.shape[2]):
                return value
        elif isinstance(value, str):
            batch, channels, rows, columns = self.shapes[value]
            if shape in ((batch, channels, rows, columns), (batch, channels)) and (
                rows * columns == 1 or len(shape) == 4
            ):
                return value
            if shape == (batch, channels * rows * columns):
                return _Flat(value, (channels, rows, columns))
            if len(shape) == 5 and shape[0] == batch and shape[3:] == (rows, columns):
                return _Shuffle(value, shape[1])
        raise self._refused(call, f"a reshape to {shape}", "keep to images x channels x rows x columns")

    def transpose(self, call: fx.Node) -> Value:
        value, order = self.values[_args(call)[0]], _order(call)
        if isinstance(value, _Shuffle) and order == (0, 2, 1, 3, 4):
            return replace(value, swapped=not value.swapped)
        if order == tuple(range(len(order))):
            return value
        raise self._refused(call, f"a permutation of dimensions to {order}", "keep channels before rows and columns")

    def shuffle(self, call: fx.Node) -> str:
        return self._shuffled(call, self._read(call), int(_args(call)[1]))

    def _shuffled(self, call: fx.Node, source: str, groups: int) -> str:
        return self._add(call, Shuffled(self._name(call, "shuffle"), (source,), groups=groups))

    def pad(self, call: fx.Node) -> Value:
        if any(_args(call)[1]):
            raise self._refused(
                call, f"a padding of {list(_args(call)[1])} apart", "use the padding of the convolution"
            )
        return self.values[_args(call)[0]]


Handler = Callable[[_Tracer, fx.Node], Value]


def _activation(kind: Activation) -> Handler:
    return lambda tracer, call: tracer.activation(call, kind)


_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(("conv2d", "convolution"), _Tracer.convolution),
    "linear": _Tracer.linear,
    "batch_norm": _Tracer.batch_norm,
    **{kind: _activation(kind) for kind in ("relu", "relu6", "silu", "sigmoid", "hardswish", "hardsigmoid")},
    "hardtanh": _Tracer.hardtanh,
    "leaky_relu": _Tracer.leaky_relu,
    "gelu": _Tracer.gelu,
    "max_pool2d": _Tracer.max_pool,
    "avg_pool2d": _Tracer.avg_pool,
    "adaptive_avg_pool2d": _Tracer.adaptive_pool,
    "mean": _Tracer.mean,
    "dropout": _Tracer.dropout,
    "add": _Tracer.add,
    "mul": _Tracer.multiply,
    "cat": _Tracer.concatenate,
    **dict.fromkeys(("chunk", "split", "split_with_sizes"), _Tracer.split),
    "slice": _Tracer.slice,
    "getitem": _Tracer.item,
    **dict.fromkeys(("contiguous", "clone", "alias", "detach"), _Tracer.same),
    **dict.fromkeys(("view", "reshape", "flatten", "squeeze", "unsqueeze", "_unsafe_view"), _Tracer.reshape),
    **dict.fromkeys(("transpose", "permute"), _Tracer.transpose),
    "channel_shuffle": _Tracer.shuffle,
    **dict.fromkeys(("pad", "constant_pad_nd"), _Tracer.pad),
}
_REASONS = {
    "layer_norm": ("LayerNorm", "use BatchNorm2d after the convolution"),
    "group_norm": ("GroupNorm", "use BatchNorm2d after the convolution"),
    "instance_norm": ("InstanceNorm", "use BatchNorm2d after the convolution"),
    "feature_dropout": ("dropout of whole channels", "use nn.Dropout"),
    "softmax": ("a softmax", "return class scores without softmax"),
    "log_softmax": ("a log-softmax", "return class scores without softmax"),
    "upsample_nearest2d": ("upsampling", "use a network without upsampling"),
    "upsample_bilinear2d": ("upsampling", "use a network without upsampling"),
    "scaled_dot_product_attention": ("attention", "use a convolutional network"),
    **{
        name: (name, "use ReLU, SiLU, Hardswish or GELU")
        for name in ("elu", "selu", "prelu", "tanh", "mish", "softplus")
    },
}


def _reason(op: str) -> tuple[str, str]:
    """Return why an operation is refused, and the remedy."""
    return _REASONS.get(op, (f"the operation {op}", "use convolutions, linear layers, BatchNorm, poolings and sums"))


def _base_name(call: fx.Node) -> str:
    """Return the name of an operation without its overload: "relu" for "aten.relu_.default"."""
    words = str(call.target).split(".")
    return words[1].removesuffix("_") if words[0] == "aten" else getattr(call.target, "__name__", str(call.target))


def _args(call: fx.Node) -> tuple[Any, ...]:
    return call.args


def _kwargs(call: fx.Node) -> dict[str, Any]:
    return call.kwargs


def _arguments(call: fx.Node) -> dict[str, Any]:
    """Return the arguments of an operation by name, without those that were left out."""
    target: Any = call.target
    names = [each.name for each in target._schema.arguments]
    return dict(zip(names, _args(call), strict=False)) | dict(_kwargs(call))


def _pair(given: Any) -> tuple[int, int]:
    values = tuple(int(each) for each in given) if isinstance(given, list | tuple) else (int(given),) * 2
    return (values[0], values[-1])


def _order(call: fx.Node) -> tuple[int, ...]:
    """Return the order of dimensions after a transpose or permute."""
    rank = len(_args(call)[0].meta["val"].shape)
    if _base_name(call) == "permute":
        return tuple(int(dim) % rank for dim in _args(call)[1])
    order = list(range(rank))
    first, second = (int(dim) % rank for dim in _args(call)[1:3])
    order[first], order[second] = order[second], order[first]
    return tuple(order)


def _module_of(call: fx.Node) -> str:
    """Return the qualified name of the module that makes a call; "" is the whole network."""
    stack = call.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    return _clean(re.sub(r"@\d+", "", paths[-1])) if paths else ""


def _clean(name: str) -> str:
    return re.sub(r"[^\w.]", "_", name)


def _pixels(shape: tuple[int, ...]) -> int:
    return shape[2] * shape[3]


def _without_unread(graph: Graph, last: str) -> Graph:
    """Return the layers that ``last`` depends on."""
    needed = {last}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.sources)
    return Graph(tuple(node for node in graph.nodes if node.name in needed))
