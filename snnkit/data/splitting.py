"""Training, validation and test set: three sets that share no image, the same for the same seed."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snnkit.data.choice import DataChoice
from snnkit.data.classes import of_classes
from snnkit.data.events import Recordings
from snnkit.data.images import DataError, DataSet, Images

CHUNK = 512  # images counted at once: 1.5 MB at 32x32, 6 MB at 64x64


@dataclass(frozen=True, eq=False)
class Splits:
    name: str
    train: Images
    validation: Images  # cut from the data set's training images: what a search may look at
    test: Images  # from the data set's test images: all, or as many as the choice says
    mean: tuple[float, ...]  # per channel of the training part, pixels as 0..1; empty for frames of events
    std: tuple[float, ...]
    classes: tuple[str, ...]  # names, by label; may be fewer than the network's outputs (part of Tiny ImageNet)

    def describe(self) -> str:
        """``cifar10: 4,500 train, 500 validation, 10,000 test images, 3x32x32, 10 classes``"""
        shape = "x".join(str(size) for size in self.train.shape[-3:])  # without T, which may be a dial
        what = "recordings" if isinstance(self.train, Recordings) else "images"
        counts = f"{len(self.train):,} train, {len(self.validation):,} validation, {len(self.test):,} test {what}"
        return f"{self.name}: {counts}, {shape}, {len(self.classes)} classes"


def splits(data: DataSet, choice: DataChoice, seed: int, *, frames: int | None = None) -> Splits:
    """Cut ``data``, which has the choice's resolution; each class has its share in every part, to within one image.

    The parts are views of ``data``: nothing is copied. Recordings of events become ``frames`` frames each.
    For one seed the validation images of a number (not a share) are the same whatever the subset.

    Raises:
        DataError: fewer images or classes are there than are asked for.
        ValueError: ``frames`` are given for still images, or not for recordings.
    """
    data = of_classes(data, choice.classes, choice.name)
    train, validation = _cut_train(data, choice, seed)
    test = _cut_test(data, choice, seed)
    if (frames is not None) != isinstance(train, Recordings):
        raise ValueError(
            f"{choice.name}, frames {frames}: recordings of events need a number of them, images have none"
        )
    if frames is not None:
        train, validation, test = (_framed(part, frames) for part in (train, validation, test))
    mean, std = ((), ()) if frames is not None else _moments(train)
    return Splits(choice.name, train, validation, test, mean, std, data.classes)


def _framed(part: Images, frames: int) -> Images:
    assert isinstance(part, Recordings)
    return replace(part, timesteps=frames)


def _cut_train(data: DataSet, choice: DataChoice, seed: int) -> tuple[Images, Images]:
    """Training and validation part."""
    count = choice.subset or len(data.train)
    if count > len(data.train):
        raise DataError(f"subset is {count:,}; {_what_is_there(data.train, data, choice, 'training')}")
    try:
        held_out = choice.validation_count(count)
    except ValueError as error:
        raise DataError(str(error)) from error
    order = stratified_order(data.train.labels, seed)
    return data.train.take(np.sort(order[held_out:count])), data.train.take(np.sort(order[:held_out]))


def _cut_test(data: DataSet, choice: DataChoice, seed: int) -> Images:
    if (choice.test or 1) > len(data.test):
        asked = f"test is {choice.test:,}" if choice.test else "all test images are used"
        raise DataError(f"{asked}; {_what_is_there(data.test, data, choice, 'test')}")
    if choice.test is None:
        return data.test
    return data.test.take(np.sort(stratified_order(data.test.labels, seed)[: choice.test]))


def _what_is_there(part: Images, data: DataSet, choice: DataChoice, kind: str) -> str:
    of_them = "" if choice.classes is None else f" of these {len(data.classes)} classes"
    return f"the {choice.name} that is there has {len(part):,} {kind} images{of_them}"


def stratified_order(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A random order of the images of which every first part holds each class by its share, to within one image."""
    rng = np.random.default_rng(seed)
    place = np.empty(len(labels))  # of an image among those of its class, 0..1
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[rng.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((rng.random(len(labels)), place))  # by place, ties at random


def _moments(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, from the exact counts of the 256 values: no order of summing in them."""
    counts = np.zeros((images.shape[0], 256), np.int64)
    for start in range(0, len(images), CHUNK):
        for channel, pixels in zip(counts, images.rows(slice(start, start + CHUNK)).swapaxes(0, 1), strict=True):
            channel += np.bincount(pixels.ravel(), minlength=256)
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in counts:
        share = channel / channel.sum()
        mean = float(share @ values)
        means.append(mean)
        deviations.append(max(float(np.sqrt(share @ (values - mean) ** 2)), 1 / 255))  # a black channel stays finite
    return tuple(means), tuple(deviations)
