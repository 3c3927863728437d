"""Import the object that a text such as ``torchvision.models:resnet18`` or ``net.py:build`` names. Its code is run."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

FORMS = "module:attribute or path/file.py:attribute"


class PythonReferenceError(ValueError):
    """The object cannot be imported. The text says why, and lists the names that the module has."""


def import_object(reference: str, offers: Callable[[object], bool] = callable) -> Any:
    """Return the object that ``reference`` names: ``module:attribute`` or ``path/file.py:attribute``.

    A file's imports see its folder, a module's the current one. If the attribute is missing, the error lists the public
    names whose value satisfies ``offers``. Raises PythonReferenceError.
    """
    place, colon, attribute = reference.rpartition(":")
    if not (colon and place and attribute):
        raise PythonReferenceError(f"given {reference!r}; write {FORMS}")
    module = _import(place)
    found: Any = module
    for name in attribute.split("."):
        if not hasattr(found, name):
            there = [key for key, value in vars(module).items() if not key.startswith("_") and offers(value)]
            raise PythonReferenceError(f"{place} has no {attribute}; it has {', '.join(sorted(there)[:12]) or 'none'}")
        found = getattr(found, name)
    return found


def _import(place: str) -> ModuleType:
    path = Path(place).expanduser()
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise PythonReferenceError(f"{place}: no such file")
    sys.path.insert(0, str(path.resolve().parent) if is_file else "")
    try:
        return _import_file(path) if is_file else importlib.import_module(place)
    except Exception as error:  # whatever the user's code raises
        hint = "; install it, or run the command where it is" if isinstance(error, ModuleNotFoundError) else ""
        raise PythonReferenceError(f"cannot import {place}: {type(error).__name__}: {error}{hint}") from error
    finally:
        del sys.path[0]


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
