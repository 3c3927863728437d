"""Call the code of a plug-in, so that its errors name it."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from search.errors import InputError
from search.plugins.sources import PluginError
from snnkit.architecture.plan import PlanError

RELAUNCH = "A study keeps the code that it was launched with: correct yours, and launch another study with --name NAME"


@contextmanager
def calling(kind: str, name: str, registry: Mapping[str, Any]) -> Iterator[None]:
    """Raise PluginError for an exception of the part ``name``, with its line, if the part is a plug-in.

    Built-in parts are text in ``registry`` (`search.registries`); their exceptions pass.
    """
    if isinstance(registry.get(name, ""), str):
        yield
        return
    with _naming(kind, name):
        yield


def checked(kind: str, name: str, function: Callable[..., Any], problem: Callable[..., str]) -> Callable[..., Any]:
    """Return ``function`` of a plug-in with errors that name the plug-in.

    ``problem`` takes the result and the arguments, and returns what is wrong with the result, or "". The function
    raises PluginError for that and for its own exceptions. A PlanError passes: it says that a design is impossible.
    """

    @wraps(function)
    def call(*given: Any) -> Any:
        with _naming(kind, name):
            result = function(*given)
        if found := problem(result, *given):
            raise PluginError(f"the {kind} {name} {found}. {RELAUNCH}")
        return result

    return call


@contextmanager
def _naming(kind: str, name: str) -> Iterator[None]:
    try:
        yield
    except (InputError, PlanError):
        raise
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        raise PluginError(f"the {kind} {name} raised {type(error).__name__}: {error} ({where}). {RELAUNCH}") from error
