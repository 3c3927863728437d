"""What prevents an export, all at once. Known from the plan and the neurons, so before any training."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from snnkit.architecture.plan import Concat, Conv, Dropout, GlobalAverage, Neurons, Op, Plan, Pool, Sum, sources
from snnkit.base.config import NeuronConfig
from snnkit.export.errors import ExportError

MAX_NAMES = 3  # of the operations that an obstacle names
ANOTHER_FAMILY = "search another family, for example squeezenet"


FindObstacles = Callable[[Plan, NeuronConfig | None], tuple["Obstacle", ...]]  # without a neuron: of the CNN twin


@dataclass(frozen=True)
class Obstacle:
    """A reason why a format cannot express a network."""

    reason: str
    remedy: str
    operations: tuple[str, ...] = ()  # of the plan; none if the reason concerns all

    def __str__(self) -> str:
        return f"{self._names()}{self.reason}; {self.remedy}"

    def _names(self) -> str:
        if not self.operations:
            return ""
        more = len(self.operations) - MAX_NAMES
        names = ", ".join(self.operations[:MAX_NAMES])
        return f"{names} and {more} more: " if more > 0 else f"{names}: "


def missing_libraries(names: Sequence[str], extra: str) -> tuple[Obstacle, ...]:
    """Return an obstacle for each library of ``names`` that is not installed; ``extra`` of snnsearch installs them."""
    return tuple(
        Obstacle(f"{name} is not installed", f"pip install 'snnsearch[{extra}]'")
        for name in names
        if importlib.util.find_spec(name) is None
    )


def no_obstacles(plan: Plan, neuron: NeuronConfig | None) -> tuple[Obstacle, ...]:
    """Return nothing: the format expresses every network."""
    return ()


def needs_neurons(plan: Plan, neuron: NeuronConfig | None) -> tuple[Obstacle, ...]:
    """Return that a library of neurons is of no use for a CNN twin."""
    remedy = "export the spiking network, or the twin with --format code"
    return () if neuron is not None else (Obstacle("a CNN twin has no neurons", remedy),)


def nir_obstacles(plan: Plan, neuron: NeuronConfig | None) -> tuple[Obstacle, ...]:
    """Return what NIR cannot express of a network; of its CNN twin if ``neuron`` is None."""
    of_neurons = needs_neurons(plan, neuron) if neuron is None else _neuron_obstacles(neuron)
    return (*of_neurons, *_operation_obstacles(plan))


def _neuron_obstacles(neuron: NeuronConfig) -> list[Obstacle]:
    wanted = {"reset": (neuron.reset, "zero"), "reset_delay": (str(neuron.reset_delay).lower(), "false")}
    found = [
        Obstacle(f"neuron.{name} is {given}: NIR's LIF has {value}", f"search or retrain with neuron.{name}: {value}")
        for name, (given, value) in wanted.items()
        if given != value
    ]
    if neuron.leak in (0, 1):
        reason = f"neuron.leak is {neuron.leak:g}: a time constant is between the two"
        found.append(Obstacle(reason, "search or retrain with neuron.leak: 0.01 or 0.99"))
    return found


def _operation_obstacles(plan: Plan) -> list[Obstacle]:
    merged = merged_convs(plan.ops)
    found: dict[tuple[str, str], list[str]] = {}
    for op in plan.ops:
        if op.name not in merged.values() and (wrong := _missing_in_nir(op)) is not None:
            found.setdefault(wrong, []).append(op.name)
    return [Obstacle(reason, remedy, tuple(names)) for (reason, remedy), names in found.items()]


def _missing_in_nir(op: Op) -> tuple[str, str] | None:
    """Reason and remedy; None if NIR expresses the operation."""
    match op:
        case Conv() if op.groups > 1:
            return "the nir library does not read grouped and depthwise convolutions", ANOTHER_FAMILY
        case Conv() if op.activation is not None and not op.emits_spikes:
            return f"NIR has no {op.activation}", ANOTHER_FAMILY
        case Pool() if op.kind == "max":
            return "NIR has no max pooling", "search or retrain with network.pool.kind: avg, if the family has it"
        case Pool() if op.padding:
            return "the nir library does not average over padding", ANOTHER_FAMILY
        case Pool() if op.ceil:
            return "NIR has no ragged windows", "search or retrain with network.pool.ceil: false"
        case Concat():
            return "NIR has no concatenation of layers that read different things", ANOTHER_FAMILY
        case Conv() | Pool() | Sum() | Neurons() | Dropout() | GlobalAverage():
            return None
        case _:
            return f"NIR has no {type(op).__name__.lower()}", ANOTHER_FAMILY


def refuse(found: Sequence[Obstacle], instead: Sequence[str] = ()) -> None:
    """Raise ExportError with all obstacles and the formats that express the network, if there are any obstacles."""
    otherwise = [f"or export as {' or '.join(instead)}"] if instead else []
    if len(found) == 1:
        raise ExportError("; ".join([str(found[0]), *otherwise]))
    if found:
        raise ExportError("\n".join([f"{len(found)} obstacles:", *(f"  - {each}" for each in found), *otherwise]))


def merged_convs(ops: tuple[Op, ...]) -> dict[str, str]:
    """Map each convolution that is merged with others in NIR to the concatenation behind them.

    They must read the same input, have neurons and be read by the concatenation alone.
    """
    convs = {op.name: op for op in ops if isinstance(op, Conv)}
    readers: dict[str, int] = {}
    for op in ops:
        for source in sources(op):
            readers[source] = readers.get(source, 0) + 1
    found: dict[str, str] = {}
    for op in ops:
        if isinstance(op, Concat) and all(name in convs and readers[name] == 1 for name in op.sources):
            members = [convs[name] for name in op.sources]
            alike = {(c.source, c.stride, c.groups, c.emits_spikes, c.kernel // 2 - c.padding) for c in members}
            if len(alike) == 1 and all(c.kernel % 2 and c.groups == 1 for c in members):
                found |= dict.fromkeys(op.sources, op.name)
    return found
