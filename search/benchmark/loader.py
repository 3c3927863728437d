"""From a benchmark file to a Benchmark, checked before anything trains: every network is planned on every data set."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from reports.records.study import Leaf
from search.benchmark.benchmark import UNTRAINED, Benchmark
from search.benchmark.sections import (
    LAID,
    BenchmarkFile,
    DataEntry,
    NetworkOverrides,
    entry_model,
    file_model,
    group_model,
    own_model,
)
from search.errors import Problem, SpaceError, listed, nearest
from search.space import document as yaml_source
from search.space.candidate import Candidate
from search.space.dials import shown
from search.space.document import Document, Keys, Tree, dotted
from search.space.overrides import with_overrides, with_profile
from search.space.schema import Model, as_fixed, problems, said
from search.space.sections import DEVICES, Device
from search.space.validation import unfit, unfit_recipe
from snnkit.architecture.plan import PlanError
from snnkit.data.datasets import DATASETS
from snnkit.energy import ENERGY_RULES
from snnkit.families import FAMILIES

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ()+_-]{0,39}")
MOST_NETWORKS = 64  # written out, more of the largest would be no file that is read
DIAL_KEYS = ({"choices"}, {"low", "high"})
Group = dict[str, Model | None]


def load_benchmark(
    source: Path | str, *, overrides: Mapping[str, Leaf] | None = None, device: Device = "cpu"
) -> Benchmark:
    """The benchmark in a file (a Path) or a text, with its profile for ``device`` and then ``overrides`` laid over it.

    Raises SpaceError with all that is wrong, the other device's profile included: a file is right or it is not.
    """
    document = yaml_source.read(source) if isinstance(source, Path) else yaml_source.parse(source)
    if "benchmark" not in document.tree and "study" in document.tree:
        text = "a space, not a benchmark; search it with: snnsearch launch"
        raise SpaceError([Problem(document.place(("study",)), "study", text)])
    profiles = document.tree.get("profiles")
    others = [name for name in DEVICES if name != device and isinstance(profiles, dict) and name in profiles]
    found: list[Problem] = []
    benchmark = None
    for each in (*others, device):
        benchmark = _loaded(document, each, overrides or {}, found)
    if found or benchmark is None:
        raise SpaceError(found)
    return benchmark


def _loaded(
    document: Document, device: Device, overrides: Mapping[str, Leaf], found: list[Problem]
) -> Benchmark | None:
    """The benchmark as ``device`` has it; None where something is wrong, which is then added to ``found``."""
    models = _sections(_file_model(document, []))
    laid, profile_problems = with_profile(document, device, models, UNTRAINED)
    laid, override_problems = with_overrides(laid, overrides, models, UNTRAINED)
    found += [*profile_problems, *override_problems]
    wrong: list[Problem] = []
    model = _file_model(laid, wrong)
    wrong += _dials(laid.tree, (), laid)
    told = tuple(problem.path for problem in wrong)
    try:
        file = model.model_validate(as_fixed(laid.tree), strict=True)
    except ValidationError as error:
        more = problems(error, model, (), laid, _sections(model))
        wrong += [problem for problem in more if not problem.path.startswith(told)] if told else list(more)
        found += wrong
        return None
    candidates = {} if wrong else _candidates(file, laid, wrong)
    origins = {label: own.origins for label, own in _items(file.own) if own and own.origins}
    if not wrong:
        wrong += [*_starts(file, laid), *_means(file, laid), *_origins(file, origins, laid)]
        wrong += [*_built(candidates, origins, laid), *_published(file, laid)]
    found += wrong
    if wrong:
        return None
    return Benchmark(
        section=file.benchmark,
        networks=dict(_items(file.networks)),
        entries=dict(_items(file.data)),
        candidates=candidates,
        origins=origins,
        energy=file.energy,
        published=file.published,
        references=file.reference,
        tree=_tree(file),
    )


def _sections(model: type[BenchmarkFile]) -> dict[str, Model]:
    """Section -> type, where it has one: what paths are looked up in."""
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def _file_model(document: Document, found: list[Problem]) -> type[BenchmarkFile]:
    """The type of this file, by the families and data sets that it names; those unknown are added to ``found``."""
    networks = {label: _network(label, tree, document, found) for label, tree in _group(document, "networks", found)}
    data = {name: _data(name, document, found) for name, _ in _group(document, "data", found)}
    return file_model(group_model(networks), group_model(data), own_model(networks))


def _group(document: Document, section: str, found: list[Problem]) -> list[tuple[str, Tree]]:
    tree = document.tree.get(section)
    if isinstance(tree, dict) and len(tree) > MOST_NETWORKS:
        text = f"{len(tree)} of them; {MOST_NETWORKS} are the most: make several benchmarks of it"
        found.append(_problem(document, (section,), text))
        return []
    if isinstance(tree, dict) and tree:
        return [item for item in tree.items() if _labelled(section, item[0], document, found)]
    if section in document.tree:
        example = BenchmarkFile.model_fields[section].examples or [""]
        found.append(_problem(document, (section,), f"given {shown(tree)}; write {example[0]}"))
    return []


def _labelled(section: str, key: str, document: Document, found: list[Problem]) -> bool:
    """Whether ``key`` can be a label: a path of ``--set`` and a cell of a table."""
    if section == "data" or (LABEL.fullmatch(key) and not hasattr(BaseModel, key)):
        return True
    text = "cannot be a label; it has letters, digits, spaces and -+_(), 40 at most, and is no word of Python's"
    found.append(_problem(document, (section, key), text))
    return False


def _network(label: str, tree: Tree, document: Document, found: list[Problem]) -> Model | None:
    given = tree.get("family") if isinstance(tree, dict) else None
    if isinstance(given, str) and given in FAMILIES:
        design: Model = FAMILIES[given].design
        return design
    given_text = f"is missing; write family: {next(iter(FAMILIES))}" if given is None else f"given {shown(given)}"
    text = f"{given_text}; allowed are {listed(FAMILIES)}{nearest(str(given), FAMILIES) if given is not None else ''}"
    found.append(_problem(document, ("networks", label, "family"), text))
    return None


def _data(name: str, document: Document, found: list[Problem]) -> Model | None:
    if name in DATASETS:
        return entry_model(name)
    text = f"no data set; allowed are {listed(DATASETS)}{nearest(name, DATASETS)}"
    found.append(_problem(document, ("data", name), text))
    return None


def _dials(tree: Tree, keys: Keys, document: Document) -> Iterator[Problem]:
    """Leaves that are left open, as a space may have them."""
    if not isinstance(tree, dict):
        return
    if any(wanted <= set(tree) for wanted in DIAL_KEYS):
        yield _problem(document, keys, f"given {shown(tree)}, but a benchmark has no dials; write one value")
        return
    for key, below in tree.items():
        yield from _dials(below, (*keys, key), document)


def _candidates(file: BenchmarkFile, document: Document, found: list[Problem]) -> dict[str, dict[str, Candidate]]:
    """Those that can be: what does not go together, once it is laid over each other, is added to ``found``."""
    own = dict(_items(file.own))
    candidates: dict[str, dict[str, Candidate]] = {}
    for name, entry in _items(file.data):
        candidates[name] = {}
        for label, network in _items(file.networks):
            layers = {("data", name): entry, ("own", label): own[label] or NetworkOverrides()}
            sections: dict[str, Any] = {}
            for section in LAID:
                given = {keys: part for keys, each in layers.items() if (part := getattr(each, section, None))}
                try:
                    sections[section] = _overlaid(getattr(file, section), given.values())
                except ValidationError as error:
                    problem = _problem(document, (*list(given)[-1], section), said(error))
                    found += [] if problem in found else [problem]  # with another data set
            if len(sections) == len(LAID):
                candidates[name][label] = Candidate(network=network, data=entry.choice, energy=file.energy, **sections)
    return candidates


def _overlaid(general: Any, parts: Iterable[Any]) -> Any:
    """``general`` with what each of ``parts`` names in its place, the last one's word being final. Raises
    ValidationError."""
    fields = general.model_dump()
    for part in parts:
        fields |= part.model_dump(exclude_unset=True)
    return type(general)(**fields)


def _means(file: BenchmarkFile, document: Document) -> Iterator[Problem]:
    """Means that are said to be something else too."""
    for label, own in ((label, each) for label, each in _items(file.own) if each and each.mean_of):
        keys = ("own", label, "mean_of")
        if own.weights is not None:
            text = "given beside weights; a network begins with one or is the mean of several: keep one of the two"
            yield _problem(document, keys, text)
        if len(set(own.mean_of)) < len(own.mean_of):
            yield _problem(document, keys, f"given {', '.join(own.mean_of)}; name each network once")
        if others := sorted(_named(own).get("train", {}).keys() - {"recalibrate"}):
            text = f"given {listed(others)}, but a mean is not trained; of train it may have recalibrate"
            yield _problem(document, ("own", label, "train"), text)


def _origins(
    file: BenchmarkFile, origins: Mapping[str, tuple[str, ...]], document: Document
) -> Iterator[Problem]:  # fmt: skip
    """Weights of what is not here, of what has other layers, or what is trained later."""
    networks, own = dict(_items(file.networks)), dict(_items(file.own))
    for label, origin in ((label, origin) for label, each in origins.items() for origin in dict.fromkeys(each)):
        others = list(networks)[: list(networks).index(label)]
        if origin in others and networks[origin] == networks[label]:
            continue
        if origin in others:
            text = f"given {origin}, which is another network; write the same as in networks.{origin}"
        elif origin in networks:
            text = f"given {origin}, which does not stand above it in networks; move it there"
        else:
            allowed = listed(others) or "networks that stand above it"
            text = f"given {origin!r}; allowed are {allowed}{nearest(origin, others)}"
        yield _problem(document, ("own", label, "mean_of" if own[label].mean_of else "weights"), text)


def _built(
    candidates: Mapping[str, Mapping[str, Candidate]], origins: Mapping[str, tuple[str, ...]], document: Document
) -> Iterator[Problem]:
    """Encodings that are not for their data set, networks that do not build on one, and networks that are equal."""
    for data, row in candidates.items():
        first: dict[tuple[str, tuple[str, ...]], str] = {}
        misfits = {label: text for label, each in row.items() if (text := unfit(each.encoding, each.data))}
        if len(misfits) == len(row):
            yield _problem(document, ("data", data, "encoding"), next(iter(misfits.values())))
        else:
            yield from (_problem(document, ("own", label, "encoding"), text) for label, text in misfits.items())
        for label, candidate in row.items():
            if text := unfit_recipe(candidate.encoding, candidate.train):
                yield _problem(document, ("networks", label), f"as it is trained on {data}: {text}")
            try:
                candidate.plan()
            except PlanError as error:
                yield _problem(document, ("networks", label), f"does not build on {data}: {error}")
                continue
            if (other := first.setdefault((candidate.key, origins.get(label, ())), label)) != label:
                yield _problem(document, ("networks", label), f"equal to {other}; remove one of the two")


def _starts(file: BenchmarkFile, document: Document) -> Iterator[Problem]:
    """Weights from relatives, where each training is compared with the others as what it is by itself."""
    sections = (("data", file.data), ("own", file.own))
    own = [((name, key, "train"), each.train) for name, group in sections for key, each in _items(group) if each]
    for keys, train in [(("train",), file.train), *own]:
        if train is not None and train.start == "inherit":
            text = (
                "given 'inherit', but a benchmark's trainings have no nearest relative; allowed are scratch, cnn; for "
                "the weights of another network write own: {NAME: {weights: OTHER}}"
            )
            yield _problem(document, (*keys, "start"), text)


def _published(file: BenchmarkFile, document: Document) -> Iterator[Problem]:
    """Published figures of what is not trained here, named twice, or priced by an unknown rule."""
    networks, data = (list(type(group).model_fields) for group in (file.networks, file.data))
    seen: dict[tuple[str, str, str], int] = {}
    for at, point in enumerate(file.published):
        for key, given, allowed in (("network", point.network, networks), ("data", point.data, data)):
            if given not in allowed:
                text = f"given {given!r}; this benchmark has {listed(allowed)}{nearest(given, allowed)}"
                yield _problem(document, ("published", at, key), text)
        before = seen.setdefault((point.data, point.network, point.kind), at)
        if before != at:
            yield _problem(document, ("published", at), f"the same as published[{before}]; remove one of the two")
    if file.reference and len(data) > 1:
        text = f"a point is of one data set, but this benchmark has {listed(data)}; use published instead"
        yield _problem(document, ("reference",), text)
    for name, points in (("published", file.published), ("reference", file.reference)):
        for at, price in enumerate(point.price for point in points):
            if price not in ENERGY_RULES:
                text = f"given {price!r}; allowed are {listed(ENERGY_RULES)}{nearest(price, ENERGY_RULES)}"
                yield _problem(document, (name, at, "price"), text)


def _tree(file: BenchmarkFile) -> dict[str, Any]:
    """The file with every leaf written out; an entry of ``data`` has its own leaves of other sections alone."""
    tree = file.model_dump(mode="json")
    tree["data"] = {name: _entry_tree(entry) for name, entry in _items(file.data)}
    tree["own"] = {label: _own_tree(own) for label, own in _items(file.own) if own}
    if not tree["own"]:
        del tree["own"]
    tree |= {name: [_brief(point) for point in getattr(file, name)] for name in ("published", "reference")}
    return tree


def _own_tree(own: NetworkOverrides) -> dict[str, Any]:
    return own.model_dump(mode="json", include={"weights", "mean_of"}, exclude_none=True) | _named(own)


def _entry_tree(entry: DataEntry) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude={"name", *LAID}) | _named(entry)


def _named(layer: NetworkOverrides | DataEntry) -> dict[str, Any]:
    """The leaves that are named, null too, which may be another value than the one below."""
    parts = {section: getattr(layer, section, None) for section in LAID}
    return {section: part.model_dump(mode="json", exclude_unset=True) for section, part in parts.items() if part}


def _brief(point: BaseModel) -> dict[str, Any]:
    return {key: value for key, value in point.model_dump(mode="json").items() if value not in (None, "")}


def _items(group: BaseModel) -> list[tuple[str, Any]]:
    return [(key, getattr(group, key)) for key in type(group).model_fields]


def _problem(document: Document, keys: Keys, text: str) -> Problem:
    return Problem(document.place(keys), dotted(keys), text)
