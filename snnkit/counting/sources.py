"""Models and images that are named on a command line: NIR files, Python references, arrays and data sets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from snnkit.base.references import PythonReferenceError, import_object
from snnkit.counting.errors import CountError
from snnkit.counting.nir import read_nir
from snnkit.data import DataChoice, load_dataset, split_dataset
from snnkit.data.events import Recordings
from snnkit.training.augment import normalise

BATCH = 50  # images
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")
HOW = "write module:attribute or path/file.py:attribute, the name of a torch module or of a function that returns one"

Batches = Iterator[tuple[Tensor, Tensor] | Tensor]


def load_model(reference: str) -> nn.Module:
    """Return the model of a NIR file, or of a Python reference: ``module:attribute`` or ``path/file.py:attribute``.

    A reference imports the module, so its code runs. Raises CountError if there is no such model, or if the file may
    hold code that would run unseen.
    """
    path = Path(reference).expanduser()
    if path.suffix.lower() == ".nir":
        if not path.is_file():
            raise CountError(f"{reference}: there is no such file")
        return read_nir(path)
    if path.suffix.lower() in PICKLES:
        raise CountError(
            f"{reference} is a pickle: reading a whole module from it would run any code that the file holds. Write a "
            "Python file with a function that builds the model and loads its weights, "
            "torch.load(FILE, weights_only=True), and name that function: model.py:build"
        )
    try:
        found = import_object(reference, lambda value: isinstance(value, nn.Module))
    except PythonReferenceError as error:
        raise CountError(f"{error}. Give a NIR file (.nir), or {HOW}") from error
    if callable(found) and not isinstance(found, nn.Module):
        try:
            found = found()
        except TypeError as error:
            raise CountError(f"{reference} cannot be called without arguments ({error}); {HOW}") from error
    if not isinstance(found, nn.Module):
        raise CountError(f"{reference} is a {type(found).__name__}, not a torch module; {HOW}")
    return found


def read_arrays(path: Path, images: int) -> Batches:
    """Yield batches of the first ``images`` inputs in a .npz file: ``x``, (N, ...), and labels ``y``, if it has them.

    Raises CountError if the file cannot be read or has no ``x``.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name][:images] for name in ("x", "y") if name in arrays}
            names = list(arrays)
    except (OSError, ValueError, AttributeError) as error:
        raise CountError(f"{path} is not a readable .npz file: {error}") from error
    if "x" not in found or not len(found["x"]):
        raise CountError(
            f"{path} holds {', '.join(names) or 'nothing'}; it should hold inputs x, and labels y if known"
        )
    for name, kinds, wanted in (("x", "biuf", "numbers"), ("y", "iu", "whole numbers, the classes from 0")):
        if name in found and found[name].dtype.kind not in kinds:
            raise CountError(f"{path}: {name} has the type {found[name].dtype}; it should hold {wanted}")
    x = torch.from_numpy(found["x"])
    labels = torch.from_numpy(found["y"].astype(np.int64)) if "y" in found else None
    if labels is not None and labels.shape != x.shape[:1]:
        raise CountError(
            f"{path}: y is {tuple(labels.shape)}, and x is {tuple(x.shape)}; give one label for each input"
        )
    return _batches(x, labels)


def read_dataset(
    name: str, root: Path | None, images: int, timesteps: int, pixels: Literal["normalised", "unit"]
) -> tuple[Batches, int | None]:
    """Return batches of ``images`` test images of a data set, with an equal share of each class, with their labels.

    The second value is the axis of time: None for still images.

    ``normalised`` pixels have the mean 0 and the deviation 1 of the training images in each channel; ``unit`` ones are
    from 0 to 1. Recordings have ``timesteps`` frames of 0 and 1, (B, T, C, H, W). Raises DataError.
    """
    data = load_dataset(name, root)
    frames = timesteps if isinstance(data.train, Recordings) else None
    choice = DataChoice(name=name, test=min(images, len(data.test)))
    splits = split_dataset(data, choice, 0, frames=frames)
    rows = torch.from_numpy(splits.test.rows())
    x = rows.float() / 255 if pixels == "unit" and frames is None else normalise(rows, splits)
    return _batches(x, torch.from_numpy(splits.test.labels)), None if frames is None else 1


def _batches(x: Tensor, labels: Tensor | None) -> Batches:
    starts = range(0, len(x), BATCH)
    if labels is None:
        return (x[start : start + BATCH] for start in starts)
    return ((x[start : start + BATCH], labels[start : start + BATCH]) for start in starts)
