"""Complete a data section that describes files of the user: find the files, read them, and write in what they hold."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from search.errors import Keys
from search.space.document import SET, TEXT, Document, Tree, with_value
from search.space.loading.problems import Problems, as_strict
from snnkit.data.choice import OPTIONS, source_of
from snnkit.data.datasets import DATASETS
from snnkit.data.described import identify
from snnkit.data.images import DataError, DataProblems
from snnkit.data.sources.source import FILE_KINDS, KINDS, DataSource, Kind

LEAVES = ("name", "resolution", *OPTIONS)  # of a data section, that decide how files are read and what they are called


def is_described(tree: Tree) -> bool:
    """Return whether a data section names files, or a data set of a library, in place of one of our data sets."""
    return isinstance(tree, dict) and any(tree.get(kind) is not None for kind in KINDS)


def complete(problems: Problems, sections: Iterable[tuple[str, ...]]) -> Problems:
    """Return the document with the described data sections at ``sections`` completed.

    Files that are new or have changed are read. Whatever is wrong with them is added as problems.
    """
    document = problems.document
    for keys in sections:
        tree = _at(document.tree, keys)
        if isinstance(tree, dict) and is_described(tree) and tree.get("content") is None:
            document = _completed(document, keys, tree, problems)
    return Problems(document, problems.found)


def source_in(
    tree: Mapping[str, Tree], base: Path, label: str | None = None, *, resolutions: Iterable[Tree] = ()
) -> DataSource:
    """Return the source that the leaves of a data section describe; relative paths begin at ``base``.

    Pictures are read at the largest of the section's resolution and ``resolutions``, unless it has a size.

    Raises:
        ValidationError: a leaf has a wrong value.
        RuntimeError: the home folder behind ~ is unknown.
    """
    kind = next(kind for kind in KINDS if tree.get(kind) is not None)
    given = str(tree[kind])
    place = os.path.normpath(base / Path(given).expanduser()) if kind in FILE_KINDS else given
    leaves: dict[str, Any] = {key: as_strict(value) for key, value in tree.items()} | {kind: place}
    if kind != "npz" and leaves.get("size") is None:
        leaves["size"] = _largest([tree.get("resolution"), *resolutions])
    words = tree.get("name") or (Path(place).stem if kind == "npz" else Path(place).name)
    return source_of(label or _label(str(words), kind), kind, leaves)


def _completed(document: Document, keys: tuple[str, ...], tree: dict[str, Tree], problems: Problems) -> Document:
    kinds = [kind for kind in KINDS if tree.get(kind) is not None]
    given = tree[kinds[0]]
    if len(kinds) > 1:
        problems.add(keys, f"given {' and '.join(kinds)}; write one of them")
        return document
    if not isinstance(given, str) or not given:
        return document  # the type of the data section says so
    kind = kinds[0]
    if keys == ("data",) and tree.get("name") in DATASETS:
        problems.add((*keys, kind), f"given name: {tree['name']} and {kind}; write one of them")
        return document
    if keys[-1] in DATASETS:
        problems.add(keys, f"given {kind} under the name of another data set; give yours another label, such as own")
        return document
    try:
        label = keys[-1] if len(keys) > 1 else None
        source = source_in(tree, _base(document, (*keys, kind)), label, resolutions=_later_resolutions(document))
    except ValidationError:
        return document  # likewise
    except RuntimeError:
        problems.add((*keys, kind), f"given {given}; the home folder behind ~ is unknown: write the whole path")
        return document
    try:
        found = identify(source)
    except DataProblems as error:
        for problem in error.problems:
            problems.add((*keys, kind), problem)
        return document
    except DataError as error:
        problems.add((*keys, kind), str(error))
        return document
    return replace(document, tree=with_value(document.tree, keys, {**tree, **_written(found, len(keys) == 1)}))


def _at(tree: Tree, keys: tuple[str, ...]) -> Tree:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _base(document: Document, keys: Keys) -> Path:
    """Return where a relative path begins: the file's folder, or the current one if it was typed or is in no file."""
    typed = document.place(keys) == SET or document.file == TEXT
    return Path.cwd() if typed else Path(document.file).absolute().parent


def _label(words: str, kind: Kind) -> str:
    """Return ``words`` as a name for reports, benchmarks and ``--set``: letters, digits, '-' and '_'."""
    label = re.sub(r"[^A-Za-z0-9_]+", "-", words).strip("-_")[:32] or kind
    return f"{label}-{kind}" if label in DATASETS or hasattr(BaseModel, label) else label


def _largest(resolutions: Iterable[Tree]) -> int | None:
    """Return the largest of ``resolutions``, which may be dials; None if they leave it to the pictures."""
    found: list[Tree] = []
    for each in resolutions:
        given = each.get("choices", [each.get("high")]) if isinstance(each, dict) else [each]
        found += given if isinstance(given, list) else []
    return max((each for each in found if isinstance(each, int) and not isinstance(each, bool)), default=None)


def _later_resolutions(document: Document) -> list[Tree]:
    """Return the resolutions at which finalists and candidates at other fidelities are trained."""
    recipes = [_at(document.tree, ("retrain",)), _at(document.tree, ("study", "finals", "recipe"))]
    fidelities = _at(document.tree, ("study", "fidelities"))
    recipes += fidelities if isinstance(fidelities, list) else []
    return [recipe.get("data.resolution") for recipe in recipes if isinstance(recipe, dict)]


def _written(source: DataSource, with_name: bool) -> dict[str, Tree]:
    """Return the leaves of a completed section."""
    assert source.content is not None
    content: dict[str, Tree] = source.content.model_dump(mode="json")
    leaves: dict[str, Tree] = {source.kind: source.place, "content": content}
    if source.size is not None:
        leaves["size"] = source.size
    return leaves | ({"name": source.label} if with_name else {})
