"""The ``data:`` section of a space: which images a search trains, validates and tests on. Does not load torch."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from snnkit.architecture.plan import Shape
from snnkit.base.config import Config
from snnkit.data.datasets import dataset_info
from snnkit.data.images import DataError

Share = Annotated[float, Field(strict=True, gt=0, lt=1)]
Count = Annotated[int, Field(strict=True, ge=1)]


def _parse_classes(given: object) -> object:
    """Accept a number, or a list of names. YAML reads the class names of digits as numbers, so turn them into text."""
    if given is None or (type(given) is int and given >= 2):
        return given
    words = list(given) if isinstance(given, list | tuple) else []
    if len(words) >= 2 and all(type(word) in (str, int) for word in words):
        return tuple(map(str, words))
    raise ValueError(f"given {words or given}; write how many classes, 2 or more, or their names, such as [cat, dog]")


Classes = Annotated[int | tuple[str, ...] | None, BeforeValidator(_parse_classes)]


class DataChoice(Config):
    """A data set and the part of it that a search uses.

    The validation images are cut from the training images: ``subset: 5000`` with ``validation: 0.1`` trains on 4,500
    images and validates on 500. If ``classes`` is given, ``subset``, ``validation`` and ``test`` count images of these
    classes only.
    """

    name: str = Field(
        description="Name of the data set. `snnsearch data list` shows all names and says which ones are on this "
        "machine."
    )
    classes: Classes = Field(
        None,
        description="Classes to use: a number (2 or more) takes the first ones in label order; a list of names takes "
        "these, labelled in the order given. null: all classes.",
    )
    validation: Share | Count = Field(
        0.1,
        description="Images held out from the training images to validate on: a share between 0 and 1, or a number of "
        "images. A number selects the same validation images for every `subset`.",
    )
    subset: int | None = Field(
        None,
        ge=2,
        description="Number of images for training and validation together, with an equal share of each class. "
        "null: all.",
    )
    test: int | None = Field(
        None, ge=1, description="Number of test images on which a finished candidate is measured. null: all."
    )
    resolution: int | None = Field(
        None,
        ge=8,
        le=256,
        description="Side of the images in pixels; other images are resized once. For recordings of an event camera "
        "it must divide the original side. null: the original resolution.",
    )

    @model_validator(mode="after")
    def _check_against_dataset(self) -> Self:
        try:
            info = dataset_info(self.name)
        except DataError as error:
            raise ValueError(str(error)) from error
        if self.classes is not None and self.outputs > info.classes:
            raise ValueError(f"classes asks for {self.outputs}; {self.name} has {info.classes} classes")
        if info.events and self.resolution is not None and info.shape[1] % self.resolution:
            sides = ", ".join(str(side) for side in range(8, info.shape[1] + 1) if info.shape[1] % side == 0)
            raise ValueError(
                f"resolution is {self.resolution}; events are merged in whole blocks of pixels: write one of {sides}"
            )
        if self.test is not None and self.test > info.test:
            raise ValueError(f"test is {self.test:,}; {self.name} has {info.test:,} test images")
        if self.subset is not None and self.subset > info.train:
            raise ValueError(f"subset is {self.subset:,}; {self.name} has {info.train:,} training images")
        self.validation_count(self.subset or info.train)
        return self

    @property
    def outputs(self) -> int:
        """Number of network outputs: one per chosen class, or one per class of the data set."""
        if self.classes is None:
            return dataset_info(self.name).classes
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    @property
    def shape(self) -> Shape:
        """Shape (C, H, W) of one image at the chosen resolution."""
        channels, height, width = dataset_info(self.name).shape
        return (channels, self.resolution or height, self.resolution or width)

    @property
    def train_images(self) -> int:
        """Number of images to train on. An estimate if ``classes`` is given and the classes differ in size."""
        info = dataset_info(self.name)
        images = self.subset or round(info.train * self.outputs / info.classes)
        return images - self.validation_count(images)

    def validation_count(self, images: int) -> int:
        """Return how many of ``images`` are for validation.

        Raises:
            ValueError: no image would be left to train on.
        """
        count = self.validation if isinstance(self.validation, int) else max(1, round(self.validation * images))
        if count >= images:
            raise ValueError(f"validation takes {count:,} of {images:,} images; leave some to train on")
        return count
