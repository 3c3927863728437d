"""The code of a plug-in: where it is, what it contains, and how it is imported."""

import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import Field

from search.errors import InputError
from snnkit.base.config import Config

MAX_BYTES = 256 * 2**10  # of the code that a study stores; a larger package must be installed wherever it is used
COMPILED = tuple(importlib.machinery.EXTENSION_SUFFIXES)
FILES = "snnsearch_plugins"  # package of the modules that are files


class PluginError(InputError):
    """A plug-in cannot be found, imported or used. The text says which one, why, and what to do."""


class Source(Config):
    """The code of a file or of a whole package.

    ``files`` is empty for a package that is larger than 256 KiB or has compiled parts. It must then be installed, in
    the same version, on every machine.
    """

    origin: str  # the file, or the package's folder, at the launch
    version: str | None = None  # "my-package 1.2", of an installed package
    digest: str  # SHA-256 of all its Python files
    files: dict[str, str] = Field(default_factory=dict)  # path below the package's parent folder -> text

    @property
    def is_stored(self) -> bool:
        return bool(self.files)

    def content_digest(self) -> str:
        """Return the SHA-256 of the stored files, whatever ``digest`` says; ``digest`` if none are stored."""
        return _digest({name: text.encode() for name, text in self.files.items()}) if self.files else self.digest


def split(reference: str) -> tuple[str, str]:
    """Return the module or file, and the attribute. Raises PluginError if ``reference`` is not of that form."""
    code, colon, attribute = reference.rpartition(":")
    if not (colon and code and all(part.isidentifier() for part in attribute.split("."))):
        raise PluginError(f"given {reference!r}; write my_package.module:attribute, or ./file.py:attribute")
    if not is_file(code) and not all(part.isidentifier() for part in code.split(".")):
        raise PluginError(f"given {reference!r}; {code!r} is no module. A file ends in .py: ./file.py:{attribute}")
    return code, attribute


def is_file(code: str) -> bool:
    """Return whether ``code`` names a file, not a module."""
    return code.endswith(".py")


def source_key(code: str) -> str:
    """Return the key of the source that holds ``code``: the file itself, or the top-level package."""
    return code if is_file(code) else code.partition(".")[0]


def find(key: str, folder: Path) -> Source:
    """Return the code of ``key`` on this machine: a file relative to ``folder``, or a package.

    A package is searched where Python imports from, then in ``folder``, then in the current folder. Raises PluginError.
    """
    if is_file(key):
        path = (folder / Path(key).expanduser()).resolve()
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise PluginError(f"no such file: {path}. A path is relative to the space's folder") from None
        except (OSError, UnicodeDecodeError) as error:
            raise PluginError(f"cannot read {path}: {error}") from error
        if len(text.encode()) > MAX_BYTES:
            raise PluginError(f"{path} has more than {MAX_BYTES // 2**10} KiB; make it a package and install it")
        return Source(origin=str(path), digest=_digest({path.name: text.encode()}), files={path.name: text})
    root = _package_root(key, folder)
    contents = dict(_contents(root))
    if root.is_dir() and not contents:
        raise PluginError(f"{root} holds no Python files")
    storable = sum(map(len, contents.values())) <= MAX_BYTES and not _has_compiled_parts(root)
    return Source(
        origin=str(root),
        version=_installed_version(key, root),
        digest=_digest(contents),
        files={name: data.decode() for name, data in contents.items()} if storable else {},
    )


def load(reference: str, source: Source) -> Any:
    """Import the attribute that ``reference`` names, from ``source``. Raises PluginError."""
    code, attribute = split(reference)
    found: Any = _import_file(code, source) if is_file(code) else _import_module(code, source)
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name in vars(found) if not name.startswith("_")]
            raise PluginError(f"{code} has no attribute {part!r}; it has {', '.join(names[:12]) or 'none'}")
        found = getattr(found, part)
    return found


def _import_file(code: str, source: Source) -> ModuleType:
    """Import a file as a module of its own. Equal files are imported once, different ones side by side."""
    ((file, text),) = source.files.items()
    name = f"{FILES}.{Path(file).stem}_{source.content_digest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = source.origin
    sys.modules[name] = module
    try:
        exec(compile(text, source.origin, "exec"), module.__dict__)  # the user's own code
    except Exception as error:
        del sys.modules[name]
        hint = ". A file stands alone: to import its neighbours, make them a package and write package.module:attribute"
        beside = hint if isinstance(error, ImportError) else ""
        raise PluginError(f"{code} cannot be imported: {_why(error, source)}{beside}") from error
    return module


def _import_module(code: str, source: Source) -> ModuleType:
    """Import a module of a package: the one that Python finds if it is the same, else the stored one."""
    top = source_key(code)
    if _loaded_digests.get(top) != source.digest:
        _prepare(top, source)
    try:
        module = importlib.import_module(code)
    except Exception as error:
        raise PluginError(f"{code} cannot be imported: {_why(error, source)}") from error
    _loaded_digests[top] = source.digest
    return module


_loaded_digests: dict[str, str] = {}  # of the packages that were imported for plug-ins, by name


def _prepare(top: str, source: Source) -> None:
    """Make sure that importing ``top`` gives the code of ``source``. Raises PluginError if it cannot."""
    here = _find_importable(top)
    same = here is not None and _digest(dict(_contents(here))) == source.digest
    if top in _loaded_digests:
        raise PluginError(
            f"package {top} was loaded with other contents in this process. Start a new process (in a notebook, "
            "restart the kernel) to use the changed code"
        )
    if same:
        return
    if not source.is_stored:
        wanted = source.version or f"the code of {source.origin}, SHA-256 {source.digest[:16]}"
        there = "it is not installed" if here is None else f"{_installed_version(top, here) or here} is installed"
        how = f"; pip install '{source.version.replace(' ', '==')}'" if source.version else ""
        raise PluginError(f"package {top} must be {wanted}; here {there}{how}")
    if top in sys.modules:
        raise PluginError(
            f"package {top} is loaded from {here}, which differs from the study's own copy. Start a new process that "
            f"does not import {top} first"
        )
    sys.meta_path.insert(0, _StoredPackage(top, source))


class _StoredPackage(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Import a package from the text in a study instead of from files."""

    def __init__(self, top: str, source: Source) -> None:
        self._top, self._source = top, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != self._top or not (self._file(fullname) or self.is_package(fullname)):
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=self.is_package(fullname))

    def is_package(self, fullname: str) -> bool:
        folder = fullname.replace(".", "/") + "/"
        return any(name.startswith(folder) for name in self._source.files)

    def get_source(self, fullname: str) -> str:
        return self._source.files.get(self._file(fullname) or "", "")

    def get_filename(self, fullname: str) -> str:
        return str(Path(self._source.origin).parent / (self._file(fullname) or fullname))

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        module.__file__ = self.get_filename(name)
        exec(compile(self.get_source(name), module.__file__, "exec"), module.__dict__)

    def _file(self, fullname: str) -> str | None:
        base = fullname.replace(".", "/")
        return next((name for name in (f"{base}.py", f"{base}/__init__.py") if name in self._source.files), None)


def _package_root(top: str, folder: Path) -> Path:
    """Return the folder or file of the top-level package ``top``. Raises PluginError."""
    if (found := _find_importable(top)) is not None:
        return found
    for place in dict.fromkeys((folder.resolve(), Path.cwd())):
        for path in (place / top, place / f"{top}.py"):
            if path.exists():
                return path
    raise PluginError(
        f"no module {top!r}: Python cannot import it, and there is none in {folder.resolve()}. Install it, put it "
        "there, or write the path of a file: ./file.py:attribute"
    )


def _find_importable(top: str) -> Path | None:
    """Return the folder or file that Python imports ``top`` from; None if there is none."""
    stored = [finder for finder in sys.meta_path if isinstance(finder, _StoredPackage)]
    for finder in sys.meta_path:
        if finder in stored or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(top, None)
        if spec is None:
            continue
        if spec.submodule_search_locations:
            return Path(next(iter(spec.submodule_search_locations)))
        return Path(spec.origin) if spec.has_location and spec.origin else None
    return None


def _contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the Python files of a package or module by their paths below its parent folder."""
    files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
    for file in files:
        try:
            data = file.read_bytes()
            data.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise PluginError(f"cannot read {file}: {error}") from error
        yield file.relative_to(root.parent).as_posix(), data


def _has_compiled_parts(root: Path) -> bool:
    return root.is_dir() and any(path.name.endswith(COMPILED) for path in root.rglob("*"))


def _digest(contents: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for name, data in sorted(contents.items()):
        total.update(f"{name}\0{len(data)}\0".encode() + data)
    return total.hexdigest()


def _installed_version(top: str, root: Path) -> str | None:
    """Return ``distribution version`` if ``top`` at ``root`` was installed as a package."""
    names = (
        packages_distributions().get(top) if "site-packages" in root.parts or "dist-packages" in root.parts else None
    )
    return f"{names[0]} {version(names[0])}" if names else None


def _why(error: Exception, source: Source) -> str:
    """Return the error with the line of the plug-in's code that raised it."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(source.origin):
            line = f"{Path(file).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = f"{Path(error.filename or '').name}:{error.lineno}"
    return f"{type(error).__name__}: {error}" + (f" ({line})" if line else "")
