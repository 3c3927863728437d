"""A space: a candidate with some leaves left open, its study, and what the search asks of both."""

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from reports.records.objectives import objective_values
from reports.records.study import Leaf, Measured, ReferencePoint
from search.errors import InputError, format_validation, nearest
from search.plugins import PluginSet
from search.plugins.objective import MEASURES
from search.plugins.plugins import SECTION
from search.space.candidate import Candidate
from search.space.constraints import Refusal, bound_key, exceeded, excesses, known_figures
from search.space.dials import Dial, Needs, Trial, complete
from search.space.document import dump, with_value
from search.space.fidelities import at_fidelity
from search.space.sections import DEFAULT_RULE, StudySection
from search.space.template import SECTIONS, Params, Template
from snnkit.architecture.plan import PlanError
from snnkit.data.choice import without_place
from snnkit.energy.config import without_empty_models
from snnkit.training.recipe import without_added_leaves

ADDED_KEY = ("rule", DEFAULT_RULE)  # of study.stopping; not in fingerprints, because stored studies have no rule
FORMER_KEYS = {"stall_timeout": "silence"}  # in fingerprints, so that they match those of stored studies


class ParamsError(InputError):
    """Values of dials that belong to no candidate of the space."""


@dataclass(frozen=True)
class Space:
    """What a study searches. Spaces are equal if they have the same study, dials, fixed leaves and candidates."""

    study: StudySection
    dials: tuple[Dial, ...]  # canonical order: a module's ``keep`` before what is in the module
    base: Candidate  # every dial at its default, or else its first value
    candidates: Mapping[str, Params]  # name -> all its active dials
    retrain: Mapping[str, Any]  # path -> value that finalists have instead of the candidate's
    reference: tuple[ReferencePoint, ...]
    plugins: PluginSet
    template: Template = field(compare=False, repr=False)

    @property
    def size(self) -> int | None:
        """Return the number of candidates; a removed module counts once. None if a dial is continuous."""
        return _size(self.dials, ())

    @property
    def fingerprint(self) -> str:
        """Identify everything that the search depends on: not the study's name or budget, nor the retraining."""
        tree = {key: value for key, value in self._resolved().items() if key != "retrain"}
        study = {key: value for key, value in tree["study"].items() if key not in ("name", "budget")}
        if "stopping" in study:
            study["stopping"] = {key: value for key, value in study["stopping"].items() if (key, value) != ADDED_KEY}
        for key in ("dominate", "fidelities", "promote"):
            if not study[key]:
                del study[key]  # stored studies lack them
        study["limits"] = {FORMER_KEYS.get(key, key): value for key, value in study["limits"].items()}
        leaves = {
            **{key: value for key, value in tree.items() if key != SECTION},
            "study": study,
            "train": without_added_leaves(tree["train"]),
            "data": without_place(tree["data"]),
            "energy": without_empty_models(tree["energy"]),
            **({SECTION: self.plugins.digests} if self.plugins.parts else {}),
        }
        return hashlib.sha256(json.dumps(leaves).encode()).hexdigest()[:16]

    @property
    def own_figures(self) -> tuple[str, ...]:
        """Return the objectives and constraints that are measured only because this space names them."""
        return tuple(name for name in {**self.study.objectives, **self.study.constraints} if name in MEASURES)

    def active(self, params: Mapping[str, object]) -> dict[str, Leaf]:
        """Return the dials of ``params`` that count, in canonical order, without those in removed modules.

        Raises ParamsError if a dial is unknown, missing, or has a value that it cannot have.
        """
        paths = {dial.path for dial in self.dials}
        for path in params:
            if path not in paths:
                raise ParamsError(f"{path}: no dial of space {self.study.name}{nearest(path, paths)}")
        chosen: dict[str, Leaf] = {}
        for dial in self.dials:
            if not dial.counts(chosen):
                continue
            if dial.path not in params:
                raise ParamsError(f"{dial.path}: not given; allowed is {dial.values}")
            try:
                chosen[dial.path] = dial.canonical(params[dial.path])
            except ValueError as error:
                raise ParamsError(f"{dial.path}: {error}") from None
        return chosen

    def candidate(self, params: Mapping[str, object]) -> Candidate:
        """Return the candidate with these values of its active dials. Raises ParamsError as `active` does."""
        try:
            return self.template.build(self.active(params))
        except ValidationError as error:
            raise ParamsError(format_validation(error)) from None

    def fidelities(self, candidate: Candidate) -> tuple[Candidate, ...]:
        """Return ``candidate`` as it is trained at each fidelity, the cheapest first; the last one is itself."""
        return (*(at_fidelity(candidate, changes) for changes in self.study.fidelities), candidate)

    def suggest(self, trial: Trial) -> dict[str, Leaf]:
        """Ask ``trial`` for every dial that counts, in canonical order."""
        chosen: dict[str, Leaf] = {}
        for dial in self.dials:
            if dial.counts(chosen):
                chosen[dial.path] = dial.values.suggest(trial, dial.path)
        return chosen

    def sample(self, rng: random.Random) -> dict[str, Leaf]:
        """Draw the active dials, each uniform over its values (or over their logarithm)."""
        return complete(self.dials, {}, rng)

    def neighbour(self, params: Mapping[str, object], rng: random.Random) -> dict[str, Leaf]:
        """Return ``params`` with one active dial at another value; dials that count only then are drawn too."""
        active = self.active(params)
        dial = rng.choice([dial for dial in self.dials if dial.path in active])
        return complete(self.dials, active | {dial.path: dial.other(active[dial.path], rng)}, rng)

    def refusals(self, candidate: Candidate) -> list[Refusal]:
        """Return why ``candidate`` must not be trained: it does not build, or certainly exceeds hard constraints."""
        try:
            candidate.plan()
        except PlanError as error:
            return [Refusal("build", reason=str(error))]
        limits = self.study.constraints
        return exceeded(known_figures(candidate, limits), limits, trained=False)

    def exceeded(self, measured: Measured, *, at_rung: bool = False) -> list[Refusal]:
        """Return the hard constraints that a trained candidate is outside of.

        At a rung, in the middle of its training, lower bounds do not count: accuracy may still rise above its own.
        """
        figures = objective_values(measured, self.study.constraints, self.base.energy.key)
        constraints = self.study.constraints
        counted = {name: limit for name, limit in constraints.items() if not (at_rung and bound_key(name) == "min")}
        return exceeded(figures, counted, trained=True)

    def violations(self, candidate: Candidate, measured: Measured | None = None) -> dict[str, float]:
        """Return how far each constrained figure is outside its bound: feasible if none is above 0.

        Figures are the measured ones, or else those known before training. A candidate that does not build exceeds
        each bound by the bound itself.
        """
        limits = self.study.constraints
        if measured is not None:
            return excesses(objective_values(measured, limits, self.base.energy.key), limits)
        return excesses(known_figures(candidate, limits), limits)

    def dump(self) -> str:
        """Return YAML that loads to an equal space: every leaf written out, profile and ``--set`` applied."""
        size = "continuous" if self.size is None else f"{self.size:,} candidates"
        header = (
            f"# Space of the study {self.study.name}, resolved: profile and --set are applied, defaults written out.\n"
            f"# {len(self.dials)} dials, {size}. Launch it again: snnsearch launch THIS-FILE --name ANOTHER-NAME\n\n"
        )
        return header + dump(self._resolved())

    def _resolved(self) -> dict[str, Any]:
        sections = self.template.dump()
        for dial in self.dials:
            sections = with_value(sections, tuple(dial.path.split(".")), dial.tree())
        dials = {dial.path: dial for dial in self.dials}
        named = {
            name: {path: dials[path].written(value) for path, value in params.items() if dials[path].default != value}
            for name, params in self.candidates.items()
        }
        study = self.study.model_dump(mode="json", exclude_none=True)
        reference = [point.model_dump(mode="json") for point in self.reference]
        after = {"candidates": named, "retrain": dict(self.retrain), "reference": reference}
        return {"study": study, **{s: sections[s] for s in SECTIONS}, **after, **self.plugins.dump()}


def _size(dials: tuple[Dial, ...], needs: Needs) -> int | None:
    total = 1
    for dial in dials:
        if dial.needs != needs:
            continue
        if dial.opens:
            inside = [_size(dials, (*needs, (dial.path, value))) for value in dial.values.ends]
            own = None if None in inside else sum(filter(None, inside))
        else:
            own = dial.values.size
        if own is None:
            return None
        total *= own
    return total
