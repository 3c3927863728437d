"""Load a benchmark file and check it before anything trains: every network is planned on every data set."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from reports.records.study import Leaf
from search.benchmark.benchmark import RENAMED, UNTRAINED, Benchmark
from search.benchmark.checks import check_file, check_networks
from search.benchmark.sections import (
    OVERRIDABLE,
    BenchmarkFile,
    NetworkOverrides,
    entry_model,
    file_model,
    group_model,
    items,
    overrides_model,
    written_out,
)
from search.errors import Keys, format_validation, format_value
from search.plugins import PluginSet
from search.space.candidate import Candidate
from search.space.document import Tree
from search.space.loading.described_data import is_described
from search.space.loading.old_keys import Renamed
from search.space.loading.problems import Problems
from search.space.loading.schema import Model
from search.space.loading.spec_loader import load
from search.space.sections import Device
from snnkit.base.config import Config
from snnkit.data.datasets import DATASETS
from snnkit.families import FAMILIES

LABEL = re.compile(r"[^\W_][\w ()+-]{0,39}")
LABEL_RULE = "cannot be a label; it has letters, digits, spaces and -+_(), 40 at most, and is no Python keyword"
MAX_NETWORKS = 64  # more of the largest family would make a resolved file that is too large to be read back
DIAL_KEYS = ({"choices"}, {"low", "high"})


def load_benchmark(
    source: Path | str, *, overrides: Mapping[str, Leaf] | None = None, device: Device = "cpu"
) -> Benchmark:
    """Return the benchmark in a file (a Path) or a text, with its profile for ``device`` and ``overrides`` applied.

    Raises SpaceError with all problems, including problems of the other device's profile, so that a file is valid on
    every device or on none.
    """
    return load(BenchmarkSpec(), source, overrides or {}, device)


class BenchmarkSpec:
    """The sections of a benchmark, and how they become a Benchmark."""

    replaceable: ClassVar[tuple[str, ...]] = UNTRAINED
    renamed: ClassVar[Renamed] = RENAMED
    section: ClassVar[str] = "benchmark"
    mistaken: ClassVar[tuple[str, str]] = ("study", "a space, not a benchmark; search it with: snnsearch launch")

    def data_sections(self, tree: Mapping[str, Tree]) -> list[tuple[str, ...]]:
        data = tree.get("data")
        return [("data", name) for name in data] if isinstance(data, dict) else []

    def models(self, problems: Problems) -> dict[str, Model]:
        """Return the type of every section, by the families and data sets that the document names."""
        networks = {label: _network_model(label, tree, problems) for label, tree in _read_networks(problems)}
        data = {name: _entry_model(name, tree, problems) for name, tree in _read_group("data", problems)}
        model = file_model(group_model(networks), group_model(data), overrides_model(networks))
        annotations = {name: info.annotation for name, info in model.model_fields.items()}
        return {name: kind for name, kind in annotations.items() if isinstance(kind, type) and issubclass(kind, Config)}

    def build(self, problems: Problems, models: Mapping[str, Model], plugins: PluginSet) -> Benchmark | None:
        """Return the benchmark, or None and at least one problem."""
        model = file_model(models["networks"], models["data"], models["overrides"])
        _check_no_dials(problems.document.tree, (), problems)
        file = problems.validate(model, problems.document.tree, models)
        if file is None:
            return None
        candidates = _candidates(file, problems)
        origins = {label: each.origins for label, each in items(file.overrides) if each and each.origins}
        if not problems.found:
            check_file(file, origins, problems)
            check_networks(candidates, origins, problems)
        if problems.found:
            return None
        return Benchmark(
            section=file.benchmark,
            networks=dict(items(file.networks)),
            entries=dict(items(file.data)),
            candidates=candidates,
            origins=origins,
            energy=file.energy,
            published=file.published,
            references=file.reference,
            plugins=plugins,
            tree=written_out(file),
        )


def _read_group(section: str, problems: Problems) -> list[tuple[str, Tree]]:
    """Return the entries of ``networks`` or ``data``."""
    tree = problems.document.tree.get(section)
    if isinstance(tree, dict) and len(tree) > MAX_NETWORKS:
        problems.add(
            (section,), f"{len(tree)} entries; {MAX_NETWORKS} are the most: split them into several benchmarks"
        )
        return []
    if isinstance(tree, dict) and tree:
        return list(tree.items())
    if section in problems.document.tree:
        example = (BenchmarkFile.model_fields[section].examples or [""])[0]
        problems.add((section,), f"given {format_value(tree)}; write {example}")
    return []


def _read_networks(problems: Problems) -> list[tuple[str, Tree]]:
    """Return the networks whose key can be a label: a path of ``--set`` and a cell of a table."""
    found = []
    for key, tree in _read_group("networks", problems):
        if LABEL.fullmatch(key) and not hasattr(BaseModel, key):
            found.append((key, tree))
        else:
            problems.add(("networks", key), LABEL_RULE)
    return found


def _network_model(label: str, tree: Tree, problems: Problems) -> Model | None:
    given = tree.get("family") if isinstance(tree, dict) else None
    family = problems.look_up(FAMILIES, given, ("networks", label, "family"))
    return family.design if family else None


def _entry_model(name: str, tree: Tree, problems: Problems) -> Model | None:
    if is_described(tree):
        if LABEL.fullmatch(name) and not hasattr(BaseModel, name):
            return entry_model(name)
        problems.add(("data", name), LABEL_RULE)
        return None
    return entry_model(name) if problems.look_up(DATASETS, name, ("data", name)) else None


def _check_no_dials(tree: Tree, keys: Keys, problems: Problems) -> None:
    """Check that no leaf is left open, as it may be in a space."""
    if not isinstance(tree, dict):
        return
    if any(wanted <= set(tree) for wanted in DIAL_KEYS):
        problems.add(keys, f"given {format_value(tree)}, but a benchmark has no dials; write one value")
        return
    for key, below in tree.items():
        _check_no_dials(below, (*keys, key), problems)


def _candidates(file: BenchmarkFile, problems: Problems) -> dict[str, dict[str, Candidate]]:
    """Return data set -> network -> candidate; add a problem for overrides that contradict the other leaves."""
    overrides = dict(items(file.overrides))
    candidates: dict[str, dict[str, Candidate]] = {}
    if problems.found:
        return candidates
    for name, entry in items(file.data):
        candidates[name] = {}
        for label, network in items(file.networks):
            layers = {("data", name): entry, ("overrides", label): overrides[label] or NetworkOverrides()}
            sections: dict[str, Any] = {}
            for section in OVERRIDABLE:
                given = {keys: part for keys, each in layers.items() if (part := getattr(each, section, None))}
                try:
                    sections[section] = _overlay(getattr(file, section), given.values())
                except ValidationError as error:
                    problems.add((*list(given)[-1], section), format_validation(error))
            if len(sections) == len(OVERRIDABLE):
                candidates[name][label] = Candidate(network=network, data=entry.choice, energy=file.energy, **sections)
    return candidates


def _overlay(general: Any, parts: Iterable[Any]) -> Any:
    """Return ``general`` with the leaves that ``parts`` name, the last one on top. Raises ValidationError."""
    leaves = general.model_dump()
    for part in parts:
        leaves |= part.model_dump(exclude_unset=True)
    return type(general)(**leaves)
