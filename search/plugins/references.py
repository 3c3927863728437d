"""The places where spaces and benchmarks name parts, and the plug-ins among these names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from search.errors import Keys

ANY = "*"  # any key of a mapping, any item of a list
KEY = "<key>"  # the keys of a mapping are the names

SPACE_PLACES = (
    (("network", "family"), "family"),
    (("data", "name"), "dataset"),
    (("energy", "model"), "energy_model"),
    (("study", "sampler"), "sampler"),
    (("study", "stopping", "rule"), "stopping"),
    (("study", "objectives", KEY), "objective"),
    (("study", "constraints", KEY), "objective"),
)
BENCHMARK_PLACES = (
    (("benchmark", "figures", ANY), "objective"),
    (("networks", ANY, "family"), "family"),
    (("data", KEY), "dataset"),
    (("energy", "model"), "energy_model"),
)


@dataclass(frozen=True)
class Named:
    """The name of a part in a document."""

    keys: Keys
    kind: str  # key of `kinds.KINDS`
    name: str


def named_parts(tree: Mapping[str, Any]) -> Iterator[Named]:
    """Yield the name of every part in the tree of a space or benchmark, built-in parts too."""
    for place, kind in BENCHMARK_PLACES if "benchmark" in tree else SPACE_PLACES:
        for keys, name in _values(tree, place, ()):
            if isinstance(name, str):
                yield Named(keys, kind, name)


def _values(tree: Any, place: tuple[str, ...], before: Keys) -> Iterator[tuple[Keys, Any]]:
    if not place:
        yield before, tree
    elif isinstance(tree, list):
        if place == (ANY,):
            yield from (((*before, at), item) for at, item in enumerate(tree))
    elif isinstance(tree, dict):
        first, *rest = place
        if first == KEY:
            yield from (((*before, key), key) for key in tree)
        else:
            for key in tree if first == ANY else [first] if first in tree else []:
                yield from _values(tree[key], tuple(rest), (*before, key))
