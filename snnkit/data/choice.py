"""The ``data:`` section of a space: which images are trained on. Importing it loads no torch."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from snnkit.architecture.plan import Shape
from snnkit.base.config import Config
from snnkit.data.images import DataError
from snnkit.data.loading import dataset_entry

Share = Annotated[float, Field(strict=True, gt=0, lt=1)]
Count = Annotated[int, Field(strict=True, ge=1)]


def _classes(given: object) -> object:
    """A number, or names as text; those of digits are numbers in YAML."""
    if given is None or (type(given) is int and given >= 2):
        return given
    words = list(given) if isinstance(given, list | tuple) else []
    if len(words) >= 2 and all(type(word) in (str, int) for word in words):
        return tuple(map(str, words))
    raise ValueError(f"given {words or given}; write how many classes, 2 or more, or their names, such as [cat, dog]")


Classes = Annotated[int | tuple[str, ...] | None, BeforeValidator(_classes)]


class DataChoice(Config):
    """A data set and the part of it that is used.

    ``subset`` images are taken from the training set, and ``validation`` (a share, or a number of images) is cut from
    those: ``subset: 5000`` with ``validation: 0.1`` trains on 4,500 images and validates on 500. With ``classes`` all
    three count images of these alone.
    """

    name: str
    classes: Classes = None  # the first so many, or these in this order; None: all
    validation: Share | Count = 0.1
    subset: int | None = Field(None, ge=2)  # images for training and validation together; None: all
    test: int | None = Field(None, ge=1)  # test images that a finished candidate is measured on; None: all
    resolution: int | None = Field(None, ge=8, le=256)  # side in pixels; None: as the data set has it

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            entry = dataset_entry(self.name)
        except DataError as error:
            raise ValueError(str(error)) from error
        there, test = entry.train, entry.test
        if self.classes is not None and self.outputs > entry.classes:
            raise ValueError(f"classes asks for {self.outputs}; {self.name} has {entry.classes} classes")
        if entry.events and self.resolution is not None and entry.shape[1] % self.resolution:
            sides = ", ".join(str(side) for side in range(8, entry.shape[1] + 1) if entry.shape[1] % side == 0)
            raise ValueError(
                f"resolution is {self.resolution}; events are joined in whole blocks: write one of {sides}"
            )
        if self.test is not None and self.test > test:
            raise ValueError(f"test is {self.test:,}; {self.name} has {test:,} test images")
        if self.subset is not None and self.subset > there:
            raise ValueError(f"subset is {self.subset:,}; {self.name} has {there:,} training images")
        self.validation_count(self.subset or there)
        return self

    @property
    def outputs(self) -> int:
        """Of the network: one for each class that is chosen, else for each that the data set has."""
        if self.classes is None:
            return dataset_entry(self.name).classes
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    @property
    def shape(self) -> Shape:
        channels, height, width = dataset_entry(self.name).shape
        return (channels, self.resolution or height, self.resolution or width)

    @property
    def train_images(self) -> int:
        """How many there are to train on; about as many where classes are chosen and these are not equally frequent."""
        entry = dataset_entry(self.name)
        images = self.subset or round(entry.train * self.outputs / entry.classes)
        return images - self.validation_count(images)

    def validation_count(self, images: int) -> int:
        """How many of ``images`` are for validation. Raises ValueError where none would be left to train on."""
        count = self.validation if isinstance(self.validation, int) else max(1, round(self.validation * images))
        if count >= images:
            raise ValueError(f"validation takes {count:,} of {images:,} images; leave some to train on")
        return count
