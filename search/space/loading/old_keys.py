"""Accept keys under their former names, so that older files stay valid; a log line names the new key.

Stored text has no such line: nobody can edit it.
"""

import logging
from collections.abc import Mapping

from reports.records.study import Leaf
from search.errors import Keys, Place
from search.space.document import SET, TEXT, Document, Tree, with_value

logger = logging.getLogger(__name__)
Renamed = Mapping[str, str]  # former path -> path


def rename_keys(document: Document, renamed: Renamed) -> Document:
    """Return ``document`` with new names instead of former ones, in its sections and in the paths of its profiles."""
    for former, path in renamed.items():
        document = _rename(document, tuple(former.split(".")), path.rpartition(".")[2])
    profiles = document.tree.get("profiles")
    for device, profile in profiles.items() if isinstance(profiles, dict) else ():
        for path in profile if isinstance(profile, dict) else ():
            if (new := _renamed(path, renamed)) != path:
                document = _rename(document, ("profiles", device, path), new)
    return document


def rename_paths(overrides: Mapping[str, Leaf], renamed: Renamed) -> dict[str, Leaf]:
    """Return ``overrides`` with new names instead of former ones."""
    paths = {path: _renamed(path, renamed) for path in overrides}
    for path, new in paths.items():
        if new != path:
            _tell(SET, path, new)
    return {paths[path]: value for path, value in overrides.items()}


def _renamed(path: str, renamed: Renamed) -> str:
    for former, new in renamed.items():
        if f"{path}.".startswith(f"{former}."):
            return new + path.removeprefix(former)
    return path


def _rename(document: Document, keys: tuple[str, ...], name: str) -> Document:
    """Rename the last of ``keys`` in place. A file that has both names keeps both, so that the former is refused."""
    *parents, former = keys
    above: Tree = document.tree
    for key in parents:
        above = above.get(key) if isinstance(above, dict) else None
    if not isinstance(above, dict) or former not in above or name in above:
        return document
    _tell(document.place(keys), ".".join(keys), name)
    entries: dict[str, Tree] = {name if key == former else key: value for key, value in above.items()}
    new: Keys = (*parents, name)
    places = {
        (*new, *at[len(keys) :]) if at[: len(keys)] == keys else at: place for at, place in document.places.items()
    }
    tree = with_value(document.tree, tuple(parents), entries) if parents else entries
    return Document(document.file, tree, places)


def _tell(place: Place, former: str, name: str) -> None:
    if place.file != TEXT:
        logger.warning("%s: %s is now called %s; please write that instead", place, former, name)
