"""A benchmark: what is trained, in which order, and how it is written down."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reports.records.benchmark import Cell, Kind, Published
from reports.records.study import ModuleState, ReferencePoint
from search.benchmark.sections import BenchmarkSection, DataEntry
from search.plugins import PluginSet
from search.plugins.plugins import SECTION
from search.space import document
from search.space.candidate import Candidate
from search.trial.folder import RunFolder
from search.trial.job import (
    AverageOf,
    FromParent,
    Initialization,
    Job,
    Parent,
    TwinFromScratch,
    initialization_without_parent,
)
from snnkit.base.config import Config
from snnkit.energy import EnergyConfig
from snnkit.energy.config import without_empty_models
from snnkit.training.recipe import without_added_leaves

UNTRAINED = ("published", "reference")  # sections that change no training: they may be edited between two runs
RENAMED = {"own": "overrides", "benchmark.limits.silence": "benchmark.limits.stall_timeout"}  # former path -> path


@dataclass(frozen=True)
class Benchmark:
    """Fixed networks on fixed data sets with several seeds.

    ``candidates``: data set -> network -> candidate, with all overrides applied. ``origins``: network -> the network
    whose weights it begins with, or the networks whose mean it is.
    """

    section: BenchmarkSection
    networks: Mapping[str, Config]
    entries: Mapping[str, DataEntry]
    candidates: Mapping[str, Mapping[str, Candidate]]
    origins: Mapping[str, tuple[str, ...]]
    energy: EnergyConfig
    published: tuple[Published, ...]
    references: tuple[ReferencePoint, ...]
    plugins: PluginSet
    tree: Mapping[str, Any]  # resolved: every leaf, profile and --set applied

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Return the trainings in order: every network on every data set with the first seed, then with the second.

        An interrupted benchmark thus has complete tables of fewer seeds.
        """
        kinds: tuple[Kind, ...] = ("snn", "cnn") if self.section.twins else ("snn",)
        return tuple(
            Cell(data=data, network=network, kind=kind, seed=seed)
            for seed in self.section.seeds
            for data in self.entries
            for network in self.networks
            for kind in kinds
        )

    def jobs(self, folder: Path) -> tuple[Job, ...]:
        """Return a job for each cell, with the same numbers."""
        run = RunFolder(folder).absolute()
        return tuple(self._job(number, cell, run) for number, cell in enumerate(self.cells))

    def _job(self, number: int, cell: Cell, run: RunFolder) -> Job:
        candidate = self.trained(cell)
        return Job(
            number=number,
            name=cell.label,
            params={},
            candidate=candidate,
            modules=tuple(ModuleState(name=m.name, state=m.state, detail=m.detail) for m in candidate.modules()),
            static=candidate.static(),
            folder=run.trial(number).path,
            seed=cell.seed,
            initialization=self._initialization(cell, run),
            limits=self.section.limits,
            plugins=self.plugins,
            own_figures=self.section.figures,
        )

    def _initialization(self, cell: Cell, run: RunFolder) -> Initialization:
        """Return the source of a cell's first weights.

        A network with another network's weights learns from the CNN twin of the first network in this chain.
        """
        if cell.kind == "cnn":
            return TwinFromScratch()
        origins = self.origins.get(cell.network, ())
        parents = tuple(self._parent(cell.model_copy(update={"network": origin}), run) for origin in origins)
        if len(parents) > 1:
            return AverageOf(parents=parents)
        if parents:
            return FromParent(parent=parents[0], teacher=self.trained(cell.model_copy(update={"kind": "cnn"})))
        return initialization_without_parent(self.trained(cell))

    def trained(self, cell: Cell) -> Candidate:
        """Return the candidate of a cell.

        The CNN twin of a network that begins with another network's weights is the twin of that other network.
        """
        network = cell.network
        while cell.kind == "cnn" and network in self.origins:
            network = self.origins[network][0]
        return self.candidates[cell.data][network]

    def _parent(self, cell: Cell, run: RunFolder) -> Parent:
        """Return the training whose weights another one begins with, before that training has run."""
        number = self.cells.index(cell)
        weights = run.trial(number).weights
        return Parent(number=number, candidate=self.candidates[cell.data][cell.network], weights=weights)

    @property
    def fingerprint(self) -> str:
        """Identify the trainings: equal for benchmarks with the same ones."""
        train, energy = without_added_leaves(self.tree["train"]), without_empty_models(self.tree["energy"])
        tree = {**self.tree, "train": train, "energy": energy}
        leaves = {  # under the paths that stored fingerprints were computed with
            re.sub(r"^overrides\.", "own.", path): value for path, value in trained_leaves(tree).items()
        }
        if self.plugins.parts:
            leaves[SECTION] = self.plugins.digests
        return hashlib.sha256(json.dumps(leaves).encode()).hexdigest()[:16]

    def dump(self) -> str:
        """Return YAML that loads to an equal benchmark: every leaf written out, profile and ``--set`` applied."""
        header = (
            f"# Benchmark {self.section.name}, resolved: profile and --set are applied, defaults written out.\n"
            f"# {len(self.cells)} trainings. Continue it with: snnsearch bench THIS-FILE\n\n"
        )
        return header + document.dump({**self.tree, **self.plugins.dump()})


def trained_leaves(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return path -> value of the leaves that trainings depend on."""
    leaves = dict(_leaves(tree, ""))
    section = tuple(f"benchmark.{key}" for key in ("name", "figures", "budget", "limits", "resources"))
    ignored = (*section, *UNTRAINED)
    return {path: value for path, value in leaves.items() if not path.startswith(ignored)}


def _leaves(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found = []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        found += _leaves(value, f"{path}.") if isinstance(value, dict) and value else [(path, value)]
    return found
