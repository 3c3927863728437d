"""What the designs of all families share: a geometry fills in what is not given, modules that may be removed."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from snnkit.architecture.plan import ModuleView
from snnkit.base.config import Config


class Design(Config):
    """The ``network`` section of a space. What is not given is taken from the geometry's row of ``GEOMETRIES``, whose
    first one is the default."""

    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]]

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        geometry = given.get("geometry", next(iter(cls.GEOMETRIES))) if isinstance(given, Mapping) else None
        if not isinstance(geometry, str) or geometry not in cls.GEOMETRIES:
            return given  # the fields say what is wrong
        return merged(cls.GEOMETRIES[geometry], given)


def merged(row: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` over ``row``, mapping by mapping; lists and values replace."""
    both = dict(row)
    for key, value in given.items():
        below = row.get(key)
        both[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return both


def view(name: str, detail: str, *, alike: bool) -> ModuleView:
    """A module that is kept, as a cell of the strip; ``alike``: of the sizes that the geometry has."""
    return ModuleView(name, "kept" if alike else "resized", detail)


def removed(name: str) -> ModuleView:
    return ModuleView(name, "removed", "")
