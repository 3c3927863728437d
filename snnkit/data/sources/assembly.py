"""Make a data set of the parts that a source has: split off what is missing, and check classes and labels."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from snnkit.data.events import Recordings
from snnkit.data.images import DataProblems, DataSet, Images
from snnkit.data.sources.source import DataSource, counted, examples
from snnkit.data.stratification import stratified_order

PARTS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation"}
PARTS |= {"test": "test", "testing": "test"}  # folder or key -> part


def assemble(
    parts: Mapping[str, Images], classes: Sequence[str], source: DataSource, notes: Sequence[str] = ()
) -> DataSet:
    """Return the data set of ``parts``: train and perhaps validation and test, whose labels index ``classes``.

    Without a test part, the validation part is the test part. Without either, ``source.test_share`` of the images of
    each class becomes the test part, chosen by ``source.split_seed``.

    Raises:
        DataProblems: a class has no images in a part, or too few to split.
    """
    problems = _label_problems(parts, classes)
    given = dict(parts)
    if "test" not in given and "validation" in given:
        given["test"] = given.pop("validation")
        notes = [*notes, "it has no test images: its validation images are the test images"]
    elif "test" not in given and not problems:
        if small := [name for name, n in zip(classes, _count(given["train"], classes), strict=True) if n < 2]:
            problems.append(
                f"{counted(len(small), 'class has', 'classes have')} one image only ({examples(small)}), which cannot "
                "be split into training and test images; add images, or remove the class"
            )
        else:
            given["train"], given["test"] = _split(given["train"], source)
    if problems:
        raise DataProblems(problems)
    notes = [*notes, *_repetitions(given)]
    return DataSet(given["train"], given["test"], tuple(classes), (), given.get("validation"), tuple(notes))


def _repetitions(parts: Mapping[str, Images]) -> list[str]:
    """Return notes on images that are in two parts, and on equal training images with different labels."""
    digests = {
        name: [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in part.array]
        for name, part in parts.items()
    }
    labels: dict[bytes, set[int]] = defaultdict(set)
    for digest, label in zip(digests["train"], parts["train"].labels.tolist(), strict=True):
        labels[digest].add(label)
    one, notes = "recording" if isinstance(parts["train"], Recordings) else "image", []
    if twice := sum(len(each) > 1 for each in labels.values()):
        occur = "occurs" if twice == 1 else "occur"
        notes.append(f"{counted(twice, f'training {one}')} {occur} under several classes")
    for name in ("validation", "test"):
        if known := sum(digest in labels for digest in digests.get(name, ())):
            equal = "equals" if known == 1 else "equal"
            notes.append(f"{counted(known, f'{name} {one}')} {equal} a training {one}")
    return notes


def _label_problems(parts: Mapping[str, Images], classes: Sequence[str]) -> list[str]:
    if len(classes) < 2:
        return [f"it has {counted(len(classes), 'class', 'classes')}; write a data set of two classes or more"]
    problems = []
    for name, part in parts.items():
        empty = [label for label, number in zip(classes, _count(part, classes), strict=True) if not number]
        if empty:
            problems.append(
                f"the {name} part has no images of {counted(len(empty), 'class', 'classes')}: {examples(empty)}; every "
                "part needs images of every class"
            )
    return problems


def _count(part: Images, classes: Sequence[str]) -> list[int]:
    found: list[int] = np.bincount(part.labels, minlength=len(classes)).tolist()
    return found


def _split(part: Images, source: DataSource) -> tuple[Images, Images]:
    """Return the training and the test images: of each class at least one of both."""
    order = stratified_order(part.labels, source.split_seed)
    test = np.concatenate([_test_rows(order[part.labels[order] == label], source) for label in np.unique(part.labels)])
    is_test = np.zeros(len(part), bool)
    is_test[test] = True
    return _only(part, np.flatnonzero(~is_test)), _only(part, np.flatnonzero(is_test))


def _test_rows(rows: NDArray[np.int64], source: DataSource) -> NDArray[np.int64]:
    return rows[: min(max(1, round(source.test_share * len(rows))), len(rows) - 1)]


def _only(part: Images, rows: NDArray[np.int64]) -> Images:
    """Return images whose array has these rows only, as a store needs it."""
    return type(part)(part.array[rows], part.labels[rows])
