"""The classes of a data set that are used: all, the first so many, or those that are named."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snnkit.data.images import DataError, DataSet, Images, did_you_mean

SHOWN = 12  # names that an error lists


def of_classes(data: DataSet, chosen: int | tuple[str, ...] | None, name: str) -> DataSet:
    """The part of data set ``name`` that is of these classes, its labels 0, 1, ... in their order; views, no copies.

    A number takes the first classes in label order.

    Raises:
        DataError: fewer classes are there, or a name is none of theirs, or is that of several.
    """
    if chosen is None:
        return data
    labels = _first(data, chosen, name) if isinstance(chosen, int) else _named(data, chosen, name)
    number = np.full(len(data.classes), -1)
    number[labels] = np.arange(len(labels))
    return DataSet(
        _renumbered(data.train, number),
        _renumbered(data.test, number),
        tuple(data.classes[label] for label in labels),
        tuple(data.ids[label] for label in labels if data.ids),
    )


def _renumbered(part: Images, number: NDArray[np.int64]) -> Images:
    """The images whose label has a new number, which is not negative."""
    labels = number[part.labels]
    kept = np.flatnonzero(labels >= 0)
    return replace(part.take(kept), labels=labels[kept])


def _first(data: DataSet, count: int, name: str) -> list[int]:
    if count > len(data.classes):
        raise DataError(f"classes is {count}; the {name} that is there has {len(data.classes)} classes")
    return list(range(count))


def _named(data: DataSet, words: tuple[str, ...], name: str) -> list[int]:
    labels = [_label(data, word, name) for word in words]
    for at, label in enumerate(labels):
        if label in labels[:at]:
            raise DataError(f"classes: {words[at]!r} is {words[labels.index(label)]!r} again; name each class once")
    return labels


def _label(data: DataSet, word: str, name: str) -> int:
    found = [label for label, other in enumerate(data.ids) if other == word]
    found += [label for label, other in enumerate(data.classes) if other == word]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"classes: {name} has {len(found)} classes {word!r}; write {' or '.join(data.ids[x] for x in found)}"
        )
    more = f" and {len(data.classes) - SHOWN} more" if len(data.classes) > SHOWN else ""
    there = ", ".join(data.classes[:SHOWN]) + more
    hint = did_you_mean(word, (*data.classes, *data.ids))
    raise DataError(f"classes: no class {word!r} in the {name} that is there, which has {there}{hint}")
