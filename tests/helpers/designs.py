"""Designs of any family, drawn from its schema alone: a family needs no line here to be tested."""

from collections.abc import Iterator
from dataclasses import asdict
from math import inf
from typing import Any, Literal, get_args, get_origin

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from snnkit.architecture.plan import Conv, Neurons, Op, Plan, PlanError, Sum
from snnkit.base.config import Config
from snnkit.families import FAMILIES

IMAGE = (3, 16, 16)
CLASSES = 5


def networks(family: str) -> st.SearchStrategy[dict[str, Any]]:
    """Any ``network`` section of a space, with each leaf within its bounds."""
    return _mappings(FAMILIES[family].design)


@st.composite
def variants(draw: st.DrawFn, family: str) -> dict[str, Any]:
    """The narrow default network with some modules removed and some values changed. Most of these designs build."""
    design = narrow(family)
    tree = design.model_dump()
    fields = {path: field for path, field, _ in leaves(design)}
    removed = draw(st.sets(st.sampled_from([path for path in fields if path[-1] == "keep"])))
    others = draw(st.lists(st.sampled_from([path for path in fields if path[-1] != "keep"]), max_size=8, unique=True))
    for path in removed:
        _at(tree, path)[path[-1]] = False
    for path in others:
        _at(tree, path)[path[-1]] = draw(values(fields[path]))
    return tree


def examples(number: int) -> settings:
    """Settings with the same examples in every run. Failures are not shrunk; they are close to the default network."""
    return settings(
        max_examples=number, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )  # fmt: skip


def planned(family: str, design: Config, size: int = IMAGE[1]) -> Plan:
    return FAMILIES[family].plan(design, CLASSES, (3, size, size))


def built(family: str) -> st.SearchStrategy[tuple[Config, Plan]]:
    """Variants that fit an ``IMAGE``, with their plans."""
    return variants(family).map(lambda given: _build(family, given)).filter(lambda pair: pair is not None)


def _build(family: str, given: dict[str, Any]) -> tuple[Config, Plan] | None:
    try:
        design = FAMILIES[family].design.model_validate(given)
        return design, planned(family, design)
    except (ValidationError, PlanError):
        return None


def _at(tree: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The mapping that holds the leaf at ``path``."""
    for name in path[:-1]:
        tree = tree[name]
    return tree


def default(family: str, geometry: str | None = None) -> Config:
    return FAMILIES[family].design.model_validate({"geometry": geometry} if geometry else {})


def narrow(family: str, **given: Any) -> Config:
    """The default design with all widths at most 8."""
    design = default(family)
    tree = design.model_dump()
    for path, field, value in leaves(design):
        if field.annotation is int:
            _at(tree, path)[path[-1]] = min(value, 8)
    return type(design).model_validate(tree | given)


def leaves(value: Config, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo, Any]]:
    """Path, field and value of every key of a network section."""
    for name, field in type(value).model_fields.items():
        below = getattr(value, name)
        if isinstance(below, Config):
            yield from leaves(below, (*path, name))
        elif isinstance(below, dict):
            entry = FieldInfo.from_annotation(get_args(field.annotation)[1])
            for key, held in below.items():
                if isinstance(held, Config):
                    yield from leaves(held, (*path, name, key))
                else:
                    yield (*path, name, key), entry, held
        else:
            yield (*path, name), field, below


def modules(family: str) -> list[str]:
    """Paths of the removable modules: "stage2", "stage2.block3"."""
    return [".".join(path[:-1]) for path, _, _ in leaves(default(family)) if path[-1] == "keep"]


def changed(design: Config, path: tuple[str, ...], value: Any) -> Config:
    """``design`` with another value at ``path``."""
    tree = design.model_dump()
    _at(tree, path)[path[-1]] = value
    return type(design).model_validate(tree)


def without(design: Config, module: str) -> Config:
    return changed(design, (*module.split("."), "keep"), False)


def costs(op: Op) -> bool:
    return isinstance(op, Conv | Sum | Neurons)


def belongs(name: str, module: str) -> bool:
    """Whether the operation or the strip cell ``name`` belongs to ``module``."""
    module = module.removeprefix("modules.")  # of a traced network
    return name == module or name.startswith(f"{module}.")


def values(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Plain values that a field allows; a few small ones for numbers."""
    annotation = field.annotation
    bounds = {name: bound for metadata in field.metadata for name, bound in asdict(metadata).items()}
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return _mappings(annotation)
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        numbers = range(bounds["ge"], bounds["le"] + 1, bounds.get("multiple_of", 1))
        return st.just(numbers[0]) | st.sampled_from(numbers[:8])
    if annotation is float:
        return st.sampled_from([number for number in (0.0, 0.3, 1.0) if _within(number, bounds)])
    if type(None) in get_args(annotation):  # a ratio in place of a width, which the designs drawn here give
        return st.none()
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if get_origin(annotation) is dict:  # free keys: nothing is changed
        return st.just({})
    if get_origin(annotation) is tuple and get_origin(get_args(annotation)[0]) is not Literal:
        return st.just(())  # the layers of a traced network: the default ones
    if get_origin(annotation) is tuple:
        return st.lists(st.sampled_from(get_args(get_args(annotation)[0])), max_size=4)
    raise NotImplementedError(f"no values for {annotation}; say here how to draw some")


def _mappings(model: type[Config]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: values(field) for name, field in model.model_fields.items()})


def _within(number: float, bounds: dict[str, float]) -> bool:
    return bounds.get("ge", -inf) <= number <= bounds.get("le", inf) and number < bounds.get("lt", inf)
