"""A space with its profile and the command line's ``--set`` laid over it."""

from collections.abc import Mapping
from dataclasses import replace

from reports.records.study import Leaf
from search.errors import MAX_PROBLEMS, Place, Problem, SpaceError, nearest
from search.space.dials import shown
from search.space.document import MOST_DEPTH, Document, Keys, Tree, parse_value
from search.space.schema import Model, known, leaf_paths
from search.space.sections import DEVICES, Device

SET = Place("--set")


def with_profile(
    document: Document, device: Device, models: Mapping[str, Model], whole: tuple[str, ...]
) -> tuple[Document, list[Problem]]:
    """``document`` with the leaves that its profile for ``device`` replaces, and without profiles. ``whole``: sections
    that can be replaced as a whole only."""
    profiles = document.tree.get("profiles", {})
    bare = replace(document, tree={key: value for key, value in document.tree.items() if key != "profiles"})
    if not isinstance(profiles, dict):
        return bare, [_problem(document, ("profiles",), f"given {shown(profiles)}; write {{cpu: {{path: value}}}}")]
    problems = [
        _problem(
            document, ("profiles", name), f"unknown device; allowed are {', '.join(DEVICES)}{nearest(name, DEVICES)}"
        )
        for name in profiles
        if name not in DEVICES
    ]
    profile = profiles.get(device, {})
    if not isinstance(profile, dict):
        text = f"given {shown(profile)}; write a mapping, such as {{train.epochs: 60}}"
        return bare, [*problems, _problem(document, ("profiles", device), text)]
    for path, value in profile.items():
        at = ("profiles", device, path)
        if len(problems) >= MAX_PROBLEMS:
            break
        if text := _unknown(path, models, whole):
            problems.append(_problem(document, at, text))
        else:
            bare = _with_leaf(
                bare, tuple(path.split(".")), value, {k[3:]: p for k, p in document.places.items() if k[:3] == at}
            )
    return bare, problems


def with_overrides(
    document: Document, overrides: Mapping[str, Leaf], models: Mapping[str, Model], whole: tuple[str, ...]
) -> tuple[Document, list[Problem]]:
    """``document`` with ``path: value`` pairs laid over it; a text is read as YAML."""
    problems = []
    for path, value in overrides.items():
        if text := _unknown(path, models, whole):
            problems.append(Problem(SET, path, text))
            continue
        try:
            tree = parse_value(value, SET) if isinstance(value, str) else value
        except SpaceError as error:
            problems.extend(Problem(SET, path, f"given {value!r}: {problem.text}") for problem in error.problems)
        else:
            document = _with_leaf(document, tuple(path.split(".")), tree, {(): SET})
    return document, problems


def _unknown(path: str, models: Mapping[str, Model], more: tuple[str, ...] = ()) -> str:
    """What to say of a path that is not in the tree; nothing where it is."""
    keys = tuple(path.split("."))
    if len(keys) > MOST_DEPTH:
        return "no such path"
    if path in more or known(models, keys) or (keys[0] in ("network", "data") and keys[0] not in models):
        return ""
    return f"no such path{nearest(path, [*leaf_paths(models), *models, *more])}"


def _with_leaf(document: Document, keys: Keys, value: Tree, places: Mapping[Keys, Place]) -> Document:
    """``places``: where the value and what is in it were written, relative to the value."""
    kept = {at: place for at, place in document.places.items() if at[: len(keys)] != keys}
    return replace(
        document,
        tree=placed(document.tree, keys, value),
        places=kept | {(*keys, *below): place for below, place in places.items()},
    )


def placed(tree: Mapping[str, Tree], keys: Keys, value: Tree) -> dict[str, Tree]:
    """A copy of ``tree`` with ``value`` at ``keys``."""
    first, rest = str(keys[0]), keys[1:]
    if not rest:
        return {**tree, first: value}
    below = tree.get(first)
    return {**tree, first: placed(below if isinstance(below, dict) else {}, rest, value)}


def _problem(document: Document, keys: Keys, text: str) -> Problem:
    return Problem(document.place(keys), ".".join(map(str, keys)), text)
