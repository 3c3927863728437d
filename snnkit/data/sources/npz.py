"""Read an .npz file of arrays: x_train, y_train and perhaps x_val, y_val, x_test, y_test; or x and y, to be split."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snnkit.data.images import DataProblems, DataSet, Images
from snnkit.data.sources.assembly import PARTS, assemble
from snnkit.data.sources.source import DataSource, counted, examples

PAIRS = (("x_{}", "y_{}"), ("{}_x", "{}_y"), ("{}_images", "{}_labels"))  # the last are MedMNIST's
WHOLE = (("x", "y"), ("images", "labels"))
NAMES = ("classes", "class_names")
KEYS = "x_train, y_train and, if there are any, x_val, y_val, x_test, y_test, classes; or x and y"
CHANNELS = (1, 3)
Arrays = Mapping[str, NDArray[Any]]


def scan(source: DataSource) -> dict[str, str]:
    """Return the size and modification time of the file by its name."""
    path = Path(source.place)
    stat = path.stat()
    return {path.name: f"{stat.st_size} {stat.st_mtime_ns}"}


def read(source: DataSource) -> DataSet:
    """Return the images of the file. Raises DataProblems."""
    arrays = _load(Path(source.place))
    pairs = _pairs(arrays)
    problems, notes = [], []
    for images, labels in pairs.values():
        problems += _array_problems(images, arrays[images], labels, arrays[labels])
    if problems:
        raise DataProblems(problems)
    named = [(images, arrays[images]) for images, _ in pairs.values()]
    pixels = {part: _channels_first(images, arrays[images], source) for part, (images, _) in pairs.items()}
    if len({array.shape[1:] for array in pixels.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in named)
        raise DataProblems([f"images of the parts differ in shape: {shapes}; write one shape"])
    scale, note = _scale(named)
    notes += [note] if note else []
    classes, labels_of = _labels(
        {part: (name, arrays[name]) for part, (_, name) in pairs.items()}, _class_names(arrays)
    )
    parts = {part: Images(_as_bytes(array, scale), labels_of[part]) for part, array in pixels.items()}
    return assemble(parts, classes, source, notes)


def _load(path: Path) -> Arrays:
    if not zipfile.is_zipfile(path):
        remedy = "write one with numpy.savez(FILE, x_train=..., y_train=...)"
        raise DataProblems([f"{path} is no .npz file, or only a part of one; {remedy}"])
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise DataProblems(
                [f"{path} holds Python objects; write arrays of numbers (lists of unequal length become objects)"]
            ) from error
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataProblems([f"{path} cannot be read: {reason}; write it again"]) from error


def _pairs(arrays: Arrays) -> dict[str, tuple[str, str]]:
    """Return the names of the images and the labels of each part. Raises DataProblems."""
    lower = {name.lower(): name for name in arrays}
    found: dict[str, tuple[str, str]] = {}
    lonely = []
    patterns = [
        (part, images.format(word), labels.format(word)) for word, part in PARTS.items() for images, labels in PAIRS
    ]
    patterns += [("train", images, labels) for images, labels in WHOLE]
    for part, images, labels in patterns:
        if images in lower and labels in lower:
            found.setdefault(part, (lower[images], lower[labels]))
        elif images in lower or labels in lower:
            lonely.append((images, labels) if images in lower else (labels, images))
    if lonely:
        raise DataProblems([f"it has {given} but no {missing}; add it" for given, missing in lonely])
    if "train" not in found:
        raise DataProblems([f"its arrays are {examples(sorted(arrays)) or 'none'}; it needs {KEYS}"])
    return {part: found[part] for part in ("train", "validation", "test") if part in found}


def _array_problems(images: str, x: NDArray[Any], labels: str, y: NDArray[Any]) -> list[str]:
    problems = []
    if x.ndim not in (3, 4):
        problems.append(f"{images} has shape {x.shape}; write (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if x.dtype.kind not in "buif":
        problems.append(f"{images} holds {x.dtype}; write numbers: uint8, or float from 0 to 1")
    elif x.dtype.kind == "f" and (bad := int((~np.isfinite(x)).sum())):
        rows = np.flatnonzero(~np.isfinite(x).reshape(len(x), -1).all(axis=1))
        problems.append(
            f"{images} has {counted(bad, 'value')} NaN or infinite, in {counted(len(rows), 'image')} "
            f"({examples(rows.tolist())}); replace them, or remove these images"
        )
    if x.ndim and y.ndim and len(x) != len(y):
        problems.append(f"{images} has {len(x):,} entries and {labels} {len(y):,}; write one label for each image")
    if y.ndim == 2 and y.shape[1] > 1:
        problems.append(
            f"{labels} has shape {y.shape}; write one label per image, (N,): numpy.argmax({labels}, axis=1)"
        )
    elif y.ndim not in (1, 2):
        problems.append(f"{labels} has shape {y.shape}; write one label per image, (N,)")
    elif y.dtype.kind not in "uiUf" or (y.dtype.kind == "f" and not np.array_equal(y, np.round(y))):
        problems.append(f"{labels} holds {y.dtype}; write whole numbers from 0, or the names of the classes")
    return problems


def _channels_first(name: str, x: NDArray[Any], source: DataSource) -> NDArray[Any]:
    """Return images (N, C, H, W). Raises DataProblems if the axis of the channels is not clear."""
    if x.ndim == 3:
        return x[:, None]
    last, first = x.shape[3] in CHANNELS, x.shape[1] in CHANNELS
    if source.layout is None and last == first:
        both = "both could be the channels" if last else "neither has 1 or 3 channels"
        raise DataProblems(
            [f"{name} has shape {x.shape}: of the second and the last axis, {both}; write layout: nhwc or nchw"]
        )
    return x.transpose(0, 3, 1, 2) if source.layout == "nhwc" or (source.layout is None and last) else x


def _scale(named: list[tuple[str, NDArray[Any]]]) -> tuple[float, str]:
    """Return the factor from the values to 0..255, and a note if it is not 1. Raises DataProblems."""
    low = min(float(array.min()) for _, array in named)
    high = max(float(array.max()) for _, array in named)
    kinds = {array.dtype.kind for _, array in named}
    if low < 0 or high > 255:
        names = ", ".join(name for name, _ in named)
        remedy = "x = (x + 1) / 2" if low >= -1 and high <= 1 else f"x = (x - {low:g}) / {high - low:g}"
        raise DataProblems([f"values of {names} go from {low:g} to {high:g}; write 0 to 255, or 0 to 1: {remedy}"])
    if kinds == {"b"} or (kinds == {"f"} and high <= 1):
        return 255.0, "values from 0 to 1 are stored in steps of 1/255"
    if "f" in kinds and len(kinds) > 1:
        raise DataProblems(
            [f"{', '.join(f'{name} holds {a.dtype}' for name, a in named)}; write one type for all parts"]
        )
    return 1.0, "values were rounded to whole numbers" if kinds == {"f"} else ""


def _as_bytes(array: NDArray[Any], scale: float) -> NDArray[np.uint8]:
    if array.dtype.kind == "f":
        array = np.round(array * scale)
    elif scale != 1:
        array = array.astype(np.uint8) * int(scale)
    return np.ascontiguousarray(array, np.uint8)


def _class_names(arrays: Arrays) -> list[str] | None:
    found = next((arrays[name] for name in arrays if name.lower() in NAMES), None)
    return None if found is None else [str(name) for name in found.ravel().tolist()]


def _labels(
    given: Mapping[str, tuple[str, NDArray[Any]]], names: list[str] | None
) -> tuple[list[str], dict[str, NDArray[np.int64]]]:
    """Return the class names, and the labels of each part as numbers from 0. Raises DataProblems."""
    flat = {part: (name, array.reshape(-1)) for part, (name, array) in given.items()}
    if any(array.dtype.kind == "U" for _, array in flat.values()):
        return _named_labels(flat, names)
    labels = {part: array.astype(np.int64) for part, (_, array) in flat.items()}
    lowest, highest = min(part.min() for part in labels.values()), max(part.max() for part in labels.values())
    problems = []
    if highest >= (most := sum(map(len, labels.values()))):
        raise DataProblems(
            [f"the largest label is {highest}, more than there are images ({most:,}); write 0, 1, 2, ..."]
        )
    classes = names or [str(label) for label in range(max(int(highest) + 1, 0))]
    for part, (name, _) in flat.items():
        outside = (labels[part] < 0) | (labels[part] >= len(classes))
        if outside.any():
            wrong = examples(np.unique(labels[part][outside]).tolist())
            problems.append(
                f"{name} has {counted(int(outside.sum()), 'label')} outside 0 to {len(classes) - 1} ({wrong}); write "
                "labels from 0" + (f", one for each of the {len(classes)} names in classes" if names else "")
            )
    if not problems and lowest > 0:
        problems.append(f"the smallest label is {lowest}, so class 0 has no images; write labels from 0: y - {lowest}")
    if problems:
        raise DataProblems(problems)
    return classes, labels


def _named_labels(
    flat: Mapping[str, tuple[str, NDArray[Any]]], names: list[str] | None
) -> tuple[list[str], dict[str, NDArray[np.int64]]]:
    words = {part: [str(word) for word in array.tolist()] for part, (_, array) in flat.items()}
    classes = names or sorted(set(words["train"]))
    problems = []
    for part, (name, _) in flat.items():
        if unknown := sorted(set(words[part]) - set(classes)):
            what = "classes does not name" if names else "the training part has not"
            problems.append(
                f"{name} has {counted(len(unknown), 'label')} that {what}: {examples(unknown)}; correct them"
            )
    if problems:
        raise DataProblems(problems)
    label_of = {word: label for label, word in enumerate(classes)}
    return classes, {part: np.array([label_of[word] for word in each], np.int64) for part, each in words.items()}
