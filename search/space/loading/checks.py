"""Check the candidates of a space on load, so that bad bounds and bad schedules fail before anything trains."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from reports.records.benchmark import Published
from reports.records.study import ReferencePoint
from search.errors import Keys, dotted, format_validation, format_value, listed, nearest
from search.plugins.figures import layer_of
from search.space.candidate import Candidate
from search.space.dials import FAMILY, Dial
from search.space.fidelities import FIDELITY_LEAVES, FidelityError, at_fidelity, fidelity_paths
from search.space.loading.problems import Problems, explain
from search.space.retrain import KEPT, MODELS, data_of, train_of
from search.space.sections import StudySection
from search.space.template import Params, Template
from snnkit.architecture.plan import PlanError
from snnkit.base.config import EncodingConfig
from snnkit.data.choice import DataChoice
from snnkit.energy import EnergyConfig
from snnkit.training.recipe import Recipe


def check_candidates(template: Template, problems: Problems) -> None:
    """Check the encoding, then each dial alone, then several dials together; stop after the first kind of problem."""
    before = len(problems.found)
    check_input(template, problems)
    if len(problems.found) == before:
        _check_dials(template, problems)
    if len(problems.found) == before:
        _check_pairs(template, problems)
        _check_extremes(template, problems)


def check_input(template: Template, problems: Problems) -> None:
    """Check that encoding and recipe fit the data set."""
    encoding, data, train = (template.base(name) for name in ("encoding", "data", "train"))
    assert isinstance(encoding, EncodingConfig)
    assert isinstance(data, DataChoice)
    assert isinstance(train, Recipe)
    if text := unfit_recipe(encoding, train):
        problems.add(("train",), text)
    if text := unfit_encoding(encoding, data):
        written = ("encoding", "kind") if "encoding" in problems.document.tree else ("data", "name")
        problems.add_at(problems.document.place(written), "encoding.kind", text)


def unfit_encoding(encoding: EncodingConfig, data: DataChoice) -> str:
    """Return why ``encoding`` does not fit the data set; empty if it does."""
    holds, kind = ("recordings of events", "frames") if data.info.events else ("still images", "direct")
    if encoding.kind == kind:
        return ""
    return f"given {encoding.kind}, but {data.name} holds {holds}; write encoding: {{kind: {kind}}}"


def unfit_recipe(encoding: EncodingConfig, train: Recipe) -> str:
    """Return why ``train`` does not fit recordings of events; empty if it does, or if they are images."""
    if encoding.kind == "frames" and train.augment == "trivial":
        return "augment trivial changes colours, which events do not have; write augment: flip_crop"
    if encoding.kind == "frames" and train.short_epochs:
        return "short_epochs shows fewer of a recording's frames than it has; leave it out"
    if encoding.kind == "frames" and train.first_resolution is not None:
        return "first_resolution shrinks still images, not recordings of events; leave it out"
    return ""


def _check_dials(template: Template, problems: Problems) -> None:
    """Check both ends of every range and every choice, with the other dials at their defaults: one problem a dial."""
    anchors = template.anchors()
    if text := _build_error(template, anchors):
        problems.add(("network",), f"does not build with all dials at their defaults: {text}")
        return
    for dial in template.dials:
        for value in dial.values.ends:
            if text := _build_error(template, anchors | dict(dial.needs) | {dial.path: value}, dial):
                problems.add(tuple(dial.path.split(".")), text)
                break


def _build_error(template: Template, params: Params, dial: Dial | None = None) -> str:
    """Return why the candidate of ``params`` does not build, said of ``dial`` if it is given; empty if it builds."""
    try:
        template.build(params).plan()
    except ValidationError as error:
        return _value_error(error, template, params, dial) if dial else format_validation(error)
    except PlanError as error:
        return f"at {format_value(params[dial.path])} the network does not build: {error}" if dial else str(error)
    return ""


def _value_error(error: ValidationError, template: Template, params: Params, dial: Dial) -> str:
    """Return pydantic's error about the dial itself, or else its first error, about a leaf that the dial affects."""
    section = dial.path.split(".")[0]
    errors = explain(error, template.models[section], template.models)
    texts = {dotted((section, *keys)): text for keys, text in errors}
    path, text = next(iter(texts.items()))
    return texts.get(dial.path, f"at {format_value(params[dial.path])}: {path}: {text}")


def _check_pairs(template: Template, problems: Problems) -> None:
    """Check every two dials of a section (of a module, in the network) at their ends.

    The section's own rules must hold whatever is drawn: for instance, every subset must leave images to train on
    beside every size of the validation set.
    """
    anchors = template.anchors()
    for first, second in itertools.combinations(template.dials, 2):
        section = first.path.split(".")[0]
        if first.path.rpartition(".")[0] != second.path.rpartition(".")[0]:
            continue
        for one, other in itertools.product(first.values.extremes, second.values.extremes):
            try:
                template.section(section, anchors | {first.path: one, second.path: other})
            except ValidationError as error:
                values = f"at {format_value(one)}, with {second.path} at {format_value(other)}"
                problems.add(tuple(first.path.split(".")), f"{values}: {format_validation(error)}")
                break


def _check_extremes(template: Template, problems: Problems) -> None:
    """Plan the networks with all numeric dials at their smallest and at their largest values, in every family."""
    families = next((dial.values.ends for dial in template.dials if dial.path == FAMILY), (None,))
    for family, (word, choose) in itertools.product(families, (("smallest", min), ("largest", max))):
        ends = {d.path: choose(d.values.ends) for d in template.dials if d.values.numeric}
        chosen = {} if family is None else {FAMILY: family}
        params = template.anchors() | {d.path: True for d in template.dials if d.keep} | ends | chosen
        if text := _build_error(template, params):
            dial = _to_blame(template, params)
            at = f"at {format_value(params[dial.path])}, the other dials at their {word}"
            problems.add(tuple(dial.path.split(".")), f"{at}, the network does not build: {text}")


def _to_blame(template: Template, params: Params) -> Dial:
    """Return the first dial whose default alone lets the network build, or else the first not at its default."""
    moved = [d for d in template.dials if d.counts(params) and not d.opens and params[d.path] != d.anchor]
    cures = [dial for dial in moved if not _build_error(template, {**params, dial.path: dial.anchor})]
    return (cures or moved or list(template.dials))[0]


def check_study(study: StudySection, template: Template, problems: Problems) -> None:
    """Check that early stopping has epochs to stop at, and that a supernet's networks differ in the network alone."""
    train = template.base("train")
    assert isinstance(train, Recipe)
    if study.stopping is not None and not train.rungs:
        text = "there is no epoch at which trials are judged; write train: {rungs: [1, 3]}, or leave stopping out"
        problems.add(("study", "stopping"), text)
    for dial in template.dials if study.supernet is not None else ():
        if dial.path == FAMILY or not dial.path.startswith("network."):
            text = (
                "cannot be a dial with study.supernet, whose networks share their weights and everything else; "
                f"write {dial.path}: {format_value(dial.anchor)}, or leave supernet out"
            )
            problems.add(tuple(dial.path.split(".")), text)
    if study.supernet is not None and train.optimizer == "muon":
        text = "muon needs whole weights, but networks of study.supernet share parts of them; write optimizer: adamw"
        problems.add(("train", "optimizer"), text)
    if study.supernet is not None and train.first_resolution is not None:
        text = "study.supernet trains at one resolution; leave first_resolution out"
        problems.add(("train", "first_resolution"), text)


def check_fidelities(fidelities: Sequence[Mapping[str, Any]], base: Candidate, problems: Problems) -> None:
    """Check the paths of ``study.fidelities`` and the values that they replace in the candidate ``base``.

    All fidelities must validate on the same images, and none may train on images that another validates on.
    """
    allowed = fidelity_paths()
    for number, changes in enumerate(fidelities):
        where = ("study", "fidelities", number)
        for path in (unknown := [path for path in changes if path not in allowed]):
            text = f"a fidelity cannot change this; it can change {FIDELITY_LEAVES}{nearest(path, allowed)}"
            problems.add_at(problems.document.place((*where, path)), dotted((*where, path)), text)
        if unknown:
            continue
        try:
            candidate = at_fidelity(base, changes)
        except FidelityError as error:
            for at, text in explain(error.error, MODELS.get(error.section, EncodingConfig), MODELS):
                path = dotted((error.section, *at))
                problems.add_at(problems.document.place((*where, path)), dotted((*where, path)), text)
            continue
        if candidate.data.subset != base.data.subset and not isinstance(base.data.validation, int):
            text = (
                f"with data.subset in study.fidelities, a share of the images would validate on others at each "
                f"fidelity: write the number of images, such as validation: {base.data.validation_count(10_000)}"
            )
            problems.add(("data", "validation"), text)
            return
        try:
            candidate.plan()
        except PlanError as error:
            problems.add(where, f"the network does not build: {error}")


def check_recipe(
    where: Keys, recipe: Mapping[str, Any], train: Recipe, data: DataChoice, problems: Problems,
    below: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Check the paths of the recipe at ``where`` and the values that they replace, laid over the recipe ``below``."""
    paths = [f"{name}.{leaf}" for name, model in MODELS.items() for leaf in model.model_fields]
    allowed = [path for path in paths if path not in KEPT]
    unknown = [path for path in recipe if path not in allowed]
    for path in unknown:
        text = f"{dotted(where)} cannot replace this; it can replace leaves of train and data{nearest(path, allowed)}"
        problems.add_at(problems.document.place((*where, path)), dotted((*where, path)), text)
    if unknown:
        return
    whole = {**(below or {}), **recipe}
    for section, build in (("train", lambda: train_of(train, whole)), ("data", lambda: data_of(data, whole))):
        try:
            build()
        except ValidationError as error:
            for at, text in explain(error, MODELS[section], MODELS):
                path = dotted((section, *at))
                problems.add_at(problems.document.place((*where, path)), dotted((*where, path)), text)


def check_prices(
    where: Keys, points: Sequence[ReferencePoint | Published], energy: EnergyConfig, problems: Problems
) -> None:
    """Check that the energy of each published point is by a rule that the file's ``energy`` section knows."""
    for at, point in enumerate(points):
        if point.price not in energy.rules:
            text = f"given {point.price!r}; allowed are {listed(energy.rules)}{nearest(point.price, energy.rules)}"
            problems.add((*where, at, "price"), text)


def check_layer_figures(study: StudySection, base: Candidate, problems: Problems) -> None:
    """Check that the layers whose figures are objectives or constraints are in the network, kept or removed."""
    modules = [module.name for module in base.modules()]
    layers = [layer.name for layer in base.plan().convs]
    for section, names in (("objectives", study.objectives), ("constraints", study.constraints)):
        for name in names:
            layer = layer_of(name)
            if layer is not None and layer not in layers and layer.partition(".")[0] not in modules:
                text = (
                    f"the network has no layer {layer}; it has {listed(modules)}{nearest(layer, [*modules, *layers])}"
                )
                problems.add(("study", section, name), text)
