"""Small data sets of a user, written by tests: folders of pictures and of recordings, and .npz files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "dog", "fox")
FIELDS = [("x", "<u2"), ("y", "<u2"), ("t", "<i8"), ("p", "?")]  # of an event


def picture(path: Path, *, size: tuple[int, int] = (16, 16), mode: str = "RGB", seed: int = 0) -> Path:
    """Write a picture of random pixels; ``size`` is its width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def picture_folder(root: Path, parts: Mapping[str, int], *, size: tuple[int, int] = (16, 16)) -> Path:
    """Write ``parts`` (sub-folder -> pictures of each class); an empty name puts the classes into ``root`` itself."""
    seed = 0
    for part, number in parts.items():
        for label in CLASSES:
            for row in range(number):
                seed += 1
                picture(root / part / label / f"{row:03}.png", size=size, seed=seed)
    return root


def npz_file(path: Path, **changes: object) -> Path:
    """Write 12 training and 6 test images of 8x8x3 pixels in three classes; ``changes`` replace arrays."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (12, 8, 8, 3), np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": rng.integers(0, 256, (6, 8, 8, 3), np.uint8),
        "y_test": np.arange(6) % 3,
    } | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def recording(path: Path, *, size: tuple[int, int] = (16, 12), events: int = 200, seed: int = 0) -> Path:
    """Write random events of a sensor of ``size`` (width, height) as a structured array in a .npy file."""
    rng = np.random.default_rng(seed)
    array = np.zeros(events, FIELDS)
    array["x"], array["y"] = rng.integers(0, size[0], events), rng.integers(0, size[1], events)
    array["t"], array["p"] = np.sort(rng.integers(0, 100_000, events)), rng.integers(0, 2, events)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path
