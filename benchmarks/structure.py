"""Measure how far a reader of the code has to walk.

    python -m benchmarks.structure
    python -m benchmarks.structure --root /old/checkout --load-space search.space:load_space \\
        --resume search.launch:resume --training search.trial:run

Prints, for the packages of a checkout: entries of the largest folder; levels of imports, arrows and circles between the
folders of each package; and for two walks the files visited, stays and returns. The walks are `load_space` of
spaces/squeezenet_prune.yaml and `resume` of the study in tests/golden, from its call until the training starts.

A walk lists each function of the project at its first call, in call order. A stay is a maximal run of such calls in one
file. Returns are stays minus files: how often a reader goes back to a file that he had left. The last column
counts returns without functions of one statement, such as properties: a reader takes them by their name. A second row
of each walk counts the files of `search` alone. All modules are imported beforehand, so lazy imports change nothing.
"""

import argparse
import ast
import importlib
import itertools
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import cache
from inspect import CO_OPTIMIZED
from io import StringIO
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import grimp

PACKAGES = ("search", "snnkit", "reports")
ROOT = Path(__file__).parents[1]
SPACE = "spaces/squeezenet_prune.yaml"
STUDY = ROOT / "tests/golden/stored/old-study"


# -- folders and imports ----------------------------------------------------------------------------------------------


def largest_folder(package: Path) -> tuple[Path, int]:
    """Return the folder with the most entries: modules, without ``__init__.py``, and folders that hold modules."""
    folders = [package, *(path for path in package.rglob("*") if path.is_dir())]
    counted = {folder: sum(map(_is_entry, folder.iterdir())) for folder in folders}
    return max(counted.items(), key=lambda item: item[1])


def _is_entry(path: Path) -> bool:
    if path.is_dir():
        return next(path.rglob("*.py"), None) is not None
    return path.suffix == ".py" and path.name != "__init__.py"


def arrows(graph: grimp.ImportGraph, package: str) -> set[tuple[str, str]]:
    """Return (importing, imported) for each pair of the package's folders and top-level modules."""
    children = graph.find_children(package)
    pairs = itertools.permutations(sorted(children), 2)
    return {(a, b) for a, b in pairs if graph.direct_import_exists(importer=a, imported=b, as_packages=True)}


def levels(imports: set[tuple[str, str]]) -> int:
    """Return the number of members on the longest chain of ``imports``. A circle counts as one member."""
    below: dict[str, set[str]] = {}
    for importer, imported in imports:
        below.setdefault(importer, set()).add(imported)
        below.setdefault(imported, set())
    circle = {name: frozenset(_circle(name, below)) for name in below}
    depth: dict[frozenset[str], int] = {}

    def deep(members: frozenset[str]) -> int:
        if members not in depth:
            lower = {circle[other] for name in members for other in below[name]} - {members}
            depth[members] = 1 + max(map(deep, lower), default=0)
        return depth[members]

    return max(map(deep, circle.values()), default=1)


def circles(imports: set[tuple[str, str]]) -> int:
    """Return the number of groups whose members all import each other, directly or not."""
    below: dict[str, set[str]] = {}
    for importer, imported in imports:
        below.setdefault(importer, set()).add(imported)
        below.setdefault(imported, set())
    return len({frozenset(group) for name in below if len(group := _circle(name, below)) > 1})


def _circle(name: str, below: dict[str, set[str]]) -> set[str]:
    """Return ``name`` and all that both reach it and are reached from it."""
    return {name} | {other for other in _reached(name, below) if name in _reached(other, below)}


def _reached(name: str, below: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    queue = [name]
    while queue:
        for other in below[queue.pop()] - found:
            found.add(other)
            queue.append(other)
    return found


# -- walks ------------------------------------------------------------------------------------------------------------


class Arrived(BaseException):
    """The walk has reached its end."""


@dataclass
class Walk:
    """The functions below ``folders``, at their first calls between ``start`` and ``end``, not within ``skip``."""

    folders: tuple[str, ...]
    start: CodeType
    end: CodeType | None = None
    skip: CodeType | None = None
    skipped: FrameType | None = None  # the call of ``skip`` that is running
    seen: set[CodeType] = field(default_factory=set)
    visits: list[CodeType] = field(default_factory=list)

    def run(self, call: Callable[[], object]) -> None:
        sys.setprofile(self._record)
        try:
            call()
        except Arrived:
            pass
        finally:
            sys.setprofile(None)

    def _record(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if self.skipped is not None:
            self.skipped = None if frame is self.skipped and event == "return" else self.skipped
            return
        if code is self.skip and event == "call":
            self.skipped = frame
        if event != "call" or code in self.seen or not self._is_function(code):
            return
        if not self.visits and code is not self.start:
            return
        if code is self.end:
            raise Arrived
        self.seen.add(code)
        self.visits.append(code)

    def _is_function(self, code: CodeType) -> bool:
        """Not a module, a class body, a lambda or a comprehension."""
        named = bool(code.co_flags & CO_OPTIMIZED) and not code.co_name.startswith("<")
        return named and code.co_filename.startswith(self.folders)

    def row(self, name: str, folder: str) -> str:
        """Return the line of the table that counts the files below ``folder``."""
        visits = [code for code in self.visits if code.co_filename.startswith(folder)]
        files = [code.co_filename for code in visits]
        longer = [code.co_filename for code in visits if code.co_firstlineno not in _one_statement(code.co_filename)]
        return (
            f"| {name} | {len(files)} | {len(set(files))} | {_stays(files)} | {_returns(files)} | {_returns(longer)} |"
        )


def _stays(files: list[str]) -> int:
    return sum(1 for _ in itertools.groupby(files))


def _returns(files: list[str]) -> int:
    return _stays(files) - len(set(files))


@cache
def _one_statement(file: str) -> frozenset[int]:
    """Return the first lines of the functions in ``file`` whose body is one simple statement, docstrings aside."""
    functions = [node for node in ast.walk(ast.parse(Path(file).read_bytes())) if isinstance(node, ast.FunctionDef)]
    short = [
        node for node in functions if len(body := _body(node)) <= 1 and not hasattr(next(iter(body), None), "body")
    ]
    return frozenset(min(node.lineno, *(each.lineno for each in node.decorator_list), node.lineno) for node in short)


def _body(node: ast.FunctionDef) -> list[ast.stmt]:
    """Return the statements of a function without its docstring."""
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def function(name: str) -> Any:
    """Return the function that "module:function" names."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def import_all() -> None:
    """Import every module of the packages, except those that need a library that is not installed."""
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".__main__"):  # its import would run the command line
                with suppress(ImportError):
                    importlib.import_module(module.name)


def walk_load_space(root: Path, load_space: str) -> Walk:
    load = function(load_space)
    walk = Walk(_folders(root), load.__code__)
    walk.run(lambda: load(root / SPACE))
    return walk


def walk_resume(root: Path, resume: str, training: str, skip: str | None = None) -> Walk:
    """Resume a copy of the stored study through the command line, and stop at the call of ``training``."""
    skipped = None if skip is None else function(skip).__code__
    walk = Walk(_folders(root), function(resume).__code__, function(training).__code__, skipped)
    with tempfile.TemporaryDirectory() as runs, redirect_stdout(StringIO()):
        shutil.copytree(STUDY, Path(runs) / STUDY.name)
        words = ["resume", STUDY.name, "--runs", runs, "--executor", "inline", "--trials", "1"]
        sys.argv = ["snnsearch", *words]
        walk.run(function("search.cli:main"))
    return walk


def _folders(root: Path) -> tuple[str, ...]:
    return tuple(f"{root / package}{os.sep}" for package in PACKAGES)


# -- the command ------------------------------------------------------------------------------------------------------


def lines(root: Path, options: argparse.Namespace) -> Iterator[str]:
    yield "| package | entries of the largest folder | levels | arrows | circles |"
    yield "|---|---|---|---|---|"
    for package in PACKAGES:
        folder, entries = largest_folder(root / package)
        graph = grimp.build_graph(package, cache_dir=None)
        found = arrows(graph, package)
        of_modules = {(a, b) for a in graph.modules for b in graph.find_modules_directly_imported_by(a)}
        rings = f"{circles(found)} of folders, {circles(of_modules)} of modules"
        yield f"| {package} | {entries} ({folder.relative_to(root)}) | {levels(found)} | {len(found)} | {rings} |"
    yield "\n| walk | functions | files | stays | returns | longer functions |\n|---|---|---|---|---|---|"
    import_all()
    walks = {
        "load_space": walk_load_space(root, options.load_space),
        "resume": walk_resume(root, options.resume, options.training),
        "resume without load_space": walk_resume(root, options.resume, options.training, options.load_space),
    }
    for name, walk in walks.items():
        yield walk.row(name, str(root))
        yield walk.row(f"{name}, in search", f"{root / 'search'}{os.sep}")


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure")
    found.add_argument("--load-space", default="search.space.loading.loader:load_space", help="module:function")
    found.add_argument("--resume", default="search.runner.launch:resume", help="module:function")
    found.add_argument("--training", default="search.trial.run:run", help="module:function that starts a training")
    return found


def main(words: Sequence[str] | None = None) -> None:
    options = parser().parse_args(words)
    root = options.root.resolve()
    if os.environ.get("PYTHONPATH") != str(root) or Path.cwd() != root:  # start again where `search` is the checkout's
        command = [sys.executable, "-B", "-P", __file__, *(sys.argv[1:] if words is None else words)]
        sys.exit(subprocess.run(command, env=os.environ | {"PYTHONPATH": str(root)}, cwd=root, check=False).returncode)
    for line in lines(root, options):
        print(line, flush=True)


if __name__ == "__main__":
    main()
