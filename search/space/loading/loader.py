"""Read a space file and check all of it before anything trains."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from reports.records.study import Leaf
from search.errors import MAX_PROBLEMS, listed, nearest
from search.plugins import PluginSet
from search.space.constraints import tightened
from search.space.document import Tree
from search.space.loading.checks import (
    check_candidates,
    check_fidelities,
    check_layer_figures,
    check_prices,
    check_recipe,
    check_study,
)
from search.space.loading.described_data import is_described
from search.space.loading.named_candidates import read_candidates
from search.space.loading.old_keys import Renamed
from search.space.loading.problems import Problems
from search.space.loading.schema import Model
from search.space.loading.spec_loader import load
from search.space.loading.template_reader import read_template
from search.space.sections import Device, SearchSections, StudySection
from search.space.space import Space
from search.space.template import SECTIONS
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data.choice import DataChoice
from snnkit.data.datasets import DATASETS
from snnkit.data.sources.source import KINDS
from snnkit.energy import EnergyConfig
from snnkit.families import FAMILIES, AnyFamily, Family
from snnkit.training.recipe import Recipe

REFERENCE_FIGURES = ("accuracy", "energy_mj", "params")  # of a published point
ALL_SECTIONS = ("study", *SECTIONS, "candidates", "retrain", "reference", "profiles")


def load_space(source: Path | str, *, overrides: Mapping[str, Leaf] | None = None, device: Device = "cpu") -> Space:
    """Return the space in a file (a Path) or a text, with its profile for ``device`` and then ``overrides`` applied.

    Raises SpaceError with all problems, including problems of the other device's profile: a file is valid or it is not.
    """
    return load(SpaceSpec(), source, overrides or {}, device)


class SpaceSpec:
    """The sections of a space, and how they become a Space."""

    replaceable: ClassVar[tuple[str, ...]] = ("candidates", "retrain", "reference")
    renamed: ClassVar[Renamed] = {"study.limits.silence": "study.limits.stall_timeout"}
    section: ClassVar[str] = "study"
    mistaken: ClassVar[tuple[str, str]] = ("benchmark", "a benchmark, not a space; train it with: snnsearch bench")

    def data_sections(self, tree: Mapping[str, Tree]) -> list[tuple[str, ...]]:
        return [("data",)]

    def models(self, problems: Problems) -> dict[str, Model]:
        """Return the type of every section, except of those whose family or data set is unknown."""
        models: dict[str, Model | None] = {
            "study": StudySection,
            "network": _network_type(problems),
            "neuron": NeuronConfig,
            "encoding": EncodingConfig,
            "train": Recipe,
            "data": _data_type(problems),
            "energy": EnergyConfig,
        }
        return {section: model for section, model in models.items() if model is not None}

    def build(self, problems: Problems, models: Mapping[str, Model], plugins: PluginSet) -> Space | None:
        """Return the space, or None and at least one problem."""
        _check_sections(problems)
        search = _read_search(problems, models)
        before = len(problems.found)
        template = read_template(models, problems)
        if template is not None and len(problems.found) == before:  # else the candidates' problems are consequences
            if search is not None:
                check_study(search.study, template, problems)
            check_candidates(template, problems)
        if problems.found or search is None or template is None:
            return None
        base = template.build(template.anchors())
        check_prices(("reference",), search.reference, base.energy, problems)
        check_layer_figures(search.study, base, problems)
        check_recipe(("retrain",), search.retrain, base.train, base.data, problems)
        check_fidelities(search.study.fidelities, base, problems)
        if search.study.finals is not None and not problems.found:
            where, recipe = ("study", "finals", "recipe"), search.study.finals.recipe
            check_recipe(where, recipe, base.train, base.data, problems, below=search.retrain)
        before = len(problems.found)
        candidates = read_candidates(template, problems)
        for at, name in enumerate(search.study.promote if len(problems.found) == before else ()):
            problems.look_up(candidates, name, ("study", "promote", at))
        study = _with_dominated(search, base.energy.key, problems)
        return Space(study, template.dials, base, candidates, search.retrain, search.reference, plugins, template)


def _with_dominated(search: SearchSections, price: str, problems: Problems) -> StudySection:
    """Return the study with the figures of the points in ``study.dominate`` as constraints."""
    constraints = search.study.constraints
    points = {point.label: point for point in search.reference}
    for at, label in enumerate(search.study.dominate):
        point = problems.look_up(points, label, ("study", "dominate", at))
        if point is not None and point.price != price:
            text = (
                f"the energy of {label} is by {point.price}, and the space's by {price}; write energy: {{preset: "
                f"{point.price.rpartition('/')[2]}}}, or bound the figures with constraints"
            )
            problems.add(("study", "dominate", at), text)
        elif point is not None:
            constraints = tightened(constraints, {name: getattr(point, name) for name in REFERENCE_FIGURES})
    return search.study.model_copy(update={"constraints": constraints})


def _check_sections(problems: Problems) -> None:
    """Check that every top-level key is a section."""
    for key in [key for key in problems.document.tree if key not in ALL_SECTIONS][:MAX_PROBLEMS]:
        problems.add((key,), f"unknown section; allowed are {listed(ALL_SECTIONS)}{nearest(key, ALL_SECTIONS)}")


def _section_type(section: str, key: str, registry: Mapping[str, object], problems: Problems) -> object | None:
    """Return the registry's entry that ``key`` of ``section`` names, or None and a problem."""
    if section not in problems.document.tree:
        problems.add((section,), f"is missing; write {section}: {{{key}: {next(iter(registry))}}}")
        return None
    tree = problems.document.tree[section]
    return problems.look_up(registry, tree.get(key) if isinstance(tree, dict) else None, (section, key))


def _data_type(problems: Problems) -> Model | None:
    """Return the type of the data section; None if it neither names a known data set nor describes one."""
    tree = problems.document.tree.get("data")
    if is_described(tree):
        return DataChoice
    if isinstance(tree, dict) and tree.get("name") is None:
        unknown = [key for key in tree if key not in DataChoice.model_fields]
        hint = next(filter(None, (nearest(key, KINDS) for key in unknown)), "")
        text = (
            f"is missing; write name: {next(iter(DATASETS))}; allowed are {listed(DATASETS)}; or describe your own "
            f"data with {listed(KINDS)}{hint}"
        )
        problems.add(("data", "name"), text)
        return None
    return DataChoice if _section_type("data", "name", DATASETS, problems) else None


def _network_type(problems: Problems) -> Model | None:
    """Return the design of the family that the document names; of several families, the type of a choice."""
    tree = problems.document.tree.get("network")
    given = tree.get("family") if isinstance(tree, dict) else None
    if isinstance(given, dict):
        choices = given.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            problems.look_up(FAMILIES, choice, ("network", "family"))
        return AnyFamily
    family = _section_type("network", "family", FAMILIES, problems)
    return family.design if isinstance(family, Family) else None


def _read_search(problems: Problems, models: Mapping[str, Model]) -> SearchSections | None:
    """Return the sections about the search: study, retrain and reference."""
    given = problems.document.tree
    tree: Tree = {key: given[key] for key in ("study", "retrain", "reference") if key in given}
    return problems.validate(SearchSections, tree, models)
