"""Call the code of a plug-in, so that its errors name it."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.errors import InputError
from search.plugins.sources import PluginError


@contextmanager
def calling(kind: str, name: str, registry: Mapping[str, Any]) -> Iterator[None]:
    """Raise PluginError for an exception of the part ``name``, with its line, if the part is a plug-in.

    Built-in parts are text in ``registry`` (`search.registries`); their exceptions pass.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(registry.get(name, ""), str):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        raise PluginError(
            f"the {kind} {name} raised {type(error).__name__}: {error} ({where}). "
            "A study keeps the code that it was launched with: correct yours, and launch another study with --name NAME"
        ) from error
