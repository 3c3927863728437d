"""What is checked of a space on load, so that bad bounds and bad schedules fail before anything trains."""

import itertools
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from reports.records.study import Leaf
from search.errors import Problem, listed, nearest
from search.space.dials import FAMILY, Dial, shown
from search.space.document import Document, Keys, dotted
from search.space.overrides import SET
from search.space.schema import Model, known, problems, said
from search.space.sections import StudySection
from search.space.template import SECTIONS, Params, Template, leaf
from snnkit.architecture.plan import PlanError
from snnkit.base.config import Config, EncodingConfig, NeuronConfig
from snnkit.data.choice import DataChoice
from snnkit.data.datasets import DATASETS
from snnkit.energy import EnergyConfig
from snnkit.families import FAMILIES, AnyFamily
from snnkit.training.recipe import Recipe


def built_problems(template: Template, document: Document) -> list[Problem]:
    """What is wrong with the encoding, else with the dials' values: each alone, and only then several together."""
    alone = list(input_problems(template, document)) or list(dial_problems(template, document))
    return alone or [*pair_problems(template, document), *extreme_problems(template, document)]


def input_problems(template: Template, document: Document) -> Iterator[Problem]:
    """An encoding that is not for what the data set holds, a recipe that is not for recordings."""
    encoding, data, train = (template.base(name) for name in ("encoding", "data", "train"))
    assert isinstance(encoding, EncodingConfig)
    assert isinstance(data, DataChoice)
    assert isinstance(train, Recipe)
    if text := unfit_recipe(encoding, train):
        yield Problem(document.place(("train",)), "train", text)
    if text := unfit(encoding, data):
        place = document.place(("encoding", "kind") if "encoding" in document.tree else ("data", "name"))
        yield Problem(place, "encoding.kind", text)


def stopping_problems(study: StudySection, template: Template, document: Document) -> Iterator[Problem]:
    """Early stopping without an epoch to stop at."""
    train = template.base("train")
    assert isinstance(train, Recipe)
    if study.stopping is not None and not train.rungs:
        text = "there is no epoch at which trials are judged; write train: {rungs: [1, 3]}, or leave stopping out"
        yield Problem(document.place(("study", "stopping")), "study.stopping", text)


def supernet_problems(study: StudySection, template: Template, document: Document) -> Iterator[Problem]:
    """Dials beside those of the network: what shares weights differs in modules and widths alone."""
    for dial in template.dials if study.supernet is not None else ():
        if dial.path == FAMILY or not dial.path.startswith("network."):
            text = (
                "cannot be a dial beside study.supernet, whose networks share weights and so all else; "
                f"write {dial.path}: {shown(dial.anchor)}, or leave supernet out"
            )
            yield Problem(document.place(tuple(dial.path.split("."))), dial.path, text)


def unfit(encoding: EncodingConfig, data: DataChoice) -> str:
    """Why ``encoding`` is not for what the data set holds; nothing where it is."""
    holds, kind = ("recordings of events", "frames") if DATASETS[data.name].events else ("still images", "direct")
    if encoding.kind == kind:
        return ""
    return f"given {encoding.kind}, but {data.name} holds {holds}; write encoding: {{kind: {kind}}}"


def unfit_recipe(encoding: EncodingConfig, train: Recipe) -> str:
    """What of ``train`` recordings of events cannot have; nothing where that is none of it."""
    if encoding.kind == "frames" and train.augment == "trivial":
        return "augment trivial changes colours, which events have none of; write augment: flip_crop"
    if encoding.kind == "frames" and train.short_epochs:
        return "short_epochs shows fewer of a recording's frames than it has; leave it out"
    return ""


def dial_problems(template: Template, document: Document) -> Iterator[Problem]:
    """Both ends of every range and every choice, each with the other dials at their defaults: one problem a dial."""
    if text := _unbuilt(template, template.anchors()):
        yield Problem(
            document.place(("network",)), "network", f"does not build with all dials at their defaults: {text}"
        )
        return
    for dial in template.dials:
        place = document.place(tuple(dial.path.split(".")))
        for value in dial.values.ends:
            params = template.anchors() | dict(dial.needs) | {dial.path: value}
            text = _refused(template, dial, params, document)
            if text:
                yield Problem(place, dial.path, text)
                break


def _refused(template: Template, dial: Dial, params: Params, document: Document) -> str:
    """Why the candidate of ``params`` cannot be; nothing where it can."""
    section = dial.path.split(".")[0]
    try:
        template.build(params).plan()
    except ValidationError as error:
        found = list(problems(error, template.models[section], (section,), document, template.models))
        own = [problem.text for problem in found if problem.path == dial.path]
        return own[0] if own else f"at {shown(params[dial.path])}: {found[0].path}: {found[0].text}"
    except PlanError as error:
        return f"at {shown(params[dial.path])} the network does not build: {error}"
    return ""


def pair_problems(template: Template, document: Document) -> Iterator[Problem]:
    """Every two dials of a section, in the network of a module, at their ends: its own rules must hold whatever is
    drawn, as a subset must leave images to train on beside any number for validation."""
    anchors = template.anchors()
    for first, second in itertools.combinations(template.dials, 2):
        section = first.path.split(".")[0]
        if first.path.rpartition(".")[0] != second.path.rpartition(".")[0]:
            continue
        for one, other in itertools.product(_ends(first), _ends(second)):
            try:
                template.section(section, anchors | {first.path: one, second.path: other})
            except ValidationError as error:
                text = f"at {shown(one)}, with {second.path} at {shown(other)}: {said(error)}"
                yield Problem(document.place(tuple(first.path.split("."))), first.path, text)
                break


def _ends(dial: Dial) -> tuple[Leaf, ...]:
    ends = dial.values.ends
    return (min(ends), max(ends)) if dial.values.numeric else ends


def extreme_problems(template: Template, document: Document) -> Iterator[Problem]:
    """All numeric dials at their smallest and at their largest, in every family: the network is planned, the dial to
    blame is named."""
    families = next((dial.values.ends for dial in template.dials if dial.path == FAMILY), (None,))
    for family, (word, choose) in itertools.product(families, (("smallest", min), ("largest", max))):
        ends = {d.path: choose(d.values.ends) for d in template.dials if d.values.numeric}
        chosen = {} if family is None else {FAMILY: family}
        params = template.anchors() | {d.path: True for d in template.dials if d.keep} | ends | chosen
        text = _unbuilt(template, params)
        if text:
            dial = _to_blame(template, params)
            yield Problem(
                document.place(tuple(dial.path.split("."))),
                dial.path,
                f"at {shown(params[dial.path])}, the other dials at their {word}, the network does not build: {text}",
            )


def _to_blame(template: Template, params: Params) -> Dial:
    """The first dial that mends the network when it alone returns to its default; else the first dial that differs."""
    moved = [d for d in template.dials if d.counts(params) and not d.opens and params[d.path] != d.anchor]
    mends = [dial for dial in moved if not _unbuilt(template, {**params, dial.path: dial.anchor})]
    return (mends or moved or list(template.dials))[0]


def _unbuilt(template: Template, params: Params) -> str:
    try:
        template.build(params).plan()
    except ValidationError as error:
        return said(error)
    except PlanError as error:
        return str(error)
    return ""


class Named:
    """The named candidates of a document: their dials, completed and checked."""

    def __init__(self, template: Template, document: Document) -> None:
        self._template = template
        self._document = document
        self._dials = {dial.path: dial for dial in template.dials}
        self._keys: dict[str, str] = {}  # candidate key -> name
        self.problems: list[Problem] = []
        self.candidates: dict[str, dict[str, Leaf]] = {}

    def read(self) -> None:
        tree = self._document.tree.get("candidates", {})
        if not isinstance(tree, dict):
            self._problem(("candidates",), f"given {shown(tree)}; write {{name: {{path: value}}}}")
            return
        for name, given in tree.items():
            keys: Keys = ("candidates", name)
            if not name.strip() or len(name) > 40 or not name.isprintable():
                self._problem(keys, "a name has 1 to 40 printable characters; choose another")
            elif not isinstance(given, dict):
                self._problem(keys, f"given {shown(given)}; write {{path: value}}, or {{}} for all defaults")
            else:
                before = len(self.problems)
                params = self._completed(keys, self._chosen(keys, given))
                if len(self.problems) == before:
                    self._add(keys, name, params)

    def _chosen(self, keys: Keys, given: Mapping[str, object]) -> dict[str, Leaf]:
        """The dials that a candidate names, at values they can have."""
        chosen: dict[str, Leaf] = {}
        for path, value in given.items():
            if path not in self._dials:
                if text := self._no_dial(path, value):
                    self._problem((*keys, path), text)
                continue
            try:
                chosen[path] = self._dials[path].canonical(value)
            except ValueError as error:
                self._problem((*keys, path), str(error))
        return chosen

    def _no_dial(self, path: str, value: object) -> str:
        """Why ``path`` cannot be chosen; nothing where the space fixes it at this very value."""
        words = tuple(path.split("."))
        if words[0] not in SECTIONS or not known(self._template.models, words):
            return f"no such dial{nearest(path, self._dials)}"
        fixed = leaf(self._template.base(words[0]), path)
        if fixed == value and isinstance(fixed, bool) == isinstance(value, bool):
            return ""
        if self._document.place(words) == SET:
            return (
                f"--set fixes it at {shown(fixed)}; leave that out, or run no named candidates: --set candidates={{}}"
            )
        return f"no dial: this space has it at {shown(fixed)}; remove this line, or make it a dial where it stands"

    def _completed(self, keys: Keys, chosen: Params) -> dict[str, Leaf]:
        """All active dials: those chosen, and the others at their defaults."""
        params: dict[str, Leaf] = {}
        for path, dial in self._dials.items():
            if unmet := dial.unmet(params):
                if path in chosen:
                    self._problem((*keys, path), f"{_uncounted(*unmet[0])} here; remove one of the two lines")
            elif path in chosen:
                params[path] = chosen[path]
            elif dial.default is not None:
                params[path] = dial.default
            else:
                self._problem(keys, f"{path} is not given and has no default; name it here, or give the dial a default")
        return params

    def _add(self, keys: Keys, name: str, params: dict[str, Leaf]) -> None:
        try:
            candidate = self._template.build(params)
            candidate.plan()
        except ValidationError as error:
            self._problem(keys, said(error))
        except PlanError as error:
            self._problem(keys, f"does not build: {error}")
        else:
            first = self._keys.setdefault(candidate.key, name)
            if first != name:
                self._problem(keys, f"equal to candidate {first}; remove one of the two")
            self.candidates[name] = params

    def _problem(self, keys: Keys, text: str) -> None:
        path = ": ".join([dotted(keys[:2]), *map(str, keys[2:])])
        self.problems.append(Problem(self._document.place(keys), path, text))


def _uncounted(path: str, value: Leaf) -> str:
    """Why a dial does not count that needs ``path`` at ``value``."""
    if path == FAMILY:
        return f"belongs to {value}, which {path} does not choose"
    return f"lies in a module that {path} removes"


ALL_SECTIONS = ("study", *SECTIONS, "candidates", "retrain", "reference", "profiles")


def section_problems(document: Document) -> Iterator[Problem]:
    """Top-level keys that are no sections."""
    if "benchmark" in document.tree and "study" not in document.tree:
        yield Problem(document.place(("benchmark",)), "benchmark", "no space; train it with: snnsearch bench")
        return
    for key in document.tree:
        if key not in ALL_SECTIONS:
            text = f"unknown section; allowed are {listed(ALL_SECTIONS)}{nearest(key, ALL_SECTIONS)}"
            yield Problem(document.place((key,)), key, text)


def tree_models(document: Document, overrides: Mapping[str, Leaf]) -> tuple[dict[str, Model], list[Problem]]:
    """The type of every section, by the family that the document names; a section whose name is unknown has none."""
    models: dict[str, Model] = {
        "study": StudySection,
        "network": Config,
        "neuron": NeuronConfig,
        "encoding": EncodingConfig,
    }
    models |= {"train": Recipe, "data": DataChoice, "energy": EnergyConfig}
    found: list[Problem] = []
    for section, key, registry in (("network", "family", FAMILIES), ("data", "name", DATASETS)):
        tree = document.tree.get(section)
        given = overrides.get(f"{section}.{key}", tree.get(key) if isinstance(tree, dict) else None)
        if isinstance(given, str) and given in registry:
            if section == "network":
                models[section] = FAMILIES[given].design
            continue
        if section == "network" and isinstance(given, dict):
            models[section] = AnyFamily
            choices = given.get("choices")
            for choice in choices if isinstance(choices, list) else ():
                if choice not in FAMILIES:
                    text = f"given {shown(choice)}; allowed are {listed(FAMILIES)}{nearest(str(choice), FAMILIES)}"
                    found.append(Problem(document.place((section, key)), FAMILY, text))
            continue
        del models[section]
        if section not in document.tree:
            text = f"is missing; write {section}: {{{key}: {next(iter(registry))}}}"
            found.append(Problem(document.place(()), section, text))
        else:
            path = f"{section}.{key}"
            said = "is missing" if given is None else f"given {shown(given)}"
            text = f"{said}; allowed are {listed(registry)}{nearest(str(given), registry)}"
            found.append(Problem(SET if path in overrides else document.place((section, key)), path, text))
    return models, found
