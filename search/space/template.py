"""Fill in the dials of a space: fixed leaves and values of dials make a candidate."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ValidationError

from reports.records.study import Leaf
from search.space.candidate import Candidate
from search.space.dials import FAMILY, Choices, Dial
from search.space.document import Tree, with_value
from snnkit.families import AnyFamily

OPEN_SECTIONS = ("network", "neuron", "encoding", "train", "data")  # whose leaves may be dials
SECTIONS = (*OPEN_SECTIONS, "energy")
Params = Mapping[str, Leaf]


@dataclass(frozen=True)
class Template:
    """The tree of a space. ``dials`` are in canonical order: a module's ``keep`` before the module's other dials."""

    models: Mapping[str, type[BaseModel]]  # section -> its type
    fixed: Mapping[str, Tree]  # section -> its leaves that are no dials
    dials: tuple[Dial, ...]
    closed: Mapping[str, BaseModel] = field(default_factory=dict)  # sections without a dial, built once

    def build(self, params: Params) -> Candidate:
        """Return the candidate with these values of dials; other leaves have their defaults.

        Raises ValidationError if the rules of a section refuse the values.
        """
        sections = {name: self.closed[name] if name in self.closed else self.section(name, params) for name in SECTIONS}
        network = sections["network"]
        return Candidate(**sections | {"network": network.chosen if isinstance(network, AnyFamily) else network})

    def section(self, name: str, params: Params) -> BaseModel:
        """Return one section of `build`."""
        tree = self.fixed[name]
        for path, value in params.items():
            first, *rest = path.split(".")
            if first == name:
                leaf = self._lists[path].leaf(value) if path in self._lists else value
                tree = with_value(tree if isinstance(tree, dict) else {}, tuple(rest), leaf)
        return self.models[name].model_validate(tree, strict=True)

    @cached_property
    def _lists(self) -> Mapping[str, Choices]:
        """The choices between lists, by the path of their dial."""
        choices = ((dial.path, dial.values) for dial in self.dials if isinstance(dial.values, Choices))
        return {path: values for path, values in choices if values.lists}

    def anchors(self) -> dict[str, Leaf]:
        """Return every dial at its default, or else its first value."""
        return {dial.path: dial.anchor for dial in self.dials}

    def base(self, name: str) -> BaseModel:
        """Return a section with every dial at its anchor."""
        return self.closed[name] if name in self.closed else self.section(name, self.anchors())

    def with_defaults(self, section: str) -> "Template":
        """Return the template with the schema's defaults for the dials of ``section``, which is built once.

        A dial stays without a default if its values do not include the schema's. Raises ValidationError.
        """
        dials = [dial for dial in self.dials if dial.path.startswith(f"{section}.")]
        given = {dial.path: dial.default for dial in dials if dial.default is not None}
        required: dict[str, Leaf] = {}  # dials of leaves that have no default
        try:
            schema = self.section(section, given)
        except ValidationError as error:
            missing = {".".join((section, *map(str, e["loc"]))) for e in error.errors() if e["type"] == "missing"}
            required = {dial.path: dial.values.first for dial in dials if dial.path in missing}
            if not required:
                raise
            schema = self.section(section, given | required)
        filled = {dial.path: _with_default(dial, schema) for dial in dials if dial.path not in required}
        template = replace(self, dials=tuple(filled.get(dial.path, dial) for dial in self.dials))
        return replace(template, closed={**self.closed, section: template.base(section)})

    def without_removed(self) -> "Template":
        """Return the template without the dials of modules that are always removed: these never count."""
        paths = {dial.path for dial in self.dials}
        dials = tuple(dial for dial in self.dials if not _in_removed_module(dial, self.closed, paths))
        turned = {dial.path.split(".")[0] for dial in dials}
        return replace(self, dials=dials, closed={n: model for n, model in self.closed.items() if n not in turned})

    def dump(self) -> dict[str, Any]:
        """Return all sections at their anchors as plain values; of several families, those that may be chosen."""
        sections = {name: self.base(name).model_dump(mode="json") for name in SECTIONS}
        for dial in self.dials:
            if dial.path == FAMILY:
                chosen = ("family", *map(str, dial.values.ends))
                sections["network"] = {key: sections["network"][key] for key in chosen}
        return sections


def value_at(section: BaseModel, path: str) -> Any:
    """Return the value at a dotted path, whose first word is the name of ``section``."""
    value: Any = section
    for key in path.split(".")[1:]:
        value = value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)
    return value


def _with_default(dial: Dial, schema: BaseModel) -> Dial:
    if dial.default is not None:
        return dial
    try:
        return replace(dial, default=dial.canonical(value_at(schema, dial.path)))
    except ValueError:
        return dial


def _in_removed_module(dial: Dial, built: Mapping[str, BaseModel], dials: set[str]) -> bool:
    words = dial.path.split(".")
    keeps = (".".join([*words[:end], "keep"]) for end in range(2, len(words)))
    section = built.get(words[0])
    return section is not None and any(keep not in dials and value_at(section, keep) is False for keep in keeps)
