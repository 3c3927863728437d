"""The spaces and benchmarks that come with snnsearch. Commands take them by name, without a path."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from search.errors import InputError, listed, nearest

_PACKAGE = Path(__file__).parents[1]
_INSTALLED = _PACKAGE / "shipped"
_CHECKOUT = _PACKAGE.parent / "spaces"


@dataclass(frozen=True)
class ShippedFile:
    """``about`` is the first sentence of the comment that the file begins with."""

    name: str
    kind: Literal["space", "benchmark"]
    about: str
    path: Path


def shipped_files() -> dict[str, ShippedFile]:
    """Return the shipped files by name."""
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    return {path.stem: _describe(path) for path in sorted(folder.glob("*.yaml"))}


def find_file(given: Path) -> Path:
    """Return the file that ``given`` names: a path, or the name of a shipped file with ``-`` or ``_``.

    A missing path is returned as it is, for its reader to complain. Raises InputError if it is missing and a file
    of the same name is shipped, or if a name without folder and ending is unknown.
    """
    if given.exists() and not given.is_dir():
        return given
    files, name = shipped_files(), _stem(given.name)
    bare = given.name == str(given)
    if name in files and bare:
        return files[name].path
    if name in files:
        raise InputError(f"{given}: no such file. One of that name comes with snnsearch; write {name} for {given}")
    if bare and not given.suffix:
        raise InputError(
            f"{given}: no such file, and none of that name is shipped: {listed(files)}{nearest(name, files)}"
        )
    return given


def copy_file(name: str, to: Path) -> Path:
    """Copy a shipped file to the folder or file ``to`` and return the copy's path.

    Raises InputError if no file of that name is shipped, or the copy exists or cannot be written.
    """
    files, stem = shipped_files(), _stem(name)
    if stem not in files:
        raise InputError(f"no shipped file {name!r}. There are {', '.join(files)}{nearest(stem, files)}")
    path = to / f"{stem}.yaml" if to.is_dir() else to
    try:
        with path.open("xb") as copy:
            copy.write(files[stem].path.read_bytes())
    except FileExistsError:
        raise InputError(
            f"{path} exists and is not overwritten. Write another: snnsearch spaces copy {stem} FILE"
        ) from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def _describe(path: Path) -> ShippedFile:
    text = path.read_text(encoding="utf-8")
    lines = itertools.takewhile(lambda line: line.startswith("# "), text.splitlines())
    comment = " ".join(line.removeprefix("# ").strip() for line in lines)
    sentence = re.match(r".*?[.?](?=\s|$)", comment)
    about = sentence.group().rstrip(".") if sentence else comment
    return ShippedFile(path.stem, "benchmark" if "\nbenchmark:" in text else "space", about, path)


def _stem(name: str) -> str:
    """Return the name of a shipped file as it may be written: with ``-`` or ``_``, with or without ``.yaml``."""
    return name.removesuffix(".yaml").replace("-", "_")
