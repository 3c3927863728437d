"""The typed tree that a space is checked against: its paths, and pydantic's errors in this project's words."""

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from search.errors import MAX_PROBLEMS, Problem, listed, nearest
from search.space.dials import shown
from search.space.document import Document, Keys, Tree, dotted

Model = type[BaseModel]


def submodel(annotation: Any) -> Model | None:
    """The model that a field holds, ``Model`` or ``Model | None``; None for a leaf."""
    models = [kind for kind in _kinds(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if len(models) == 1 else None


def is_real(annotation: Any) -> bool:
    """Whether a leaf takes any number, so that a range with whole ends is a range of floats all the same."""
    kinds = _kinds(annotation)
    return float in kinds and int not in kinds


def is_open_mapping(annotation: Any) -> bool:
    """Whether a leaf holds a mapping with free keys, as objectives do."""
    return any(get_origin(kind) in (dict, Mapping) for kind in _kinds(annotation))


def fields(model: Model) -> dict[str, FieldInfo]:
    """Fields in canonical order: ``keep`` first, so that a sampler knows what is there before it is asked how wide."""
    return dict(sorted(model.model_fields.items(), key=lambda item: item[0] != "keep"))


def leaf_paths(models: Mapping[str, Model]) -> Iterator[str]:
    """Every leaf that a space can name, section by section."""

    def walk(model: Model, prefix: str) -> Iterator[str]:
        for name, field in fields(model).items():
            inner = submodel(field.annotation)
            if inner is None:
                yield f"{prefix}.{name}"
            else:
                yield from walk(inner, f"{prefix}.{name}")

    for section, model in models.items():
        yield from walk(model, section)


def known(models: Mapping[str, Model], keys: Keys) -> bool:
    """Whether ``keys`` names a section, a module or a leaf."""
    model: Model | None = models.get(str(keys[0]))
    if model is None:
        return False
    for at, key in enumerate(keys[1:], start=1):
        field = model.model_fields.get(str(key)) if model else None
        if field is None:
            return False
        if is_open_mapping(field.annotation):
            return True
        model = submodel(field.annotation)
        if model is None:
            return at == len(keys) - 1
    return True


def unknown_key(key: str, model: Model, models: Mapping[str, Model]) -> str:
    """What to say of a key that is not there: the nearest one here, or the section where that word belongs."""
    allowed = list(fields(model))
    elsewhere = [path for path in leaf_paths(models) if path.endswith(f".{key}") and path.count(".") == 1]
    hint = nearest(key, allowed) or (f"; did you mean {elsewhere[0]}?" if elsewhere else "")
    return f"unknown key; allowed are {listed(allowed, 24)}{hint}"


def problems(
    error: ValidationError, model: Model, keys: Keys, document: Document, models: Mapping[str, Model]
) -> Iterator[Problem]:
    """Pydantic's errors on the model at ``keys``: one problem a place, where it was written."""
    seen: set[Keys] = set()
    for details in error.errors(include_url=False):
        at, owner, field = _place(details["loc"], model)
        if at in seen:
            continue  # the other branches of a union
        if len(seen) == MAX_PROBLEMS:
            return
        seen.add(at)
        extra = details["type"] == "extra_forbidden"
        text = unknown_key(str(at[-1]), owner, models) if extra else explained(details, owner, field)
        yield Problem(document.place((*keys, *at)), dotted((*keys, *at)), text)


def said(error: ValidationError) -> str:
    """Pydantic's errors on one line, for values that stand together on no line of a file."""
    found = error.errors(include_url=False)
    return "; ".join(f"{dotted(e['loc'])} {e['msg']}".strip().removeprefix("Value error, ") for e in found)


def explained(details: ErrorDetails, owner: Model, field: FieldInfo | None) -> str:
    """What was given, what is allowed, what to type."""
    kind, context, given = details["type"], details.get("ctx", {}), details["input"]
    if kind == "missing":
        return f"is missing; write {_example(field)}"
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        text = f"given {shown(given)}; allowed are {listed(allowed) or context['expected']}"
        return text + (nearest(given, allowed) if isinstance(given, str) else "")
    if kind in _BOUNDS:
        bound = next(value for key, value in context.items() if key in ("ge", "gt", "le", "lt"))
        return f"given {shown(given)}; write a number {_BOUNDS[kind]} {bound}"
    if kind.startswith("model_"):
        inner = (submodel(field.annotation) if field else None) or owner
        return f"given {shown(given)}; write a mapping with {listed(fields(inner))}"
    if kind in _TYPES:
        return f"given {shown(given)}; write {_TYPES[kind]}"
    example = f"; write {field.examples[0]}" if field and field.examples else ""
    return f"given {shown(given)}; {details['msg'][:1].lower()}{details['msg'][1:]}{example}"


_BOUNDS = {
    "greater_than_equal": "not below",
    "greater_than": "above",
    "less_than_equal": "not above",
    "less_than": "below",
}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "dict_type": "a mapping, such as {key: value}",
    "finite_number": "a finite number",
    "none_required": "null",
}


def _example(field: FieldInfo | None) -> str:
    if field is None:
        return "it"
    if field.examples:
        return str(field.examples[0])
    inner = submodel(field.annotation)
    if inner is not None:
        return f"a mapping with {listed(fields(inner))}"
    words = get_args(_literal(field))
    if words:
        return f"one of {listed(words)}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return next((names[kind] for kind in _kinds(field.annotation) if kind in names), "a value")


def _place(loc: tuple[str | int, ...], model: Model) -> tuple[Keys, Model, FieldInfo | None]:
    """``loc`` without pydantic's own parts (branches of a union, "[key]"), the model that it ends in, its field."""
    owner = model
    inner: Model | None = model
    field: FieldInfo | None = None
    at: list[str | int] = []
    for part in loc:
        if inner is not None:
            owner = inner
            field = inner.model_fields.get(str(part))
            at.append(part)
            if field is None:
                break
            inner = submodel(field.annotation)
        elif field is not None and isinstance(part, int):
            at.append(part)
            inner = submodel(next(iter(get_args(field.annotation)), None))
        elif field is not None and is_open_mapping(field.annotation) and part != "[key]":
            at.append(part)
        else:
            break
    return tuple(at), owner, field


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, else the annotation itself; ``Annotated`` is looked through."""
    if hasattr(annotation, "__metadata__"):
        return _kinds(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(kind for member in get_args(annotation) for kind in _kinds(member))
    return (annotation,)


def _literal(field: FieldInfo | None) -> Any:
    kinds = _kinds(field.annotation) if field else ()
    return next((kind for kind in kinds if get_origin(kind) is Literal), None)


def as_fixed(value: Tree) -> Any:
    """A written value as strict models take it: lists are tuples."""
    if isinstance(value, list):
        return tuple(as_fixed(item) for item in value)
    if isinstance(value, dict):
        return {key: as_fixed(item) for key, item in value.items()}
    return value
