"""Plans and module strips of every family, on designs drawn from its schema; new families are included."""

import re
from typing import Any, Literal, get_args, get_origin

import pytest
from helpers.designs import (
    CLASSES,
    IMAGE,
    belongs,
    built,
    changed,
    costs,
    default,
    examples,
    leaves,
    modules,
    narrow,
    networks,
    planned,
    variants,
    without,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from snnkit.architecture.plan import (
    Concat,
    Conv,
    Gate,
    GlobalAverage,
    Op,
    Plan,
    PlanError,
    Pool,
    Shape,
    Shuffle,
    Slice,
    Sum,
    sources,
)
from snnkit.base.config import Config
from snnkit.energy.operations import twin_counts
from snnkit.families import FAMILIES

MODULES = [(family, module) for family in FAMILIES for module in modules(family)]
every_family = pytest.mark.parametrize("family", FAMILIES)


def written(plan: Plan) -> dict[str, Shape]:
    """Output shapes by name; the final mean has one value per class."""
    shapes = {"input": plan.in_shape}
    for op in plan.ops:
        match op:
            case GlobalAverage():
                shapes[op.name] = (op.in_shape[0], 1, 1)
            case _:
                shapes[op.name] = op.shape if hasattr(op, "shape") else op.out_shape
    return shapes


def strip(family: str, design: Config) -> dict[str, str]:
    return {cell.name: cell.state for cell in FAMILIES[family].modules(design)}


# Plans: a valid design builds, or the error says why not.


@every_family
@examples(30)
@given(data=st.data())
def test_valid_design_builds_or_is_refused_by_name(family: str, data: st.DataObject) -> None:
    said = data.draw(networks(family) | variants(family))
    try:
        design = FAMILIES[family].design.model_validate(said)
    except ValidationError:
        return
    if text := refusal(family, design, IMAGE):
        assert any(belongs(text.split(": ")[0], cell) for cell in [*strip(family, design), "last", "mean"]), text
    else:
        assert planned(family, design).params > 0


@every_family
@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 1, 1), (3, 33, 17), (3, 7, 64)], ids=str)
def test_image_of_any_shape_builds_or_is_refused(family: str, shape: Shape) -> None:
    if not refusal(family, default(family), shape):
        assert FAMILIES[family].plan(default(family), CLASSES, shape).in_shape == shape


def refusal(family: str, design: Config, shape: Shape) -> str:
    """Place, reason and remedy of the error; empty if there is none."""
    try:
        FAMILIES[family].plan(design, CLASSES, shape)
    except PlanError as error:
        found = str(error)
    else:
        return ""
    assert re.fullmatch(r"[\w.]+: .+; .+", found), found
    return found


@every_family
def test_all_removed_leaves_a_plan(family: str) -> None:
    design = narrow(family)
    for module in modules(family):
        design = without(design, module)
    plan = planned(family, design)
    assert not [op for op in plan.ops for module in modules(family) if belongs(op.name, module) and costs(op)]


@every_family
@examples(25)
@given(data=st.data())
def test_every_operation_reads_what_an_earlier_one_wrote(family: str, data: st.DataObject) -> None:
    _, plan = data.draw(built(family))
    shapes, before = written(plan), {"input"}
    for op in plan.ops:
        assert before.issuperset(sources(op)), op
        assert op.name not in before
        assert fits(op, [shapes[source] for source in sources(op)], shapes[op.name]), op
        before.add(op.name)
    assert isinstance(plan.ops[-1], GlobalAverage)
    read = {source for op in plan.ops for source in sources(op)}
    assert before - read == {plan.ops[-1].name}  # every result is read


def fits(op: Op, reads: list[Shape], out: Shape) -> bool:
    first = reads[0]
    match op:
        case Conv():
            return first == op.in_shape and first[0] % op.groups == out[0] % op.groups == 0
        case Pool():
            return first == op.in_shape and first[0] == out[0]
        case Slice():
            return 0 <= op.start < op.stop <= first[0] and out == (op.stop - op.start, *first[1:])
        case Concat():
            return out == (sum(shape[0] for shape in reads), *first[1:]) and {s[1:] for s in reads} == {first[1:]}
        case Shuffle():
            return out == first and first[0] % op.groups == 0
        case Sum():
            return set(reads) == {out} and len(reads) > 1
        case Gate():
            return reads == [out, (out[0], 1, 1)]
        case GlobalAverage():
            return first == op.in_shape
        case _:
            return out == first


@every_family
@examples(25)
@given(data=st.data())
def test_design_survives_serialisation(family: str, data: st.DataObject) -> None:
    design, plan = data.draw(built(family))
    again = FAMILIES[family].design.model_validate(design.model_dump(mode="json"))
    assert again == design
    assert type(design).model_validate_json(design.model_dump_json()) == design
    assert planned(family, again) == plan


@every_family
def test_geometry_alone_gives_the_default_design(family: str) -> None:
    for geometry in FAMILIES[family].design.GEOMETRIES:
        design = default(family, geometry)
        plan = FAMILIES[family].plan(design, 1000, (3, 224, 224))
        assert (plan.classes, design.geometry, design.family) == (1000, geometry, family)  # type: ignore[attr-defined]
    assert default(family) == default(family, next(iter(FAMILIES[family].design.GEOMETRIES)))


# Removal: a removed module has no operation, no parameter and no cost.


@pytest.mark.parametrize(("family", "module"), MODULES)
def test_removed_module_costs_nothing(family: str, module: str) -> None:
    full = planned(family, narrow(family))
    less = planned(family, without(narrow(family), module))
    own = [conv for conv in full.convs if belongs(conv.name, module)]
    assert sum(conv.params for conv in own) > 0
    assert not [op.name for op in less.ops if costs(op) and belongs(op.name, module)]
    assert [conv.name for conv in less.convs] == [conv.name for conv in full.convs if conv not in own]
    assert not [layer.name for layer in twin_counts(less).layers if belongs(layer.name, module)]
    if keeps_the_shape(full, module):  # otherwise its neighbours change too
        assert less.params == full.params - sum(conv.params for conv in own)
        assert less.dense_macs == full.dense_macs - sum(conv.dense_macs for conv in own)


def keeps_the_shape(plan: Plan, module: str) -> bool:
    shapes, own = written(plan), [op for op in plan.ops if belongs(op.name, module) and not isinstance(op, Pool)]
    return shapes[sources(own[0])[0]] == shapes[own[-1].name]


@every_family
def test_some_module_can_go_alone(family: str) -> None:
    """Otherwise the test above would be vacuous."""
    plan = planned(family, narrow(family))
    assert any(keeps_the_shape(plan, module) for module in modules(family))


# The module strip: every cell is correct.


@pytest.mark.parametrize(("family", "module"), MODULES)
def test_removing_a_module_changes_only_its_cells(family: str, module: str) -> None:
    whole, flipped = strip(family, default(family)), strip(family, without(default(family), module))
    assert set(whole.values()) == {"kept"}
    assert flipped == {cell: "removed" if belongs(cell, module) else "kept" for cell in whole}
    assert "removed" in flipped.values()


NOWHERE = {"family", "geometry", "keep"}  # other tests cover these keys
NO_SIZE = {"dropout", "activation", "relu"}
OF_THE_FIRST = {"stride"}  # only the first block of a stage has one


@every_family
def test_resizing_changes_only_the_cells_of_that_size(family: str) -> None:
    usual = default(family)
    plan, cells = planned(family, usual, 64), list(strip(family, usual))
    for path, field, value in leaves(usual):
        if path[-1] in NOWHERE or value is None:  # a ratio in place of a width; test_squeezenet covers it
            continue
        if "widths" in path or path[-1] in ("graph", "blocks"):  # test_traced covers these
            continue
        design = changed(usual, path, other(field, value))
        where, module = ".".join(path), ".".join(path[:-1])
        own = [cell for cell in cells if belongs(cell, module) or belongs(where, cell)]
        own = own[:1] if path[-1] in OF_THE_FIRST else own
        if path[-1] in NO_SIZE or planned(family, design, 64) == plan:  # for example the groups of an expansion by 1
            own = []
        assert strip(family, design) == {cell: "resized" if cell in own else "kept" for cell in cells}, path


def other(field: FieldInfo, value: Any) -> Any:
    """Another allowed value of the field."""
    if get_origin(field.annotation) is Literal:
        return next(word for word in get_args(field.annotation) if word != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return value[1:]
    return 0.5 - value / 2 if isinstance(value, float) else value + 2 if value > 1 else value + 1


@every_family
def test_strip_follows_the_geometry(family: str) -> None:
    for geometry in FAMILIES[family].design.GEOMETRIES:
        assert set(strip(family, default(family, geometry)).values()) == {"kept"}
