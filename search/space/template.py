"""The open tree: the leaves that are fixed, the dials, and how the two make a candidate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from reports.records.study import Leaf
from search.errors import MAX_PROBLEMS, Problem, listed
from search.space.candidate import Candidate
from search.space.dials import FAMILY, Dial, Needs, open_leaf, shown
from search.space.document import Document, Keys, Tree, dotted
from search.space.overrides import placed
from search.space.schema import Model, as_fixed, fields, is_open_mapping, is_real, problems, submodel, unknown_key
from snnkit.families import FAMILIES, AnyFamily

OPEN_SECTIONS = ("network", "neuron", "encoding", "train", "data")  # where a leaf may be a dial
# Of a section, at any depth: one geometry, one task, rungs at which all trials are compared
CLOSED_LEAVES = (
    ("train", "rungs"),
    ("network", "geometry"),
    ("encoding", "kind"),
    ("data", "name"),
    ("data", "classes"),
)
SECTIONS = (*OPEN_SECTIONS, "energy")
Params = Mapping[str, Leaf]


@dataclass(frozen=True)
class Template:
    """``dials`` stand in canonical order: a module's ``keep`` before what is in the module."""

    models: Mapping[str, Model]
    fixed: Mapping[str, Tree]  # section -> its closed leaves
    dials: tuple[Dial, ...]
    closed: Mapping[str, BaseModel] = field(default_factory=dict)  # sections without a dial, built once

    def build(self, params: Params) -> Candidate:
        """The candidate in which each dial named in ``params`` has that value, and each other leaf its default.

        Raises ValidationError where a section's own rules refuse the values.
        """
        sections = {name: self.closed[name] if name in self.closed else self.section(name, params) for name in SECTIONS}
        network = sections["network"]
        return Candidate(**sections | {"network": network.chosen if isinstance(network, AnyFamily) else network})

    def section(self, name: str, params: Params) -> BaseModel:
        """One section of `build`."""
        tree = self.fixed[name]
        for path, value in params.items():
            first, *rest = path.split(".")
            if first == name:
                tree = placed(tree if isinstance(tree, dict) else {}, tuple(rest), value)
        return self.models[name].model_validate(tree, strict=True)

    def anchors(self) -> dict[str, Leaf]:
        """Every dial at its default, or else its first value."""
        return {dial.path: dial.anchor for dial in self.dials}

    def base(self, name: str) -> BaseModel:
        """A section with every dial at its anchor."""
        return self.closed[name] if name in self.closed else self.section(name, self.anchors())

    def dump(self) -> dict[str, Any]:
        """All sections at their anchors as plain values; of several families those that may be chosen."""
        sections = {name: self.base(name).model_dump(mode="json") for name in SECTIONS}
        for dial in self.dials:
            if dial.path == FAMILY:
                chosen = ("family", *map(str, dial.values.ends))
                sections["network"] = {key: sections["network"][key] for key in chosen}
        return sections


def opened(document: Document, models: Mapping[str, Model]) -> tuple[Template, list[Problem]]:
    """The tree of ``document`` split into fixed leaves and dials. Defaults are not filled in yet: see `settled`."""
    opener = _Opener(document, models)
    fixed = {}
    for section in SECTIONS:
        tree = document.tree.get(section, {})
        walk = isinstance(tree, dict) and section in models
        fixed[section] = dict(opener.section(models[section], tree, (section,), ())) if walk else as_fixed(tree)
    return Template(models, fixed, tuple(opener.dials)), opener.problems


class _Opener:
    def __init__(self, document: Document, models: Mapping[str, Model]) -> None:
        self._document = document
        self._models = models
        self.dials: list[Dial] = []
        self.problems: list[Problem] = []

    def section(self, model: Model, tree: Tree, keys: Keys, needs: Needs) -> Iterator[tuple[str, Any]]:
        """The fixed leaves below ``keys``; dials and problems are put aside."""
        assert isinstance(tree, dict)
        allowed = fields(model)
        chosen = _choices(tree["family"]) if model is AnyFamily else ()
        for key in tree:
            if len(self.problems) >= MAX_PROBLEMS:
                break
            if key not in allowed:
                self._problem((*keys, key), self._unknown(key, model))
            elif chosen and key not in ("family", *chosen):
                self._problem((*keys, key), f"{FAMILY} does not choose {key}; add it to the choices, or remove this")
        for key, info in allowed.items():
            if key not in tree:
                continue
            value, inner, at = tree[key], submodel(info.annotation), (*keys, key)
            if isinstance(value, dict) and inner is not None:
                family = ((FAMILY, key),) if model is AnyFamily else ()
                yield key, dict(self.section(inner, value, at, (*needs, *family)))
            elif isinstance(value, dict) and not is_open_mapping(info.annotation):
                self._open(dotted(at), value, real=is_real(info.annotation), needs=needs, keys=at)
                if key == "keep":
                    needs = (*needs, (dotted(at), True))
            else:
                yield key, as_fixed(value)

    def _unknown(self, key: str, model: Model) -> str:
        owner = next((name for name, family in FAMILIES.items() if key in fields(family.design)), None)
        if model is AnyFamily and owner:
            return f"stands under a family where {FAMILY} is a dial; write {owner}: {{{key}: ...}}"
        return unknown_key(key, model, self._models)

    def _open(self, path: str, value: dict[str, Tree], *, real: bool, needs: Needs, keys: Keys) -> None:
        closed = (keys[0], keys[-1]) in CLOSED_LEAVES
        if keys[0] not in OPEN_SECTIONS or closed:
            where = "" if closed else f" in {keys[0]}; dials stand in {listed(OPEN_SECTIONS)}"
            self._problem(keys, f"given {shown(value)}, but this cannot be a dial{where}; write one value")
            return
        try:
            self.dials.append(open_leaf(path, value, real=real, needs=needs))
        except ValueError as error:
            self._problem(keys, str(error))

    def _problem(self, keys: Keys, text: str) -> None:
        self.problems.append(Problem(self._document.place(keys), dotted(keys), text))


def _choices(tree: Tree) -> tuple[Tree, ...]:
    given = tree.get("choices") if isinstance(tree, dict) else None
    return tuple(given) if isinstance(given, list) else ()


def settled(template: Template, document: Document) -> tuple[Template, list[Problem]]:
    """``template`` with each dial's default filled in from the schema, dials that can never count left out, and the
    sections without a dial built. The problems are those of the fixed leaves and the defaults."""
    found: list[Problem] = []
    built: dict[str, BaseModel] = {}
    dials: list[Dial] = []
    for section in SECTIONS:
        own = [dial for dial in template.dials if dial.path.startswith(f"{section}.")]
        try:
            own = _with_defaults(template, section, own)
            built[section] = template.section(section, {dial.path: dial.anchor for dial in own})
        except ValidationError as error:
            found.extend(problems(error, template.models[section], (section,), document, template.models))
        dials.extend(own)
    paths = {dial.path for dial in dials}
    live = tuple(dial for dial in dials if not _under_removed(dial, built, paths))
    closed = {name: model for name, model in built.items() if not any(d.path.startswith(f"{name}.") for d in live)}
    return replace(template, dials=live, closed=closed), found


def _with_defaults(template: Template, section: str, dials: list[Dial]) -> list[Dial]:
    """Dials with the schema's default where they have none of their own; where that is none of the dial's values, or
    the schema has none, the dial stays without."""
    given = {dial.path: dial.default for dial in dials if dial.default is not None}
    required: dict[str, Leaf] = {}
    try:
        schema = template.section(section, given)
    except ValidationError as error:
        missing = {dotted((section, *details["loc"])) for details in error.errors() if details["type"] == "missing"}
        required = {dial.path: dial.values.first for dial in dials if dial.path in missing}
        if not required:
            raise
        schema = template.section(section, given | required)
    return [dial if dial.path in required else _with_default(dial, schema) for dial in dials]


def _with_default(dial: Dial, schema: BaseModel) -> Dial:
    if dial.default is not None:
        return dial
    try:
        return replace(dial, default=dial.canonical(leaf(schema, dial.path)))
    except ValueError:
        return dial


def leaf(section: BaseModel, path: str) -> Any:
    """The value at a dotted path, whose first word is the section itself."""
    value: Any = section
    for key in path.split(".")[1:]:
        value = getattr(value, key, None)
    return value


def _under_removed(dial: Dial, built: Mapping[str, BaseModel], dials: set[str]) -> bool:
    """Whether a module above the dial is removed for good."""
    words = dial.path.split(".")
    keeps = (".".join([*words[:end], "keep"]) for end in range(2, len(words)))
    section = built.get(words[0])
    return section is not None and any(keep not in dials and leaf(section, keep) is False for keep in keeps)
