"""Load a YAML file that describes a search or a benchmark: read it, lay profile and --set over it, load its plug-ins,
check, and build.

Spaces and benchmarks are two `Spec`s of one `SpecLoader`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from reports.records.study import Leaf
from search.errors import Problem, SpaceError
from search.plugins import Plugins, PluginSet
from search.plugins.plugins import SECTION, read_stored
from search.plugins.sources import PluginError
from search.space import document as yaml_document
from search.space.document import Document, Tree
from search.space.loading.described_data import complete
from search.space.loading.old_keys import Renamed, rename_keys, rename_paths
from search.space.loading.overrides import apply, read_overrides, with_registry_keys
from search.space.loading.problems import Problems
from search.space.loading.schema import Model
from search.space.sections import DEVICES, Device

Built = TypeVar("Built", covariant=True)


class Spec(Protocol[Built]):
    """What one kind of file holds, and how it becomes a value."""

    replaceable: ClassVar[tuple[str, ...]]  # sections that a profile or --set replaces as a whole
    renamed: ClassVar[Renamed]  # former path -> path
    section: ClassVar[str]  # that every file of this kind has
    mistaken: ClassVar[tuple[str, str]]  # a section of the other kind, and what to type for that

    def data_sections(self, tree: Mapping[str, Tree]) -> Iterable[tuple[str, ...]]:
        """Return where the document has data sections, which may describe files."""

    def models(self, problems: Problems) -> Mapping[str, Model]:
        """Return the type of every section, by the families and data sets that the document names."""

    def build(self, problems: Problems, models: Mapping[str, Model], plugins: PluginSet) -> Built | None:
        """Return the checked value, which stores its ``plugins``, or None and at least one problem."""


def load(spec: Spec[Built], source: Path | str, overrides: Mapping[str, Leaf], device: Device) -> Built:
    """Return what a file (a Path) or a text describes, with its profile for ``device`` and ``overrides`` applied.

    Raises SpaceError with all problems, including problems of the other device's profile: a file is valid or it is not.
    """
    document = yaml_document.read(source) if isinstance(source, Path) else yaml_document.parse(source)
    document, overrides = rename_keys(document, spec.renamed), rename_paths(overrides, spec.renamed)
    other, text = spec.mistaken
    if other in document.tree and spec.section not in document.tree:
        raise SpaceError([Problem(document.place((other,)), other, text)])
    document, plugins = _read_plugins(document, source)
    profiles = document.tree.get("profiles")
    others = [name for name in DEVICES if name != device and isinstance(profiles, dict) and name in profiles]
    found: list[Problem] = []
    built = None
    for each in (*others, device):
        built = _load_for(each, spec, document, overrides, plugins, found)
    if found or built is None:
        raise SpaceError(found)
    return built


def _read_plugins(document: Document, source: Path | str) -> tuple[Document, Plugins]:
    """Return the document without the code of plug-ins that it stores, and the loader of its plug-ins."""
    try:
        stored = read_stored(document.tree.get(SECTION))
    except PluginError as error:
        raise SpaceError([Problem(document.place((SECTION,)), SECTION, str(error))]) from error
    folder = source.parent if isinstance(source, Path) else Path()
    return document.without(SECTION), Plugins(stored, folder)


def _load_for(
    device: Device,
    spec: Spec[Built],
    document: Document,
    overrides: Mapping[str, Leaf],
    plugins: Plugins,
    found: list[Problem],
) -> Built | None:
    """Return the value for one device, or None; problems are added to ``found``."""
    problems = Problems(document)
    laid = read_overrides(problems, device, overrides)
    preview = Problems(with_registry_keys(document, laid))  # whose problems the laid document has as well
    plugins.load(preview.document.tree, preview.add)
    document = apply(problems, laid, spec.models(preview), spec.replaceable)
    problems = Problems(rename_keys(document, spec.renamed), problems.found)
    used = plugins.load(problems.document.tree, problems.add)
    problems = complete(problems, spec.data_sections(problems.document.tree))
    built = spec.build(problems, spec.models(problems), used)
    found.extend(problems.found)
    return built
