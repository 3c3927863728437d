"""Read pydantic models as a schema: which paths a file may hold, and what kind of value each of them takes."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from search.errors import Keys, listed, nearest

Model = type[BaseModel]


def submodel(annotation: Any) -> Model | None:
    """Return the model that a field holds (``Model`` or ``Model | None``), or None for a leaf."""
    models = [kind for kind in kinds(annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if len(models) == 1 else None


def is_open_mapping(annotation: Any) -> bool:
    """Return whether a leaf holds a mapping with free keys, as ``objectives`` does."""
    return any(get_origin(kind) in (dict, Mapping) for kind in kinds(annotation))


def entry_type(annotation: Any) -> Any:
    """Return the type of the values of a mapping with free keys; None for other annotations."""
    return next((get_args(kind)[1] for kind in kinds(annotation) if get_origin(kind) in (dict, Mapping)), None)


def takes_list(annotation: Any) -> bool:
    """Return whether a leaf may hold a list."""
    return any(get_origin(kind) in (tuple, list) for kind in kinds(annotation))


def literal_words(annotation: Any) -> tuple[Any, ...]:
    """Return the words that a ``Literal`` allows; empty for other annotations."""
    return next((get_args(kind) for kind in kinds(annotation) if get_origin(kind) is Literal), ())


def kinds(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the annotation itself, without ``Annotated``."""
    if hasattr(annotation, "__metadata__"):
        return kinds(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(kind for member in get_args(annotation) for kind in kinds(member))
    return (annotation,)


def fields(model: Model) -> dict[str, FieldInfo]:
    """Return fields in canonical order: ``keep`` first, so that a sampler decides it before the rest of a module."""
    return dict(sorted(model.model_fields.items(), key=lambda item: item[0] != "keep"))


def leaf_paths(models: Mapping[str, Model]) -> Iterator[str]:
    """Yield every leaf that a file can name, section by section."""

    def walk(model: Model, prefix: str) -> Iterator[str]:
        for name, info in fields(model).items():
            inner = submodel(info.annotation)
            if inner is None:
                yield f"{prefix}.{name}"
            else:
                yield from walk(inner, f"{prefix}.{name}")

    for section, model in models.items():
        yield from walk(model, section)


def is_known(keys: Keys, models: Mapping[str, Model]) -> bool:
    """Return whether ``keys`` names a section, a module or a leaf."""
    model: Model | None = models.get(str(keys[0]))
    if model is None:
        return False
    rest = list(keys[1:])
    while rest and model is not None:
        info = fields(model).get(str(rest.pop(0)))
        if info is None:
            return False
        if is_open_mapping(info.annotation):
            model = submodel(entry_type(info.annotation))
            if model is None:
                return True
            del rest[:1]  # a free key
        else:
            model = submodel(info.annotation)
    return not rest


def unknown_key(key: str, model: Model, models: Mapping[str, Model]) -> str:
    """Return the message for an unknown key: the allowed keys, and the nearest one here or in another section."""
    allowed = list(fields(model))
    elsewhere = [path for path in leaf_paths(models) if path.endswith(f".{key}") and path.count(".") == 1]
    hint = nearest(key, allowed) or (f"; did you mean {elsewhere[0]}?" if elsewhere else "")
    return f"unknown key; allowed are {listed(allowed, 24)}{hint}"
