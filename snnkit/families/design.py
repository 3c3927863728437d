"""What the designs of all families share: geometries that fill in defaults, and the cells of the module strip."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from snnkit.architecture.plan import ModuleView
from snnkit.base.config import Config


class Design(Config):
    """The ``network`` section of a space. Keys that it omits are taken from ``GEOMETRIES[geometry]``; the first
    geometry is the default."""

    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]]

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        geometry = given.get("geometry", next(iter(cls.GEOMETRIES))) if isinstance(given, Mapping) else None
        if not isinstance(geometry, str) or geometry not in cls.GEOMETRIES:
            return given  # the validation of the fields reports the error
        return merged(cls.GEOMETRIES[geometry], given)


def merged(row: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``row`` updated by ``given``. Nested mappings are merged; lists and values are replaced."""
    both = dict(row)
    for key, value in given.items():
        below = row.get(key)
        both[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return both


def kept_view(name: str, detail: str, *, default: bool) -> ModuleView:
    """Cell of a module that is kept; ``default`` if it has the geometry's sizes, otherwise it is shown as resized."""
    return ModuleView(name, "kept" if default else "resized", detail)


def removed_view(name: str) -> ModuleView:
    """Cell of a module that is removed."""
    return ModuleView(name, "removed", "")
