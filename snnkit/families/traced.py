"""Any network as a graph of layers: traced from PyTorch by ``snnsearch scaffold``, or a list of blocks.

`snnkit.architecture.cuts` finds the modules that may be removed and the widths that may change. The graph is part of
the design, so a space holds the whole network, and a worker needs no code of the user's.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from snnkit.architecture.cuts import Cuts, WidthGroup, check_widths, find_cuts
from snnkit.architecture.graph import Convolution, Graph, belongs
from snnkit.architecture.lowering import lower
from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.base.spelling import did_you_mean
from snnkit.families.blocks import AnyBlock, block_lines
from snnkit.families.design import Design, kept_view, merged, removed_view
from snnkit.families.mbconv import GATE, Gate

Width = Annotated[int, Field(ge=1, le=8192)]
GEOMETRIES: dict[str, dict[str, Any]] = {
    "cifar": {
        "blocks": (
            {"kind": "conv", "width": 16},
            {"kind": "residual", "width": 16},
            {"kind": "residual", "width": 32, "stride": 2},
            {"kind": "residual", "width": 32},
            {"kind": "inverted_residual", "width": 48, "stride": 2},
            {"kind": "inverted_residual", "width": 48, "squeeze_excite": True},
            {"kind": "conv", "width": 64, "stride": 2},
        )
    }
}


class Module(Config):
    """A removable module of the graph."""

    keep: bool = Field(True, description="false removes the module; what reads it then reads what it read.")
    widths: dict[str, Width] = Field(
        default_factory=dict,
        description="Channels of the convolutions inside, by the name of the first one of each group.",
    )


class Traced(Design):
    """Design of a network that is given as a graph."""

    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["traced"] = Field("traced", description="Family of networks: any graph of layers.")
    geometry: Literal["cifar"] = Field(
        "cifar",
        description="Network that is used without graph and blocks. cifar: blocks of several kinds for 32x32 images.",
    )
    modules: dict[str, Module] = Field(
        default_factory=dict,
        description="Removable modules by name, with underscores for dots. A missing one is kept as it is.",
    )
    widths: dict[str, Width] = Field(
        default_factory=dict,
        description="Channels of the convolutions in no removable module, by the name of the first one of each group. "
        "The others of the group keep their ratio to it. A missing one has the width of the graph.",
    )
    gate: Gate = Field("spikes", description=GATE)
    blocks: tuple[AnyBlock, ...] = Field(
        (), max_length=64, description="The network as a list of blocks, before a mean over space and a classifier."
    )
    graph: tuple[str, ...] = Field((), description="The network as snnsearch scaffold writes it: a layer in each line.")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        """Fill in the default network, and all modules and widths that are not given. Raises GraphError."""
        if not isinstance(given, Mapping):
            return given
        if given.get("graph") and given.get("blocks"):
            raise ValueError("given graph and blocks; remove one of the two")
        row = {} if given.get("graph") or given.get("blocks") else GEOMETRIES["cifar"]
        given = {**given, **row}
        try:
            cuts = find_cuts(_lines(given))
        except ValidationError:
            return given  # the validation of the fields reports the error
        return {**given, **_completed(cuts, given)}

    @model_validator(mode="after")
    def _known_modules_and_widths(self) -> Self:
        usual = _usual(self.cuts)
        _check_names("modules", self.modules, usual["modules"], "removable module")
        _check_names("widths", self.widths, usual["widths"], "width")
        for name, module in self.modules.items():
            _check_names(f"modules.{name}.widths", module.widths, usual["modules"][name]["widths"], "width")
        check_widths(self.chosen_widths)
        return self

    @property
    def cuts(self) -> Cuts:
        """What may be removed and resized."""
        return find_cuts(self.graph or block_lines(self.blocks))

    @property
    def removed(self) -> frozenset[str]:
        """The names of the removed modules."""
        return frozenset(unit.name for unit in self.cuts.units if not self.modules[unit.key].keep)

    @property
    def chosen_widths(self) -> dict[WidthGroup, int]:
        return {group: self._widths_of(group)[group.key] for group in self.cuts.groups}

    @property
    def chosen_graph(self) -> Graph:
        """The graph without the removed modules, with the chosen widths."""
        return self.cuts.apply(self.removed, self.chosen_widths)

    def _widths_of(self, group: WidthGroup) -> dict[str, int]:
        return self.widths if group.unit is None else self.modules[group.unit.key].widths

    def __hash__(self) -> int:
        return hash((self.graph, self.blocks, self.gate, repr(self.modules), repr(self.widths)))


def plan(design: Traced, classes: int, in_shape: Shape) -> Plan:
    """Turn ``design`` into a plan. Raises ``PlanError`` if the images do not fit."""
    return lower(design.chosen_graph, classes, in_shape, spiking_gates=design.gate == "spikes")


def modules(design: Traced) -> tuple[ModuleView, ...]:
    """The cells of the module strip: removable modules, and the modules between them that have convolutions."""
    resized = {name for group, width in design.chosen_widths.items() if width != group.width for name in group.members}
    chosen = design.cuts.apply((), design.chosen_widths).by_name

    def view(name: str) -> ModuleView:
        if name in design.removed:
            return removed_view(name)
        convs = [node for node in chosen.values() if isinstance(node, Convolution) and belongs(node.name, name)]
        if design.cuts.graph.classifier in convs:
            return kept_view(name, "classes", default=True)
        widths = " / ".join(str(conv.channels) for conv in convs[:3]) + (" / ..." if len(convs) > 3 else "")
        return kept_view(name, widths, default=resized.isdisjoint(conv.name for conv in convs))

    return tuple(view(name) for name in design.cuts.cells)


def _lines(given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the text form of the graph in the values of a design. Raises ValidationError, GraphError."""
    if given.get("graph"):
        return TypeAdapter(tuple[str, ...]).validate_python(given["graph"])
    return block_lines(_BLOCKS.validate_python(given["blocks"]))


_BLOCKS: TypeAdapter[tuple[AnyBlock, ...]] = TypeAdapter(tuple[AnyBlock, ...])


def _usual(cuts: Cuts) -> dict[str, Any]:
    """Return ``modules`` and ``widths`` with everything as in the graph."""
    own: dict[str, dict[str, Any]] = {unit.key: {"keep": True, "widths": {}} for unit in cuts.units}
    usual: dict[str, Any] = {"modules": own, "widths": {}}
    for group in cuts.groups:
        place = usual["widths"] if group.unit is None else own[group.unit.key]["widths"]
        place[group.key] = group.width
    return usual


def _completed(cuts: Cuts, given: Mapping[str, Any]) -> dict[str, Any]:
    return merged(_usual(cuts), {key: given[key] for key in ("modules", "widths") if key in given})


def _check_names(where: str, given: Mapping[str, object], usual: Mapping[str, object], what: str) -> None:
    """Raise ValueError if a name is not in ``usual``."""
    for name in given:
        if name not in usual:
            names = ", ".join(list(usual)[:12]) + (" ..." if len(usual) > 12 else "") or "none"
            raise ValueError(f"{where}: no {what} is called {name}; allowed are {names}{did_you_mean(name, usual)}")
