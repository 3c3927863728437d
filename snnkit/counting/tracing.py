"""Trace a running torch model: which operation reads spikes, which reads real numbers, and how many.

`Tracer` sees every operation below the modules, so it does not matter whether a model calls ``nn.Conv2d``,
``functional.conv2d`` or a subclass. Each tensor that depends on the input carries a `Signal`. Operations between
constants are free, because their results can be computed before the inference.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import isclose, prod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from snnkit.architecture.plan import Axis
from snnkit.counting.errors import CountError
from snnkit.counting.neurons import NeuronLayer, describe, takes_sequence, tensors
from snnkit.counting.nodes import (
    LayerNode,
    NeuronsNode,
    Node,
    PoolNode,
    Signal,
    SumNode,
    Trace,
    Uncounted,
)
from snnkit.counting.operations import as_shape

SIGNAL, WEIGHT = "_snnsearch_signal", "_snnsearch_weight"  # attributes of tensors
ROUNDING = 1e-3  # of a spike: sums and means of spikes in float32

MATRIX_PRODUCTS = {"mm": (0, 1, None), "addmm": (1, 2, 0), "linear": (0, 1, 2), "bmm": (0, 1, None)}
_BATCHNORMS = """native_batch_norm _native_batch_norm_legit_no_training _batch_norm_no_update cudnn_batch_norm
miopen_batch_norm"""
_MOVES = """view _unsafe_view reshape _reshape_alias flatten permute transpose t expand squeeze unsqueeze slice select
clone detach alias contiguous _to_copy to lift_fresh as_strided unbind split split_with_sizes unsafe_split chunk narrow
repeat index_select index gather roll flip unfold im2col native_dropout dropout reflection_pad1d reflection_pad2d
replication_pad1d replication_pad2d upsample_nearest1d upsample_nearest2d pixel_shuffle pixel_unshuffle channel_shuffle
native_channel_shuffle diagonal max amax repeat_interleave relu abs neg positive"""
_ACTIVATIONS = """sigmoid tanh gelu silu hardtanh leaky_relu elu softplus hardswish hardsigmoid clamp clamp_min
clamp_max mish celu selu prelu _prelu_kernel log_sigmoid_forward round floor ceil sign"""
_THRESHOLDS = """gt ge lt le eq ne heaviside bernoulli logical_and logical_or logical_not logical_xor bitwise_and
bitwise_or bitwise_not bitwise_xor"""
_FORGETS = """zeros_like ones_like full_like empty_like rand_like randn_like new_zeros new_ones new_full new_empty
new_empty_strided zero fill _local_scalar_dense is_nonzero equal argmax argmin uniform normal"""

BATCHNORMS = frozenset(_BATCHNORMS.split())
MOVES = frozenset(_MOVES.split())  # the output holds the values of the input
ACTIVATIONS = frozenset(_ACTIVATIONS.split())  # free, as in the CNN twin
THRESHOLDS = frozenset(_THRESHOLDS.split())  # the output is 0 or 1
FORGETS = frozenset(_FORGETS.split())  # the output does not depend on the values of the input


def signal_of(value: object) -> Signal | None:
    """Return what a tensor consists of; None if it does not depend on the input."""
    found: Signal | None = getattr(value, SIGNAL, None)
    return found


def mark(tensor: Tensor, signal: Signal | None) -> None:
    """Say what a tensor consists of, and the tensor that it is a part of."""
    setattr(tensor, SIGNAL, signal)
    base = tensor._base
    if base is not None and signal is not None and signal_of(base) is None:
        setattr(base, SIGNAL, signal)


class Tracer(TorchDispatchMode):
    """Record the operations of ``model`` while it runs in the ``with`` block. Results are in ``trace``.

    ``neurons`` are its layers of neurons by name, and ``real`` the names of those that emit real numbers. Raises
    CountError if others emit values that are not spikes.
    """

    def __init__(self, model: nn.Module, neurons: Mapping[str, nn.Module], real: Collection[str] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.trace = Trace()
        self._keys: dict[object, str] = {}
        self._model = model
        self._neurons = {id(module): describe(name, module, real=name in real) for name, module in neurons.items()}
        self._weights = {id(tensor): name for name, tensor in model.named_parameters(remove_duplicate=False)}
        self._path: list[str] = []  # of the modules that run
        self._within: NeuronLayer | None = None  # the neurons that run
        self._paused = False
        self._seen: set[str] = set()  # modules in which a layer or a BatchNorm ran
        self._ran: dict[str, nn.Module] = {}
        self._hooks = contextlib.ExitStack()

    def __enter__(self) -> "Tracer":
        for name, module in self._model.named_modules():
            self._hooks.callback(module.register_forward_pre_hook(partial(self._enter, name), with_kwargs=True).remove)
            self._hooks.callback(module.register_forward_hook(partial(self._leave, name), with_kwargs=True).remove)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        self._hooks.close()
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def finish(self) -> Trace:
        """Return the trace with a note for each module with parameters in which nothing was counted."""
        for name, module in self._ran.items():
            own = any(True for _ in module.parameters(recurse=False))
            if own and name not in self._seen and id(module) not in self._neurons:
                self.trace.note(f"{name or 'the model'} ({type(module).__name__}): a module with parameters")
        leads = self.trace.leading_to_costs()
        for node in self.trace.nodes.values():
            if isinstance(node, Uncounted) and node.name in leads:
                self.trace.note(node.reason)
        return self.trace

    # modules

    def _enter(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._path.append(name)
        if self._within is None:
            self._ran[name] = module
            self._within = self._neurons.get(id(module))

    def _leave(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: object) -> None:
        self._path.pop()
        if self._within is None or self._neurons.get(id(module)) is not self._within:
            return
        layer, self._within = self._within, None
        incoming = next(tensors([args, kwargs]), None)
        outgoing = list(tensors(out))
        if incoming is None or not outgoing:
            raise CountError(f"{name} ({type(module).__name__}): neurons without an input or an output tensor")
        with self._pause():
            self._fire(layer, incoming, outgoing, sequence=takes_sequence(module))

    def _fire(self, layer: NeuronLayer, incoming: Tensor, outgoing: Sequence[Tensor], *, sequence: bool) -> None:
        """Record one call of neurons: their updates and spikes. Their first output is the spikes."""
        emitted = outgoing[0]
        sizes = emitted.shape[2 if sequence else 1 :]
        shape, signal = as_shape(sizes), signal_of(incoming)
        node = self._node(
            ("neurons", layer.name), layer.name or "neurons", lambda unique: NeuronsNode(unique, set(), layer, shape)
        )
        assert isinstance(node, NeuronsNode)
        node.sources.add("input" if signal is None else signal.node)
        node.updates += emitted.numel() // prod(sizes)
        if layer.note:
            self.trace.note(layer.note)
        if layer.spikes:
            spikes = self._spike_numbers(emitted, layer.unit, f"{layer.name} emits")
            node.spikes = node.spikes + spikes.sum(dtype=torch.float64)
        mark(emitted, Signal(node.name, "spikes" if layer.spikes else "real", layer.unit))
        for state in outgoing[1:]:
            if state is not emitted:
                mark(state, Signal(node.name, "real"))

    # operations

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._paused:
            return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        name = name if name.startswith("__") else name.removesuffix("_")
        signals = [signal_of(tensor) for tensor in tensors(args)]
        out = func(*args, **kwargs)
        self._record(name, args, kwargs, out, [each for each in signals if each is not None])
        return out

    def _record(self, name: str, args: Any, kwargs: dict[str, Any], out: Any, signals: list[Signal]) -> None:
        if name == "convolution":
            self._convolution(args, out)
        elif name in MATRIX_PRODUCTS:
            self._matrix_product(name, args, out, signals)
        elif not signals:
            self._constant(name, args, out)
        elif name in FORGETS:
            for tensor in tensors(out):
                setattr(tensor, SIGNAL, None)
        elif self._within is not None:
            if name in MOVES:
                _mark_all(out, signals[0])
        elif name in BATCHNORMS:
            self._batchnorm(out, signals[0])
        else:
            found = self._signal(name, args, kwargs, out, signals)
            _mark_all(out, found)

    def _signal(self, name: str, args: Any, kwargs: dict[str, Any], out: Any, signals: list[Signal]) -> Signal:
        """Return what the output of an operation outside of neurons consists of, and record its costs."""
        first = signals[0]
        if name in MOVES:
            return first
        if name == "constant_pad_nd" and not (args[2] if len(args) > 2 else kwargs.get("value", 0)):
            return first
        if name in ("copy", "index_put"):
            return signals[-1]
        if name in ("add", "sub", "rsub"):
            return self._addition(name, args, out)
        if name in ("mul", "div"):
            return self._product(name, args)
        if name in THRESHOLDS:
            return self._threshold(first, signals)
        if name.startswith(("max_pool", "avg_pool")):
            return self._pool(name, args, kwargs, out, first)
        if name.startswith(("_adaptive_avg_pool", "adaptive_max_pool")):
            return self._adaptive_pool(name, args, out, first)
        if name in ("mean", "sum"):
            return self._reduction(name, args, kwargs, out, first)
        if name in ("cat", "stack", "maximum", "where", "masked_fill"):
            return self._joined(name, signals)
        if name in ACTIVATIONS:
            return replace(first, kind="real", activated=True)
        return self._uncounted(name, signals)

    def _constant(self, name: str, args: Any, out: Any) -> None:
        """Let the views of a weight keep its name."""
        found = [label for tensor in tensors(args) if (label := self._weight_name(tensor)) is not None]
        if found and name in MOVES:
            for tensor in tensors(out):
                setattr(tensor, WEIGHT, found[0])

    def _weight_name(self, tensor: Tensor) -> str | None:
        label: str | None = self._weights.get(id(tensor), getattr(tensor, WEIGHT, None))
        return label

    # layers

    def _convolution(self, args: Any, out: Tensor) -> None:
        x, weight, bias, stride, padding, dilation, transposed, _, groups = args
        if signal_of(weight) is not None:
            _mark_all(out, self._uncounted("convolution with computed weights", [signal_of(weight)]))
            return
        sides = (x.shape[2:], out.shape[2:], weight.shape[2:], stride, padding, dilation)
        axes = tuple(map(partial(Axis, transposed=transposed), *sides))
        node = self._layer(weight, x.shape[1:], out.shape[1:], axes, groups, bias is not None)
        self._read(node, x, out)

    def _matrix_product(self, name: str, args: Any, out: Tensor, signals: list[Signal]) -> None:
        at_x, at_weight, at_bias = MATRIX_PRODUCTS[name]
        x, weight = args[at_x], args[at_weight]
        if signal_of(weight) is None and signal_of(x) is None and self._weight_name(weight) is None:
            return  # constants
        if signal_of(weight) is not None or name == "bmm":
            if self._within is None:
                _mark_all(out, self._uncounted("matrix product of activations", signals))
            return
        bias = at_bias is not None and len(args) > at_bias and args[at_bias] is not None
        if bias and signal_of(args[at_bias]) is not None:
            self.trace.note(f"{self._where or 'the model'}: the addition of an activation to a matrix product")
        node = self._layer(weight, x.shape[-1:], out.shape[-1:], (), 1, bias)
        self._read(node, x, out)

    def _layer(
        self, weight: Tensor, inputs: Sequence[int], outputs: Sequence[int], axes: tuple[Axis, ...], groups: int,
        bias: bool,
    ) -> LayerNode:  # fmt: skip
        label = self._weight_name(weight)
        name = self._where if label is None else label.removesuffix(".weight")
        self._seen.add(self._where)
        if label is not None:
            self._seen.add(label.rpartition(".")[0])
        shapes = (as_shape(inputs), as_shape(outputs))
        node = self._node(
            ("layer", name, shapes[0]), name or "layer",
            lambda unique: LayerNode(unique, set(), *shapes, axes, groups, bias),
        )  # fmt: skip
        assert isinstance(node, LayerNode)
        return node

    def _read(self, node: LayerNode, x: Tensor, out: Tensor) -> None:
        """Add what a layer reads in one call."""
        signal = signal_of(x)
        rows = x.numel() // prod(node.in_shape)
        if signal is None and x.any():
            self.trace.note(f"{node.name}: it reads values that do not come from the input; they are not counted")
            return
        node.rows += rows
        if signal is not None:
            self._set_signal(node, signal)
            flat = x.reshape(rows, node.in_shape[0], *(axis.size for axis in node.axes))
            node.nonzero = node.nonzero + (flat != 0).sum((0, 1), dtype=torch.float64)
            if signal.kind == "spikes":
                numbers = self._spike_numbers(flat, signal.unit, f"{node.name} reads")
                node.spikes = node.spikes + numbers.sum((0, 1), dtype=torch.float64)
        static = signal is not None and signal.static
        mark(out, Signal(node.name, "real", static=static))

    def _set_signal(self, node: LayerNode, signal: Signal) -> None:
        before = node.signal or signal
        if before.kind != signal.kind or not isclose(before.unit, signal.unit):
            raise CountError(
                f"{node.name} reads {_words(before)} in one call and {_words(signal)} in another; it cannot be one "
                "layer of the count. Use a module of its own for each"
            )
        node.sources.add(signal.node)
        node.signal = replace(
            before, most=max(before.most, signal.most), static=before.static and signal.static,
            image=before.image and signal.image,
        )  # fmt: skip

    def _batchnorm(self, out: Any, signal: Signal) -> None:
        """Fold a BatchNorm into the layer before it, or say that it cannot be folded."""
        self._seen.add(self._where)
        node = self.trace.nodes.get(signal.node)
        if isinstance(node, LayerNode) and signal.kind == "real" and not signal.activated:
            node.batchnorm = True
            _mark_all(out, signal)
            return
        if node is None and signal.kind == "real":  # of the image: a part of its preparation
            _mark_all(out, signal)
            return
        reason = f"{self._where}: a BatchNorm that does not follow a layer directly, so it is not folded"
        _mark_all(out, replace(self._uncounted("BatchNorm", [signal], reason), static=signal.static))

    # sums, products, pooling

    def _addition(self, name: str, args: Any, out: Tensor) -> Signal:
        found = [signal_of(each) for each in args[:2]]
        a, b = found
        if a is None or b is None:
            signal, constant = (a or b), args[1] if b is None else args[0]
            assert signal is not None
            one_minus = name == "rsub" and _is_number(constant, 1)
            if _is_number(constant, 0) or (one_minus and signal.kind == "spikes" and signal.unit == signal.most == 1):
                return signal
            return signal if signal.kind == "real" else replace(signal, kind="real")
        if a.kind == b.kind == "spikes" and isclose(a.unit, b.unit):
            return replace(self._joined("sum", [a, b]), most=a.most + b.most)
        static = a.static and b.static
        parts = (a.node, b.node)
        node = self._node(
            ("sum", self._where, *parts), self._label("sum"),
            lambda unique: SumNode(unique, set(parts), as_shape(out.shape[-3:]), static, parts=parts),
        )  # fmt: skip
        assert isinstance(node, SumNode)
        node.elements += out.numel()
        return Signal(node.name, "real", static=static)

    def _product(self, name: str, args: Any) -> Signal:
        a, b = (signal_of(each) for each in args[:2])
        if a is None or b is None:
            return self._scaled(args, a or b, by_first=a is None, name=name)
        if name != "mul":
            return self._uncounted("division of activations", [a, b])
        spikes = a.kind == "spikes", b.kind == "spikes"
        broadcast = args[0].numel() != args[1].numel()
        gate_is_second = args[1].numel() < args[0].numel() if broadcast else spikes[0]
        value, gate = (a, b) if gate_is_second else (b, a)
        if broadcast:
            self._find_squeeze_excite(value, gate)
        if all(spikes):
            both = self._joined("product", [a, b])
            return replace(both, kind="spikes", unit=a.unit * b.unit, most=a.most * b.most)
        if any(spikes):
            return replace(self._joined("gate", [value, gate]), kind="gated", unit=1.0)
        return replace(value, activated=True) if broadcast else self._uncounted("product of activations", [a, b])

    def _scaled(self, args: Any, signal: Signal | None, *, by_first: bool, name: str) -> Signal:
        """A constant times a value. The constant is folded into the weights that read it, or into those before it."""
        assert signal is not None
        constant = args[0] if by_first else args[1]
        if name == "div" and by_first:
            return self._uncounted("division by an activation", [signal])
        if signal.kind != "spikes":
            return signal
        if not isinstance(constant, Tensor) or constant.numel() == 1:
            factor = float(constant)
            unit = signal.unit / factor if name == "div" else signal.unit * factor
            return replace(signal, unit=unit) if unit else replace(signal, kind="real")
        if name == "mul" and bool(((constant == 0) | (constant == 1)).all()):
            return signal
        return self._uncounted("scales of spikes", [signal], kind="gated")

    def _find_squeeze_excite(self, value: Signal, gate: Signal) -> None:
        """Mark the first layer of a squeeze-excite: it reads the means of the values that its gate multiplies."""
        node = self.trace.nodes.get(gate.node)
        while isinstance(node, LayerNode | NeuronsNode) and len(node.sources) == 1:
            before = self.trace.nodes.get(next(iter(node.sources)))
            reads_means = isinstance(before, PoolNode) and before.kind == "avg" and value.node in before.sources
            if isinstance(node, LayerNode) and reads_means:
                node.means = True
            node = before

    def _threshold(self, first: Signal, signals: list[Signal]) -> Signal:
        if all(each.kind == "spikes" or each.image for each in signals):
            return replace(first, kind="spikes", unit=1.0, most=1, static=False)
        reason = (
            f"{self._where or 'the model'}: a comparison makes spikes outside of known neurons, so their updates are "
            "not counted; name the class of the neurons: neurons=(CLASS,)"
        )
        return replace(self._uncounted("threshold", signals, reason), kind="spikes")

    def _pool(self, name: str, args: Any, kwargs: dict[str, Any], out: Any, signal: Signal) -> Signal:
        x, y = args[0], next(tensors(out))
        kernel = list(args[1])
        axes_of_space = len(kernel)
        stride = list(args[2]) if len(args) > 2 and args[2] else kernel
        padding = list(args[3]) if len(args) > 3 else [0] * axes_of_space
        kind: Literal["max", "avg"] = "max" if name.startswith("max") else "avg"
        dilation = (list(args[4]) if len(args) > 4 else [1]) if kind == "max" else [1]
        spread = [(each * axes_of_space)[:axes_of_space] for each in (kernel, stride, padding, dilation)]
        sides = zip(x.shape[-axes_of_space:], y.shape[-axes_of_space:], *spread, strict=True)
        axes = tuple(Axis(*side) for side in sides)
        included = args[5] if len(args) > 5 else kwargs.get("count_include_pad", True)
        constant = kind == "max" or _has_one_divisor(axes, included)
        given = args[6] if len(args) > 6 else kwargs.get("divisor_override")
        return self._pooled(kind, x, y, axes, signal, given or (prod(a.kernel for a in axes) if constant else 0))

    def _adaptive_pool(self, name: str, args: Any, out: Any, signal: Signal) -> Signal:
        x, y, sizes = args[0], next(tensors(out)), args[1]
        sides = list(zip(x.shape[-len(sizes) :], sizes, strict=True))
        axes = tuple(Axis(size, outputs, size // outputs, size // outputs) for size, outputs in sides)
        kind: Literal["max", "avg"] = "max" if "max" in name else "avg"
        exact = kind == "max" or not any(size % outputs for size, outputs in sides)
        return self._pooled(kind, x, y, axes, signal, prod(axis.kernel for axis in axes) if exact else 0)

    def _pooled(
        self, kind: Literal["max", "avg"], x: Tensor, y: Tensor, axes: tuple[Axis, ...], signal: Signal, divisor: int
    ) -> Signal:
        """Record a pooling. A ``divisor`` of 0 says that it differs between windows."""
        before, after = (as_shape(each.shape[-len(axes) - 1 :]) for each in (x, y))
        node = self._node(
            ("pool", self._where, signal.node, axes), self._where or "pool",
            lambda unique: PoolNode(unique, {signal.node}, kind, before, after, axes),
        )  # fmt: skip
        pooled = replace(signal, node=node.name)
        if kind == "max" or signal.kind != "spikes":
            return pooled
        if not divisor:
            return self._uncounted("average over windows of several sizes", [pooled])
        return replace(pooled, unit=signal.unit / divisor, most=signal.most * prod(axis.kernel for axis in axes))

    def _reduction(self, name: str, args: Any, kwargs: dict[str, Any], out: Tensor, signal: Signal) -> Signal:
        x = args[0]
        given = args[1] if len(args) > 1 else kwargs.get("dim")
        dims = sorted(dim % x.dim() for dim in ([given] if isinstance(given, int) else given or range(x.dim())))
        values = prod(x.shape[dim] for dim in dims)
        trailing = dims == list(range(x.dim() - len(dims), x.dim())) and x.dim() - len(dims) >= 2
        if name == "mean" and trailing and len(dims) < 3:
            axes = tuple(Axis(x.shape[dim], 1, x.shape[dim], x.shape[dim]) for dim in dims)
            pooled = x.mean(dims, keepdim=True)
            return self._pooled("avg", x, pooled, axes, signal, values)
        if signal.kind == "spikes":
            unit = signal.unit / values if name == "mean" else signal.unit
            return replace(signal, unit=unit, most=signal.most * values, static=False)
        return self._uncounted(name, [signal])

    def _joined(self, name: str, signals: list[Signal]) -> Signal:
        """Return what a tensor that holds parts of several others consists of."""
        first = signals[0]
        alike = all(each.kind == first.kind and isclose(each.unit, first.unit) for each in signals)
        nodes = {each.node for each in signals}
        joined = replace(
            first, most=max(each.most for each in signals), static=all(each.static for each in signals),
            image=all(each.image for each in signals), activated=any(each.activated for each in signals),
        )  # fmt: skip
        if len(nodes) > 1:
            node = self._node(
                (name, self._where, frozenset(nodes)), self._label(name), lambda unique: Node(unique, nodes)
            )
            joined = replace(joined, node=node.name)
        if alike or name in ("product", "gate"):
            return joined
        return self._uncounted(f"{name} of spikes and other values", [joined])

    def _uncounted(
        self, what: str, signals: Sequence[Signal | None], reason: str | None = None,
        kind: Literal["real", "gated"] = "real",
    ) -> Signal:  # fmt: skip
        """Record an operation that is not counted. It becomes a note if its output reaches a layer or neurons."""
        found = [each for each in signals if each is not None]
        nodes = {each.node for each in found}
        text = reason or f"{self._where or 'the model'}: {what}"
        node = self._node(("uncounted", text), self._label(what), lambda unique: Uncounted(unique, set(), text))
        node.sources.update(nodes - {node.name})
        return Signal(node.name, kind, static=all(each.static for each in found))

    # helpers

    @property
    def _where(self) -> str:
        """The module that runs."""
        return self._path[-1] if self._path else ""

    def _label(self, what: str) -> str:
        return f"{self._where}.{what}".removeprefix(".")

    def _node(self, key: object, name: str, make: Callable[[str], Node]) -> Node:
        """Return the node of ``key``; make it with a unique name at its first call."""
        if key not in self._keys:
            unique, number = name, 2
            while unique in self.trace.nodes or unique == "input":
                unique, number = f"{name} ({number})", number + 1
            self._keys[key] = unique
            self.trace.nodes[unique] = make(unique)
        return self.trace.nodes[self._keys[key]]

    @contextlib.contextmanager
    def _pause(self) -> Iterator[None]:
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    @staticmethod
    def _spike_numbers(values: Tensor, unit: float, what: str) -> Tensor:
        """Return the number of spikes in each value. Raises CountError if one is not a whole number."""
        numbers = (values / unit if unit != 1 else values).abs()
        whole = numbers.round()
        if numbers.numel() and float((numbers - whole).abs().max()) > ROUNDING:
            wrong = values.flatten()[int((numbers - whole).abs().argmax())]
            raise CountError(
                f"{what} {float(wrong):g}, which is not a whole number of spikes of {unit:g}. If these values are real "
                "numbers, say so: real=('NAME OF THE NEURONS',)"
            )
        return whole


def _mark_all(out: object, signal: Signal) -> None:
    for tensor in tensors(out):
        mark(tensor, signal)


def _is_number(value: object, number: float) -> bool:
    return bool((value == number).all()) if isinstance(value, Tensor) else value == number


def _has_one_divisor(axes: Sequence[Axis], padding_counts: bool) -> bool:
    """Whether all windows of an average divide by the same number."""
    ragged = any((axis.outputs - 1) * axis.stride + axis.kernel > axis.size + 2 * axis.padding for axis in axes)
    padded = any(axis.padding for axis in axes)
    return not ragged and (padding_counts or not padded)


def _words(signal: Signal) -> str:
    kinds = {"real": "real numbers", "spikes": f"spikes of {signal.unit:g}", "gated": "spikes times real numbers"}
    return kinds[signal.kind]
