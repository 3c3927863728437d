"""A benchmark: what is trained, in which order, and how it is written down."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reports.records.benchmark import Cell, Kind, Published
from reports.records.study import ModuleState, ReferencePoint
from reports.storage.benchmarks import trial_folder
from search.benchmark.sections import BenchmarkSection, DataEntry
from search.space import document
from search.space.candidate import Candidate
from search.trial.job import WEIGHTS, Job, Parent
from snnkit.base.config import Config
from snnkit.energy import EnergyConfig

UNTRAINED = ("published", "reference")  # sections that change no training: they may be edited between two runs


@dataclass(frozen=True)
class Benchmark:
    """``candidates``: by data set, then by network, with the data set's own training and encoding. ``origins``: the
    network that one begins with the weights of, where it does; or several, whose mean it is."""

    section: BenchmarkSection
    networks: Mapping[str, Config]
    entries: Mapping[str, DataEntry]
    candidates: Mapping[str, Mapping[str, Candidate]]
    origins: Mapping[str, tuple[str, ...]]
    energy: EnergyConfig
    published: tuple[Published, ...]
    references: tuple[ReferencePoint, ...]
    tree: Mapping[str, Any]  # resolved: every leaf, profile and --set applied

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every network on every data set with the first seed, then with the second: an interrupted benchmark has whole
        tables of fewer seeds."""
        kinds: tuple[Kind, ...] = ("snn", "cnn") if self.section.twins else ("snn",)
        return tuple(
            Cell(data=data, network=network, kind=kind, seed=seed)
            for seed in self.section.seeds
            for data in self.entries
            for network in self.networks
            for kind in kinds
        )

    def jobs(self, folder: Path) -> tuple[Job, ...]:
        """A job for each cell, numbered as the cells are."""
        return tuple(self._job(number, cell, folder) for number, cell in enumerate(self.cells))

    def _job(self, number: int, cell: Cell, folder: Path) -> Job:
        twin, candidate = cell.kind == "cnn", self.trained(cell)
        origins = () if twin else self.origins.get(cell.network, ())
        parents = tuple(self._parent(cell.model_copy(update={"network": origin}), folder) for origin in origins)
        return Job(
            number=number,
            name=cell.label,
            params={},
            candidate=candidate,
            modules=tuple(ModuleState(name=m.name, state=m.state, detail=m.detail) for m in candidate.modules()),
            static=candidate.static(),
            folder=trial_folder(folder.absolute(), number),
            seed=cell.seed,
            twin=twin,
            parents=parents,
            taught_by=self.trained(cell.model_copy(update={"kind": "cnn"})) if parents else None,
            limits=self.section.limits,
        )

    def trained(self, cell: Cell) -> Candidate:
        """What a cell is; the CNN twin of what goes on from another one's weights is that of the network that all
        begins with."""
        network = cell.network
        while cell.kind == "cnn" and network in self.origins:
            network = self.origins[network][0]
        return self.candidates[cell.data][network]

    def _parent(self, cell: Cell, folder: Path) -> Parent:
        """Before its training, when nothing stands behind its weights."""
        number = self.cells.index(cell)
        weights = trial_folder(folder.absolute(), number) / WEIGHTS
        return Parent(number=number, candidate=self.candidates[cell.data][cell.network], weights=weights)

    @property
    def hash(self) -> str:
        """Of all that trainings depend on: equal where the same ones are described."""
        return hashlib.sha256(json.dumps(trained_leaves(self.tree)).encode()).hexdigest()[:16]

    def dump(self) -> str:
        """YAML that loads to an equal benchmark: every leaf written out, profile and ``--set`` applied."""
        header = (
            f"# Benchmark {self.section.name}, resolved: profile and --set are applied, defaults written out.\n"
            f"# {len(self.cells)} trainings. Go on with it: snnsearch bench THIS-FILE\n\n"
        )
        return header + document.dump(self.tree)


def trained_leaves(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves that trainings depend on, by path."""
    leaves = dict(_leaves(tree, ""))
    free = ("benchmark.name", "benchmark.budget", "benchmark.limits", "benchmark.resources", *UNTRAINED)
    return {path: value for path, value in leaves.items() if not path.startswith(free)}


def _leaves(tree: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found = []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        found += _leaves(value, f"{path}.") if isinstance(value, dict) and value else [(path, value)]
    return found
