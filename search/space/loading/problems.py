"""Collect everything that is wrong with a file, so that one attempt to load it reports all mistakes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from search.errors import MAX_PROBLEMS, Keys, Place, Problem, dotted, format_value, listed, nearest
from search.space.document import Document, Tree
from search.space.loading.schema import Model, fields, is_open_mapping, kinds, literal_words, submodel, unknown_key
from search.space.yaml_text import number_with_comma

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
Entry = TypeVar("Entry")
Checked = TypeVar("Checked", bound=BaseModel)


@dataclass(frozen=True)
class Problems:
    """The problems found so far in ``document``, which gives each of them its line."""

    document: Document
    found: list[Problem] = field(default_factory=list)

    def add(self, keys: Keys, text: str) -> None:
        """Add a problem of the value at ``keys``."""
        self.add_at(self.document.place(keys), dotted(keys), text)

    def add_at(self, place: Place, path: str, text: str) -> None:
        self.found.append(Problem(place, path, text))

    def look_up(self, registry: Mapping[str, Entry], given: object, keys: Keys) -> Entry | None:
        """Return the family or data set that ``given`` names, or None and a problem at ``keys``, unless it has one."""
        if isinstance(given, str) and given in registry:
            return registry[given]
        if dotted(keys) in (problem.path for problem in self.found):
            return None
        if given is None:
            text = f"is missing; write {keys[-1]}: {next(iter(registry))}; allowed are {listed(registry)}"
        else:
            text = f"given {format_value(given)}; allowed are {listed(registry)}{nearest(str(given), registry)}"
        self.add(keys, text)
        return None

    def validate(self, model: type[Checked], tree: Tree, models: Mapping[str, Model]) -> Checked | None:
        """Return ``tree`` as a ``model`` of the whole document, or None and pydantic's errors as problems."""
        try:
            return model.model_validate(as_strict(tree), strict=True)
        except ValidationError as error:
            self.add_validation(error, model, (), models)
            return None

    def add_validation(self, error: ValidationError, model: Model, keys: Keys, models: Mapping[str, Model]) -> None:
        """Add pydantic's errors about the ``model`` at ``keys``, one for each place.

        An error that an earlier problem may have caused is left out: fixing that one may resolve it.
        """
        causes = [problem.path for problem in self.found]
        for at, text in explain(error, model, models):
            keys_of_value = (*keys, *at)
            if not self._follows(keys_of_value, causes):
                self.add(keys_of_value, text)

    def _follows(self, keys: Keys, causes: list[str]) -> bool:
        """Return whether one of ``causes`` is at, in or around the value at ``keys``; if nothing is written there, also
        whether one is beside it, for the missing key may have been misspelt."""
        path, parent = dotted(keys), dotted(keys[:-1])
        if any(f"{cause}.".startswith(f"{path}.") or f"{path}.".startswith(f"{cause}.") for cause in causes if cause):
            return True
        return keys not in self.document.places and any(cause.rpartition(".")[0] == parent for cause in causes)


def as_strict(value: Tree) -> Any:
    """Return a written value as strict models take it, with tuples instead of lists."""
    if isinstance(value, list):
        return tuple(as_strict(item) for item in value)
    if isinstance(value, dict):
        return {key: as_strict(item) for key, item in value.items()}
    return value


def explain(error: ValidationError, model: Model, models: Mapping[str, Model]) -> list[tuple[Keys, str]]:
    """Return where in ``model`` pydantic found an error and our words for it, one entry for each place."""
    texts: dict[Keys, str] = {}
    for details in error.errors(include_url=False):
        at, owner, info = _locate(details["loc"], model)
        if len(texts) == MAX_PROBLEMS:
            break
        if at not in texts:  # else from another branch of a union
            extra = details["type"] == "extra_forbidden"
            texts[at] = unknown_key(str(at[-1]), owner, models) if extra else _explanation(details, owner, info)
    return list(texts.items())


def _locate(loc: Keys, model: Model) -> tuple[Keys, Model, FieldInfo | None]:
    """Strip pydantic's own parts (branches of a union, "[key]") from ``loc``; return the rest, its model and field."""
    owner = model
    inner: Model | None = model
    info: FieldInfo | None = None
    at: list[str | int] = []
    for part in loc:
        if inner is not None:
            owner = inner
            info = inner.model_fields.get(str(part))
            at.append(part)
            if info is None:
                break
            inner = submodel(info.annotation)
        elif info is not None and isinstance(part, int):
            at.append(part)
            inner = submodel(next(iter(get_args(info.annotation)), None))
        elif info is not None and part in (variants := _variants(info.annotation)):  # pydantic names the branch taken
            inner = variants[part]
        elif info is not None and is_open_mapping(info.annotation) and part != "[key]":
            at.append(part)
        else:
            break
    return tuple(at), owner, info


def _variants(annotation: Any) -> dict[str | int, Model]:
    """Return the models in a list of several kinds of entries, by the word that tells them apart."""
    entries = kinds(next(iter(get_args(annotation)), None))
    models = [entry for entry in entries if submodel(entry) is not None and "kind" in entry.model_fields]
    return {word: model for model in models for word in literal_words(model.model_fields["kind"].annotation)}


def _explanation(details: ErrorDetails, owner: Model, info: FieldInfo | None) -> str:
    """Say what was given, what is allowed and what to type."""
    kind, context, given = details["type"], details.get("ctx", {}), details["input"]
    if kind == "missing":
        return f"is missing; write {_example(info)}"
    if kind == "value_error":
        return str(context.get("error", details["msg"]))
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        text = f"given {format_value(given)}; allowed are {listed(allowed) or context['expected']}"
        return text + (nearest(given, allowed) if isinstance(given, str) else "")
    if isinstance(given, str) and (number := number_with_comma(given)):
        return f"given {given}; write {number}"
    if kind in _BOUNDS:
        bound = next(value for key, value in context.items() if key in ("ge", "gt", "le", "lt"))
        return f"given {format_value(given)}; write a number {_BOUNDS[kind]} {bound}"
    if kind.startswith("model_"):
        inner = (submodel(info.annotation) if info else None) or owner
        return f"given {format_value(given)}; write a mapping with {listed(fields(inner))}"
    if kind in _TYPES:
        return f"given {format_value(given)}; write {_TYPES[kind]}"
    example = f"; write {info.examples[0]}" if info and info.examples else ""
    return f"given {format_value(given)}; {details['msg'][:1].lower()}{details['msg'][1:]}{example}"


def _example(info: FieldInfo | None) -> str:
    if info is None:
        return "it"
    if info.examples:
        return str(info.examples[0])
    inner = submodel(info.annotation)
    if inner is not None:
        return f"a mapping with {listed(fields(inner))}"
    if words := literal_words(info.annotation):
        return f"one of {listed(words)}"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return next((names[kind] for kind in kinds(info.annotation) if kind in names), "a value")
