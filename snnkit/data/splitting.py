"""Split a data set into training, validation and test images that do not overlap, reproducibly for each seed."""

from dataclasses import dataclass, replace

import numpy as np

from snnkit.data.choice import OWN, DataChoice
from snnkit.data.classes import check_classes, describe_gaps, select_classes
from snnkit.data.events import Recordings
from snnkit.data.images import DataError, DataSet, Images
from snnkit.data.stratification import stratified_order

IMAGES_PER_CHUNK = 512  # images read at once to count their pixels: 1.5 MB at 32x32, 6 MB at 64x64


@dataclass(frozen=True, eq=False)
class Splits:
    """The images of one seed: which to train on, validate on and test on, and how to normalise them."""

    name: str  # of the data set
    train: Images
    validation: Images  # cut from the data set's training images; a search compares candidates on these
    test: Images  # from the data set's test images: all, or as many as the space asks for
    mean: tuple[float, ...]  # per channel over the training images, pixels 0..1; empty for frames of events
    std: tuple[float, ...]  # likewise
    classes: tuple[str, ...]  # names by label; a part of Tiny ImageNet has fewer than the network has outputs
    gaps: str = ""  # what this copy of the data set seems to lack, and what was changed when it was read, in words

    def describe(self) -> str:
        """Return a line such as ``cifar10: 4,500 train, 500 validation, 10,000 test images, 3x32x32, 10 classes``."""
        shape = "x".join(str(size) for size in self.train.shape[-3:])  # without T, which a search may vary
        what = "recordings" if isinstance(self.train, Recordings) else "images"
        counts = f"{len(self.train):,} train, {len(self.validation):,} validation, {len(self.test):,} test {what}"
        return f"{self.name}: {counts}, {shape}, {len(self.classes)} classes"


def split_dataset(data: DataSet, choice: DataChoice, seed: int, *, frames: int | None = None) -> Splits:
    """Split ``data``, which has the resolution of ``choice``, into training, validation and test images.

    Each class has the same share in every part, to within one image. The parts are views of ``data``; nothing is
    copied. Recordings of events become ``frames`` frames each. If ``choice.validation`` is a number of images, a seed
    selects the same validation images for every subset.

    Raises:
        DataError: ``data`` has fewer images or classes than ``choice`` asks for, or no image to train on of a class.
        ValueError: ``frames`` is given for still images, or missing for recordings.
    """
    data = select_classes(data, choice.classes, choice.name)
    check_classes(data, choice.name)
    train, validation = _split_train(data, choice, seed)
    test = _select_test(data, choice, seed)
    if frames is None and isinstance(train, Recordings):
        raise ValueError(f"{choice.name} holds recordings of events; give the number of frames")
    if frames is not None and not isinstance(train, Recordings):
        raise ValueError(f"given {frames} frames; {choice.name} holds still images, which have none")
    if frames is not None:
        train, validation, test = (_with_frames(part, frames) for part in (train, validation, test))
    mean, std = ((), ()) if frames is not None else _channel_moments(train)
    gaps = "; ".join(
        filter(None, (*data.notes, describe_gaps(data, choice.outputs if choice.classes is None else None)))
    )
    return Splits(choice.name, train, validation, test, mean, std, data.classes, gaps)


def _with_frames(part: Images, frames: int) -> Images:
    assert isinstance(part, Recordings)
    return replace(part, timesteps=frames)


def _split_train(data: DataSet, choice: DataChoice, seed: int) -> tuple[Images, Images]:
    """Return the training and the validation images."""
    count = choice.subset or len(data.train)
    if count > len(data.train):
        raise DataError(f"subset is {count:,}; {_available(data.train, data, choice, 'training')}")
    try:
        held_out = choice.validation_count(count)
    except ValueError as error:
        raise DataError(str(error)) from error
    order = stratified_order(data.train.labels, seed)
    train = data.train.take(np.sort(order[held_out:count]))
    if untrained := len(data.classes) - len(np.unique(train.labels)):
        raise DataError(
            f"{len(train):,} training images hold none of {untrained} of the {len(data.classes)} classes; use more of "
            "them with data.subset and data.validation, or fewer classes with data.classes"
        )
    if choice.validation == OWN:
        return train, _own_validation(data, choice)
    return train, data.train.take(np.sort(order[:held_out]))


def _own_validation(data: DataSet, choice: DataChoice) -> Images:
    if data.validation is None:
        raise DataError(
            f"validation is own; {choice.name} has no validation images of its own: write a share, such as 0.1"
        )
    return data.validation


def _select_test(data: DataSet, choice: DataChoice, seed: int) -> Images:
    if choice.test is None:
        return data.test
    if choice.test > len(data.test):
        raise DataError(f"test is {choice.test:,}; {_available(data.test, data, choice, 'test')}")
    return data.test.take(np.sort(stratified_order(data.test.labels, seed)[: choice.test]))


def _available(part: Images, data: DataSet, choice: DataChoice, kind: str) -> str:
    classes = "" if choice.classes is None else f" of these {len(data.classes)} classes"
    return f"this copy of {choice.name} has {len(part):,} {kind} images{classes}"


def _channel_moments(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel.

    They are computed from the exact counts of the 256 pixel values, so they do not depend on the order of summation.
    """
    counts = np.zeros((images.shape[0], 256), np.int64)
    for start in range(0, len(images), IMAGES_PER_CHUNK):
        chunk = images.rows(slice(start, start + IMAGES_PER_CHUNK))
        for channel, pixels in zip(counts, chunk.swapaxes(0, 1), strict=True):
            channel += np.bincount(pixels.ravel(), minlength=256)
    values = np.arange(256) / 255
    means, deviations = [], []
    for channel in counts:
        share = channel / channel.sum()
        mean = float(share @ values)
        means.append(mean)
        deviation = float(np.sqrt(share @ (values - mean) ** 2))
        deviations.append(max(deviation, 1 / 255))  # a constant channel must not divide by zero
    return tuple(means), tuple(deviations)
