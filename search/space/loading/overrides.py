"""Lay a profile and the command line's ``--set`` over a document."""

from collections.abc import Mapping
from dataclasses import dataclass

from reports.records.study import Leaf
from search.errors import MAX_PROBLEMS, Keys, SpaceError, format_value, nearest
from search.space.document import MAX_DEPTH, SET, Document, Tree, parse_value
from search.space.loading.problems import Problems
from search.space.loading.schema import Model, is_known, leaf_paths
from search.space.sections import DEVICES, Device

REGISTRY_KEYS = ("family", "name")  # leaves that decide which other leaves a section has
CANDIDATES = "candidates"


@dataclass(frozen=True)
class Override:
    """One leaf that a profile or ``--set`` replaces."""

    path: str
    value: Tree
    written: Keys = ()  # where the document has it: ("profiles", "cuda", "train.epochs"); empty for --set


def read_overrides(problems: Problems, device: Device, sets: Mapping[str, Leaf]) -> list[Override]:
    """Return the leaves that the profile for ``device`` and then ``sets`` replace; text of ``sets`` is read as YAML."""
    found = _read_profile(problems, device)
    for path, value in sets.items():
        try:
            found.append(Override(path, parse_value(value, SET) if isinstance(value, str) else value))
        except SpaceError as error:
            for problem in error.problems:
                problems.add_at(SET, path, f"given {value!r}: {problem.text}")
    return found


def _read_profile(problems: Problems, device: Device) -> list[Override]:
    profiles = problems.document.tree.get("profiles", {})
    if not isinstance(profiles, dict):
        problems.add(("profiles",), f"given {format_value(profiles)}; write {{cpu: {{path: value}}}}")
        return []
    for name in [name for name in profiles if name not in DEVICES][:MAX_PROBLEMS]:
        text = f"unknown device; allowed are {', '.join(DEVICES)}{nearest(name, DEVICES)}"
        problems.add(("profiles", name), text)
    profile = profiles.get(device, {})
    if not isinstance(profile, dict):
        text = f"given {format_value(profile)}; write a mapping, such as {{train.epochs: 60}}"
        problems.add(("profiles", device), text)
        return []
    return [Override(path, value, ("profiles", device, path)) for path, value in profile.items()]


def with_registry_keys(document: Document, overrides: list[Override]) -> Document:
    """Return ``document`` with only the overrides that choose a family or a data set, which decide what other paths
    there are."""
    for override in overrides:
        *parents, last = override.path.split(".")
        if last in REGISTRY_KEYS and (len(parents) == 1 or document.has(tuple(parents))):
            document = document.overlaid((*parents, last), override.value, override.written)
    return document


def apply(
    problems: Problems, overrides: list[Override], models: Mapping[str, Model], replaceable: tuple[str, ...]
) -> Document:
    """Return the document with ``overrides`` laid over it, the last one on top, and without profiles.

    ``replaceable`` are sections without a model, which an override replaces as a whole. ``candidates.NAME`` adds or
    replaces a named candidate.
    """
    valid = _check_paths(problems, overrides, models, replaceable)
    document = problems.document.without("profiles")
    for override in valid:
        document = document.overlaid(tuple(override.path.split(".")), override.value, override.written)
    return document


def _check_paths(
    problems: Problems, overrides: list[Override], models: Mapping[str, Model], replaceable: tuple[str, ...]
) -> list[Override]:
    """Return the overrides whose path is one of the file's; add a problem for each of the others."""
    valid: list[Override] = []
    for override in overrides:
        path, keys = override.path, tuple(override.path.split("."))
        untyped = keys[0] in ("network", "data") and keys[0] not in models  # its unknown name is reported instead
        named = len(keys) == 2 and keys[0] == CANDIDATES in replaceable
        if len(keys) <= MAX_DEPTH and (path in replaceable or is_known(keys, models) or untyped or named):
            valid.append(override)
            continue
        hint = nearest(path, [*leaf_paths(models), *models, *replaceable]) if len(keys) <= MAX_DEPTH else ""
        if override.written:
            problems.add(override.written, f"no such path{hint}")
        else:
            problems.add_at(SET, path, f"no such path{hint}")
        if len(problems.found) >= MAX_PROBLEMS:
            break
    return valid
