"""Read the tree of a space: split it into fixed leaves and dials, and fill in the defaults of the schema."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from search.errors import MAX_PROBLEMS, Keys, format_value, listed
from search.space.dials import FAMILY, Dial, Needs
from search.space.document import Tree
from search.space.loading.dial_reader import read_dial
from search.space.loading.problems import Problems, as_strict
from search.space.loading.schema import (
    Model,
    entry_type,
    fields,
    is_open_mapping,
    kinds,
    submodel,
    takes_list,
    unknown_key,
)
from search.space.template import OPEN_SECTIONS, SECTIONS, Template
from snnkit.data.choice import DESCRIPTION
from snnkit.families import FAMILIES, AnyFamily

CLOSED_LEAVES = (  # (section, key at any depth): a space has one geometry, one task, and rungs that all trials share
    ("train", "rungs"),
    ("network", "geometry"),
    ("encoding", "kind"),
    ("data", "name"),
    ("data", "classes"),
    *(("data", leaf) for leaf in DESCRIPTION),
)


def read_template(models: Mapping[str, Model], problems: Problems) -> Template | None:
    """Return the document's fixed leaves and dials, with the defaults of the schema.

    Return None if a section is invalid, or its type is unknown, for then it has no defaults.
    """
    reader = _TreeReader(models, problems)
    tree = problems.document.tree
    fixed = {section: reader.read_section(section, tree.get(section, {})) for section in SECTIONS}
    if not set(SECTIONS) <= set(models):
        return None
    template, valid = Template(models, fixed, tuple(reader.dials)), True
    for section in SECTIONS:
        try:
            template = template.with_defaults(section)
        except ValidationError as error:
            problems.add_validation(error, models[section], (section,), models)
            valid = False
    return template.without_removed() if valid else None


class _TreeReader:
    def __init__(self, models: Mapping[str, Model], problems: Problems) -> None:
        self._models = models
        self._problems = problems
        self._limit = len(problems.found) + MAX_PROBLEMS
        self.dials: list[Dial] = []

    def read_section(self, section: str, tree: Tree) -> Any:
        """Return the fixed leaves of a section; collect its dials and problems."""
        if isinstance(tree, dict) and section in self._models:
            return self._read(self._models[section], tree, (section,), ())
        return as_strict(tree)

    def _read(self, model: Model, tree: dict[str, Tree], keys: tuple[str, ...], needs: Needs) -> dict[str, Any]:
        fixed: dict[str, Any] = {}
        allowed = fields(model)
        self._check_keys(tree, model, allowed, keys)
        for key, info in allowed.items():
            if key not in tree:
                continue
            at = (*keys, key)
            family = ((FAMILY, key),) if model is AnyFamily and submodel(info.annotation) is not None else ()
            self._read_field(fixed, tree[key], info.annotation, at, (*needs, *family))
            if key == "keep" and key not in fixed:
                needs = (*needs, (".".join(at), True))
        return fixed

    def _read_field(
        self, fixed: dict[str, Any], value: Tree, annotation: Any, keys: tuple[str, ...], needs: Needs
    ) -> None:
        """Add the value at ``keys`` to the ``fixed`` leaves around it, or to the dials."""
        inner, key = submodel(annotation), keys[-1]
        if isinstance(value, dict) and inner is not None:
            fixed[key] = self._read(inner, value, keys, needs)
        elif isinstance(value, dict) and is_open_mapping(annotation) and keys[0] in OPEN_SECTIONS:
            entries: dict[str, Any] = {}
            for name, entry in value.items():
                self._read_field(entries, entry, entry_type(annotation), (*keys, name), needs)
            fixed[key] = entries
        elif isinstance(value, dict) and not is_open_mapping(annotation):
            self._add_dial(keys, value, annotation, needs)
        elif isinstance(value, list) and inner is None and not takes_list(annotation):
            self._add_list(keys, value)
        else:
            fixed[key] = as_strict(value)

    def _check_keys(self, tree: dict[str, Tree], model: Model, allowed: Mapping[str, Any], keys: Keys) -> None:
        chosen = _family_choices(tree.get("family")) if model is AnyFamily else ()
        for key in tree:
            if len(self._problems.found) >= self._limit:
                return
            if key not in allowed:
                self._problems.add((*keys, key), self._unknown(key, model))
            elif chosen and key not in ("family", *chosen):
                text = f"{FAMILY} does not choose {key}; add it to the choices, or remove this"
                self._problems.add((*keys, key), text)

    def _unknown(self, key: str, model: Model) -> str:
        owner = next((name for name, family in FAMILIES.items() if key in fields(family.design)), None)
        if model is AnyFamily and owner:
            return f"stands under a family where {FAMILY} is a dial; write {owner}: {{{key}: ...}}"
        return unknown_key(key, model, self._models)

    def _add_list(self, keys: tuple[str, ...], values: list[Tree]) -> None:
        """Add the problem of a list at a leaf that takes one value: most often, choices of a dial are meant."""
        choices = f", or {{choices: {format_value(values)}}} to let the search choose" if _may_be_dial(keys) else ""
        self._problems.add(keys, f"given {format_value(values)}; write one value{choices}")

    def _add_dial(self, keys: tuple[str, ...], tree: dict[str, Tree], annotation: Any, needs: Needs) -> None:
        if not _may_be_dial(keys):
            where = f" in {keys[0]}; dials stand in {listed(OPEN_SECTIONS)}" if keys[0] not in OPEN_SECTIONS else ""
            self._problems.add(keys, f"given {format_value(tree)}, but this cannot be a dial{where}; write one value")
            return
        try:
            real, lists = _is_float(annotation), takes_list(annotation)
            self.dials.append(read_dial(".".join(keys), tree, real=real, lists=lists, needs=needs))
        except ValueError as error:
            self._problems.add(keys, str(error))


def _may_be_dial(keys: tuple[str, ...]) -> bool:
    return keys[0] in OPEN_SECTIONS and (keys[0], keys[-1]) not in CLOSED_LEAVES


def _is_float(annotation: Any) -> bool:
    """Return whether a leaf takes any number. A range with whole bounds is then still a range of floats."""
    members = kinds(annotation)
    return float in members and int not in members


def _family_choices(tree: Tree) -> tuple[Tree, ...]:
    given = tree.get("choices") if isinstance(tree, dict) else None
    return tuple(given) if isinstance(given, list) else ()
