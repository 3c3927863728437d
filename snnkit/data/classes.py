"""Select the classes of a data set: all, the first few, or those named in the space."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snnkit.data.images import DataError, DataSet, Images, did_you_mean

MAX_NAMES_IN_ERROR = 12


def select_classes(data: DataSet, chosen: int | tuple[str, ...] | None, name: str) -> DataSet:
    """Return the part of ``data``, the data set ``name``, that belongs to the chosen classes.

    A number takes the first classes in label order. Labels become 0, 1, ... in the chosen order. No image is copied.

    Raises:
        DataError: the data set has fewer classes, a name is unknown or ambiguous, or a class is named twice.
    """
    if chosen is None:
        return data
    labels = _first_labels(data, chosen, name) if isinstance(chosen, int) else _named_labels(data, chosen, name)
    new_label = np.full(len(data.classes), -1)
    new_label[labels] = np.arange(len(labels))
    return DataSet(
        _relabel(data.train, new_label),
        _relabel(data.test, new_label),
        tuple(data.classes[label] for label in labels),
        tuple(data.ids[label] for label in labels if data.ids),
    )


def _relabel(part: Images, new_label: NDArray[np.int64]) -> Images:
    """Keep the images whose new label is not negative."""
    labels = new_label[part.labels]
    selected = np.flatnonzero(labels >= 0)
    return replace(part.take(selected), labels=labels[selected])


def _first_labels(data: DataSet, count: int, name: str) -> list[int]:
    if count > len(data.classes):
        raise DataError(f"classes is {count}; this copy of {name} has {len(data.classes)} classes")
    return list(range(count))


def _named_labels(data: DataSet, words: tuple[str, ...], name: str) -> list[int]:
    labels = [_label(data, word, name) for word in words]
    for at, label in enumerate(labels):
        if label in labels[:at]:
            raise DataError(
                f"classes: {words[at]!r} is the same class as {words[labels.index(label)]!r}; name each class once"
            )
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
    more = f" and {len(data.classes) - MAX_NAMES_IN_ERROR} more" if len(data.classes) > MAX_NAMES_IN_ERROR else ""
    names = ", ".join(data.classes[:MAX_NAMES_IN_ERROR]) + more
    hint = did_you_mean(word, (*data.classes, *data.ids))
    raise DataError(f"classes: this copy of {name} has no class {word!r}; it has {names}{hint}")
