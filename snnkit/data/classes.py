"""Count the images of each class of a data set, and select classes: all, the first few, or those named in the space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snnkit.base.spelling import did_you_mean
from snnkit.data.images import DataError, DataSet, Images

MAX_NAMES_IN_ERROR = 12
UNEVEN = 2  # a class with fewer images than the largest class divided by this is pointed out


@dataclass(frozen=True)
class ClassCount:
    """How many images of one class are on this machine."""

    name: str
    id: str  # unique; equal to the name if names are unique
    train: int
    test: int
    validation: int = 0  # if the data set comes with validation images of its own


def count_classes(data: DataSet) -> list[ClassCount]:
    """Return the number of images of each class, in label order."""
    n_classes = len(data.classes)
    counts = {name: np.bincount(part.labels, minlength=n_classes).tolist() for name, part in data.parts.items()}
    own = counts.get("validation", [0] * n_classes)
    columns = (data.classes, data.ids or data.classes, counts["train"], counts["test"], own)
    return [ClassCount(*row) for row in zip(*columns, strict=True)]


def check_classes(data: DataSet, name: str) -> None:
    """Check that each class of ``data``, which belongs to the data set ``name``, has images to train and test on.

    Raises:
        DataError: a class has no training or no test images. Names these classes and the complete ones.
    """
    counts = count_classes(data)
    complete = [each.id for each in counts if each.train and each.test]
    if len(complete) == len(counts):
        return
    parts = {
        "training": [each for each in counts if not each.train],
        "test": [each for each in counts if not each.test],
    }
    gaps = [
        f"no {part} images" + ("" if len(empty) == len(counts) else f" of {_names([each.name for each in empty])}")
        for part, empty in parts.items()
        if empty
    ]
    remedy = "unpack its archive again"
    if len(complete) >= 2:
        remedy += f", or use complete classes only: classes: [{_names(complete)}]"
    raise DataError(f"this copy of {name} has {' and '.join(gaps)}; {remedy}")


def describe_gaps(data: DataSet, expected: int | None) -> str:
    """Return what may be missing: classes of the ``expected`` number, or images of a class. Empty if nothing seems so.

    ``expected`` is None if the space names its classes.
    """
    counts = sorted(count_classes(data), key=lambda each: each.train)
    gaps = []
    if expected is not None and len(counts) < expected:
        gaps.append(f"this copy lacks {expected - len(counts)} of the {expected} classes")
    if counts[0].train * UNEVEN < counts[-1].train:
        gaps.append(
            f"{counts[0].train:,} training images of {counts[0].name}, {counts[-1].train:,} of {counts[-1].name}"
        )
    return "; ".join(gaps)


def _names(names: Sequence[str]) -> str:
    """Return the first names as a list for an error."""
    more = f" and {len(names) - MAX_NAMES_IN_ERROR} more" if len(names) > MAX_NAMES_IN_ERROR else ""
    return ", ".join(names[:MAX_NAMES_IN_ERROR]) + more


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
        None if data.validation is None else _relabel(data.validation, new_label),
        data.notes,
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
    hint = did_you_mean(word, (*data.classes, *data.ids))
    raise DataError(f"classes: this copy of {name} has no class {word!r}; it has {_names(data.classes)}{hint}")
