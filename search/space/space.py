"""A space: a candidate with some leaves left open, read from YAML and checked before anything trains."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reports.records.study import Leaf, Measured, ReferencePoint
from search.errors import InputError, Problem, SpaceError, nearest
from search.space import constraints
from search.space import document as yaml_source
from search.space.candidate import Candidate
from search.space.dials import Dial, Needs, Trial, complete
from search.space.document import Document
from search.space.overrides import placed, with_overrides, with_profile
from search.space.retrain import retrain_problems
from search.space.schema import Model, as_fixed, problems, said
from search.space.sections import DEVICES, Device, SearchSections, StudySection
from search.space.template import SECTIONS, Params, Template, opened, settled
from search.space.validation import (
    Named,
    built_problems,
    section_problems,
    stopping_problems,
    supernet_problems,
    tree_models,
)
from snnkit.architecture.plan import PlanError

WHOLE = ("candidates", "retrain", "reference")  # sections that a profile or --set replaces as a whole


class ParamsError(InputError):
    """Values of dials that are none of this space's candidates."""


@dataclass(frozen=True)
class Space:
    """Two spaces are equal when they hold the same study, dials, fixed leaves and candidates, however written."""

    study: StudySection
    dials: tuple[Dial, ...]  # canonical order: a module's ``keep`` before what is in the module
    base: Candidate  # every dial at its default, or else its first value
    candidates: Mapping[str, Params]  # name -> all its active dials
    retrain: Mapping[str, Any]  # path -> value, of what finalists have otherwise
    reference: tuple[ReferencePoint, ...]
    template: Template = field(compare=False, repr=False)

    @property
    def size(self) -> int | None:
        """The number of candidates; a removed module counts once. None where a dial is continuous."""
        return _size(self.dials, ())

    @property
    def hash(self) -> str:
        """Of all that the search depends on: without the study's name and budget, and what comes after it."""
        tree = {key: value for key, value in self._resolved().items() if key != "retrain"}
        study = {key: value for key, value in tree["study"].items() if key not in ("name", "budget")}
        return hashlib.sha256(json.dumps({**tree, "study": study}).encode()).hexdigest()[:16]

    def active(self, params: Mapping[str, object]) -> dict[str, Leaf]:
        """The dials of ``params`` that count, in canonical order; what lies in a removed module is dropped.

        Raises ParamsError where a dial is unknown, missing, or has a value that it cannot have.
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
        """The candidate with these values of its active dials. Raises ParamsError as `active` does."""
        try:
            return self.template.build(self.active(params))
        except ValidationError as error:
            raise ParamsError(said(error)) from None

    def suggest(self, trial: Trial) -> dict[str, Leaf]:
        """Asks ``trial`` for every dial that counts, in canonical order."""
        chosen: dict[str, Leaf] = {}
        for dial in self.dials:
            if dial.counts(chosen):
                chosen[dial.path] = dial.values.suggest(trial, dial.path)
        return chosen

    def sample(self, rng: random.Random) -> dict[str, Leaf]:
        """Active dials, each uniform over its values (or over their logarithm)."""
        return complete(self.dials, {}, rng)

    def neighbour(self, params: Mapping[str, object], rng: random.Random) -> dict[str, Leaf]:
        """``params`` with one active dial at another value; dials that come to count with it are sampled."""
        active = self.active(params)
        dial = rng.choice([dial for dial in self.dials if dial.path in active])
        return complete(self.dials, active | {dial.path: dial.other(active[dial.path], rng)}, rng)

    def refusals(self, candidate: Candidate) -> list[str]:
        """Why ``candidate`` is not to be trained: the hard constraints it breaks for certain, or that it does not
        build."""
        try:
            candidate.plan()
        except PlanError as error:
            return [f"does not build: {error}"]
        limits = self.study.constraints
        return constraints.broken(constraints.known(candidate, limits), limits, trained=False)

    def broken(self, measured: Measured) -> list[str]:
        """The hard constraints that a candidate breaks by what was measured of it."""
        figures = constraints.measured(measured, self.base.energy.key)
        return constraints.broken(figures, self.study.constraints, trained=True)

    def violations(self, candidate: Candidate, measured: Measured | None = None) -> dict[str, float]:
        """Each constrained figure minus its bound, as measured or else as known before training: feasible where none is
        above 0. A candidate that does not build breaks each by the bound itself."""
        limits = self.study.constraints
        if measured is not None:
            return constraints.excesses(constraints.measured(measured, self.base.energy.key), limits)
        return constraints.excesses(constraints.known(candidate, limits), limits)

    def dump(self) -> str:
        """YAML that loads to an equal space: every leaf written out, profile and ``--set`` applied."""
        size = "continuous" if self.size is None else f"{self.size:,} candidates"
        header = (
            f"# Space of the study {self.study.name}, resolved: profile and --set are applied, defaults written out.\n"
            f"# {len(self.dials)} dials, {size}. Launch it again: snnsearch launch THIS-FILE --name ANOTHER-NAME\n\n"
        )
        return header + yaml_source.dump(self._resolved())

    def _resolved(self) -> dict[str, Any]:
        sections = self.template.dump()
        for dial in self.dials:
            sections = placed(sections, tuple(dial.path.split(".")), dial.tree())
        defaults = {dial.path: dial.default for dial in self.dials}
        named = {
            name: {path: value for path, value in params.items() if defaults[path] != value}
            for name, params in self.candidates.items()
        }
        study = self.study.model_dump(mode="json", exclude_none=True)
        reference = [point.model_dump(mode="json") for point in self.reference]
        after = {"candidates": named, "retrain": dict(self.retrain), "reference": reference}
        return {"study": study, **{s: sections[s] for s in SECTIONS}, **after}


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


def load_space(source: Path | str, *, overrides: Mapping[str, Leaf] | None = None, device: Device = "cpu") -> Space:
    """The space in a file (a Path) or a text, with its profile for ``device`` and then ``overrides`` laid over it.

    Raises SpaceError with all that is wrong, the other device's profile included: a file is right or it is not.
    """
    document = yaml_source.read(source) if isinstance(source, Path) else yaml_source.parse(source)
    profiles = document.tree.get("profiles")
    others = [name for name in DEVICES if name != device and isinstance(profiles, dict) and name in profiles]
    found: list[Problem] = list(section_problems(document))
    space = None
    for each in (*others, device):
        space = _loaded(document, each, overrides or {}, found)
    if found or space is None:
        raise SpaceError(found)
    return space


def _loaded(document: Document, device: Device, overrides: Mapping[str, Leaf], found: list[Problem]) -> Space | None:
    """The space as ``device`` has it; None where something is wrong, which is then added to ``found``."""
    models, wrong = tree_models(document, overrides)
    laid, profile_problems = with_profile(document, device, models, WHOLE)
    laid, override_problems = with_overrides(laid, overrides, models, WHOLE)
    search, search_problems = _search(laid, models)
    template, tree_problems = opened(laid, models)
    wrong += [*profile_problems, *override_problems, *search_problems, *tree_problems]
    if len(models) == len(SECTIONS) + 1:
        template, leaf_problems = settled(template, laid)
        if tree_problems:
            wrong += [each for each in leaf_problems if _stands_alone(each, tree_problems, laid)]
        elif leaf_problems:
            wrong += leaf_problems
        else:
            wrong += built_problems(template, laid)
            if search is not None:
                wrong += stopping_problems(search.study, template, laid)
                wrong += supernet_problems(search.study, template, laid)
    found.extend(wrong)
    if wrong or search is None:
        return None
    base = template.build(template.anchors())
    named = Named(template, laid)
    named.read()
    found.extend([*named.problems, *retrain_problems(search.retrain, base.train, base.data, laid)])
    return Space(search.study, template.dials, base, named.candidates, search.retrain, search.reference, template)


def _stands_alone(problem: Problem, others: Sequence[Problem], document: Document) -> bool:
    """Whether it is of what was written, and none of ``others``, at that place or in it, may be its cause."""
    written = tuple(problem.path.split(".")) in document.places
    return written and not any(f"{other.path}.".startswith(f"{problem.path}.") for other in others)


def _search(document: Document, models: Mapping[str, Model]) -> tuple[SearchSections | None, list[Problem]]:
    tree = {key: as_fixed(document.tree[key]) for key in ("study", "retrain", "reference") if key in document.tree}
    try:
        return SearchSections.model_validate(tree, strict=True), []
    except ValidationError as error:
        return None, list(problems(error, SearchSections, (), document, models))
