"""Find a data set in a library by the name of its class."""

import inspect
from types import ModuleType
from typing import Any

from snnkit.base.spelling import did_you_mean
from snnkit.data.images import DataProblems


def class_named(name: str, library: ModuleType) -> type[Any]:
    """Return the public class ``name`` of ``library``, such as torchvision.datasets. Raises DataProblems."""
    names = [each for each in dir(library) if inspect.isclass(getattr(library, each)) and each[0].isupper()]
    if name not in names:
        raise DataProblems([f"{library.__name__} has no {name!r}{did_you_mean(name, names)}"])
    found: type[Any] = getattr(library, name)
    return found
