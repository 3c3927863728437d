"""Find, check and register the plug-ins that a document names."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from reports.document.commands import command
from search.errors import Keys, format_validation, listed, nearest
from search.plugins.figures import add_layer_figure
from search.plugins.kinds import KINDS
from search.plugins.references import Named, named_parts
from search.plugins.sources import PluginError, Source, find, load, source_key, split
from search.plugins.trust import allow, is_allowed
from snnkit.base.config import Config

SECTION = "plugins"  # of a resolved space


class Part(Config):
    """A plug-in that a space uses."""

    kind: str  # key of `kinds.KINDS`
    name: str  # in the space: "my_pkg.nets:ResNet20", "./parts.py:latency", or an entry point's name
    reference: str  # "my_pkg.nets:ResNet20"; equal to the name unless an entry point gave it

    @property
    def source_key(self) -> str:
        """The key of its code in `PluginSet.sources`. Raises PluginError."""
        return source_key(split(self.reference)[0])


class PluginSet(Config):
    """The plug-ins of a space or benchmark with their code, as a study stores them and workers receive them."""

    parts: tuple[Part, ...] = ()
    sources: dict[str, Source] = Field(default_factory=dict)  # by file, "./parts.py", or top-level package, "my_pkg"

    def register(self) -> None:
        """Import the parts and register them in this process. Raises PluginError."""
        for part in self.parts:
            _register(part, self.sources[part.source_key])

    def changes(self) -> list[str]:
        """Return a sentence for each file or package whose code on this machine differs from the stored code."""
        found = []
        for key, source in self.sources.items():
            try:
                now = find(source.origin if source.origin.endswith(".py") else key, Path(source.origin).parent)
            except PluginError:
                continue  # it is not here: the stored code is used
            if now.digest != source.digest:
                found.append(f"{key} has changed since the launch; the study continues with the code that it stores")
        return found

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each source, for fingerprints."""
        return {key: source.digest for key, source in self.sources.items()}

    def dump(self) -> dict[str, Any]:
        """Return the section ``plugins`` of a resolved document; empty if there are none."""
        return {SECTION: self.model_dump(mode="json", exclude_none=True)} if self.parts else {}


class Plugins:
    """Loads the plug-ins of one document.

    Code that the document stores is used as it is. Other code is searched from ``folder``, the folder of the document.
    """

    def __init__(self, stored: PluginSet, folder: Path) -> None:
        self._stored, self._folder = stored, folder
        self._sources: dict[str, Source] = {}
        self._loaded: set[Part] = set()

    def load(self, tree: Mapping[str, Any], add_problem: Callable[[Keys, str], None]) -> PluginSet:
        """Register and return the plug-ins that ``tree`` names; report those that cannot be used, at their place."""
        parts: list[Part] = []
        for named in named_parts(tree):
            if named.kind == "objective" and add_layer_figure(named.name):
                continue
            try:
                part = self._part(named)
                if part is not None and part not in parts:
                    self._load(part)
                    parts.append(part)
            except PluginError as error:
                add_problem(named.keys, str(error))
        keys = dict.fromkeys(part.source_key for part in parts)
        return PluginSet(parts=tuple(parts), sources={key: self._sources[key] for key in keys})

    def _load(self, part: Part) -> None:
        if part not in self._loaded:
            key = part.source_key
            if key not in self._sources:
                self._sources[key] = self._source(key)
            _register(part, self._sources[key])
            self._loaded.add(part)

    def _source(self, key: str) -> Source:
        """Return the code that the document stores, if it is allowed, or else the user's own. Raises PluginError."""
        if key not in self._stored.sources:
            source = find(key, self._folder)
            with suppress(OSError):  # then `trust` asks when the study is resumed
                allow(source)
            return source
        source = self._stored.sources[key]
        if not is_allowed(source):
            lines = sum(text.count("\n") for text in source.files.values())
            raise PluginError(
                f"the code of {key} ({lines:,} lines, from {source.origin}) comes with this study, and this account "
                f"has not run it before. Read it, and allow it with: {command('trust', 'STUDY-OR-SPACE')}"
            )
        return source

    def _part(self, named: Named) -> Part | None:
        """Return the plug-in that ``named`` stands for; None for a built-in part and for an unknown name."""
        if ":" in named.name:
            return Part(kind=named.kind, name=named.name, reference=named.name)
        for part in self._stored.parts:
            if (part.kind, part.name) == (named.kind, named.name):
                return part
        kind = KINDS[named.kind]
        if named.name in kind.registry:
            return None
        declared = entry_points(group=kind.group, name=named.name)
        return next((Part(kind=named.kind, name=each.name, reference=each.value) for each in declared), None)


def read_stored(tree: object) -> PluginSet:
    """Return the section ``plugins`` of a resolved document. Raises PluginError if it is damaged."""
    if tree is None:
        return PluginSet()
    try:
        stored = PluginSet.model_validate(tree)
    except ValidationError as error:
        raise PluginError(
            f"snnsearch writes this section, and this one cannot be read ({format_validation(error)}); remove it, and "
            "name plug-ins where they are used: network: {family: 'my_package.nets:Net'}"
        ) from error
    for part in stored.parts:
        key = part.source_key
        if part.kind not in KINDS or key not in stored.sources:
            wrong, allowed = (part.kind, KINDS) if part.kind not in KINDS else (key, stored.sources)
            raise PluginError(f"{part.name}: given {wrong}; it has {listed(allowed)}{nearest(wrong, allowed)}")
    return stored


def _register(part: Part, source: Source) -> None:
    KINDS[part.kind].register(part.name, load(part.reference, source))
