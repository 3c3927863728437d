"""Write a commented space for a network that was traced from PyTorch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.storage.names import as_folder_name
from search.errors import InputError, listed
from search.space.document import dump
from snnkit.architecture.cuts import Cuts, Unit, WidthGroup, find_cuts, why_kept
from snnkit.architecture.graph import Activated, Graph, Layer
from snnkit.architecture.plan import Shape
from snnkit.data.datasets import DATASETS

if TYPE_CHECKING:
    from torch import nn

QUARTERS = (1, 2, 3, 4)  # widths to choose from, as quarters of the width that was traced
MAX_LINE = 116


@dataclass(frozen=True)
class Scaffolded:
    """The facts about a traced network that its space states besides the graph."""

    reference: str  # as the command names it
    shape: Shape
    classes: int
    params: int  # of the layers in the graph
    unused: int  # parameters of the module that no output depends on
    difference: float  # between module and CNN twin, relative to the spread of the scores
    left_out: tuple[str, ...]  # modules that only act in training


def scaffold(network: "str | nn.Module", shape: Shape, classes: int = 10) -> str:
    """Return a commented space, as YAML, that searches a PyTorch network: which modules to keep, and how wide.

    ``network`` is a torch module, or a text: ``torchvision.models:resnet18``, ``net.py:build`` or ``timm:NAME``, whose
    code is run. ``shape`` is (C, H, W). The module is traced, and its CNN twin must compute the same to 1e-4.

    Raises InputError, with the module and the reason, if the network cannot be searched, or if no data set has such
    images.
    """
    data_of(shape, classes)  # refuses before torch is imported, which may take a while
    from snnkit.architecture.lowering import lower
    from snnkit.scaffold.parity import check_parity
    from snnkit.scaffold.reference import load_network
    from snnkit.scaffold.trace import ScaffoldError, trace

    label = network if isinstance(network, str) else type(network).__name__
    try:
        module = load_network(network, shape[0], classes) if isinstance(network, str) else network
        traced = trace(module, shape)
        difference = check_parity(module, traced, shape)
    except ScaffoldError as error:
        raise InputError(f"{label} cannot be searched: {error}") from error
    params = lower(traced.graph, traced.graph.classifier.channels, shape).params
    unused = sum(parameter.numel() for parameter in module.parameters()) - params
    return write_space(traced.graph, Scaffolded(label, shape, classes, params, unused, difference, traced.left_out))


def write_space(graph: Graph, facts: Scaffolded) -> str:
    """Return a space over ``graph`` as YAML. Raises InputError if no data set has such images."""
    cuts = find_cuts(graph.lines)
    name = as_folder_name(facts.reference.rpartition(":")[2]) or "scaffold"
    sections = [
        *_header(cuts, facts),
        _yaml(
            {
                "study": {
                    "name": name,
                    "budget": {"trials": 50},
                    "objectives": {"accuracy": "maximize", "energy_mj": "minimize", "params": "minimize"},
                }
            }
        ),
        "network:",
        "  family: traced",
        *_modules(cuts),
        *_widths(cuts),
        "  # The layers, in order of execution. Do not edit them.",
        "  graph:",
        *(f"  - {line}" for line in graph.lines),
        "encoding: {timesteps: 4}",
        "train: {epochs: 10}",
        _yaml({"data": data_of(facts.shape, facts.classes)}),
    ]
    return "\n".join(sections) + "\n"


def data_of(shape: Shape, classes: int) -> dict[str, object]:
    """Return the data section for images of ``shape`` and so many classes. Raises InputError if nothing fits."""
    channels, height, width = shape
    fitting = [name for name, info in DATASETS.items() if info.shape[0] == channels and info.classes >= classes]
    if height != width or not fitting:
        known = listed(
            f"{'x'.join(map(str, info.shape))} ({name}, {info.classes} classes)" for name, info in DATASETS.items()
        )
        raise InputError(
            f"no data set has {classes} classes of {channels}x{height}x{width} images. There are {known}; give another "
            "--input or --classes"
        )
    name = min(fitting, key=lambda each: (DATASETS[each].shape != shape, DATASETS[each].classes))
    found: dict[str, object] = {"name": name}
    if DATASETS[name].classes > classes:
        found["classes"] = classes
    if DATASETS[name].shape != shape:
        found["resolution"] = height
    return found


def _header(cuts: Cuts, facts: Scaffolded) -> Iterator[str]:
    size = "x".join(map(str, facts.shape))
    kinds = {node.activation for node in cuts.graph.nodes if isinstance(node, Layer) and node.activation}
    kinds |= {node.kind for node in cuts.graph.nodes if isinstance(node, Activated)}
    yield f"# Search of {facts.reference}, traced for images of {size}. Written by: snnsearch scaffold"
    yield "#"
    yield f"# {facts.params:,} parameters. With everything kept, the CNN twin computes what the module computes: their"
    yield f"# scores differ by {facts.difference:.0e} of their spread. The spiking network has LIF neurons in place of"
    yield f"# each activation ({', '.join(sorted(kinds))}), and where a convolution would otherwise read real numbers."
    if facts.unused > 0:
        yield f"# {facts.unused:,} more parameters of the module are not in it: no score depends on them."
    if (outputs := cuts.graph.classifier.channels) != facts.classes:
        yield f"# Its last layer has {outputs:,} outputs. The space gives it {facts.classes}, one for each class."
    if facts.left_out:
        yield from _wrapped("Not in the network, because they act in training only: ", facts.left_out)
    yield "#"
    yield "# Every combination of the values below fits. A value that you fix is no longer searched: write keep: true,"
    yield "# or conv1: 32. Validate the file after a change: snnsearch validate FILE"


def _modules(cuts: Cuts) -> Iterator[str]:
    yield ""
    units = {unit.name for unit in cuts.units}
    yield from (f"  # Kept: {name} {why_kept(cuts.graph, name)}." for name in cuts.cells if name not in units)
    if not cuts.units:
        return
    yield "  # Removable modules. A removed one is replaced by its input."
    yield "  modules:"
    for unit in cuts.units:
        yield f"    {unit.key}:  # {_reads(cuts, unit)}"
        yield f"      keep: {_choices([True, False])}"
        groups = [group for group in cuts.groups if group.unit == unit]
        if groups:
            yield "      widths:"
            yield from (line for group in groups for line in _width(group, "        "))


def _reads(cuts: Cuts, unit: Unit) -> str:
    convs = sum(isinstance(cuts.graph.by_name[name], Layer) for name in unit.nodes)
    return f"{unit.name}, {convs} convolution{'s' if convs > 1 else ''}; reads {unit.source}"


def _widths(cuts: Cuts) -> Iterator[str]:
    groups = [group for group in cuts.groups if group.unit is None]
    if not groups:
        return
    yield ""
    yield "  # Channels of the other convolutions. The members of a group keep the ratio of their widths."
    yield "  widths:"
    yield from (line for group in groups for line in _width(group, "    "))
    yield ""


def _width(group: WidthGroup, indent: str) -> Iterator[str]:
    if len(group.members) > 1:
        yield from _wrapped(f"{indent}# {len(group.members)} layers: ", group.members, comment="")
    values = sorted({max(1, round(group.width * part / 4 / group.step)) * group.step for part in QUARTERS})
    if len(values) > 1:
        yield f"{indent}{group.key}: {_choices(values, group.width)}"
    else:
        yield f"{indent}{group.key}: {group.width}"


def _choices(values: Sequence[object], default: object = None) -> str:
    words = ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
    return f"{{choices: [{words}]{'' if default is None else f', default: {default}'}}}"


def _wrapped(start: str, names: Sequence[str], comment: str = "# ") -> Iterator[str]:
    """Yield a comment that lists ``names``, cut off after one line."""
    line = comment + start
    shown: list[str] = []
    for name in names:
        if len(line) + sum(len(each) + 2 for each in (*shown, name)) > MAX_LINE:
            break
        shown.append(name)
    yield line + ", ".join(shown) + (", ..." if len(shown) < len(names) else "")


def _yaml(tree: dict[str, object]) -> str:
    return dump(tree).rstrip()
