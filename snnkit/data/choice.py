"""The ``data:`` section of a space: which images a search trains, validates and tests on. Does not load torch."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from snnkit.architecture.plan import Shape
from snnkit.base.config import Config
from snnkit.data.datasets import dataset_info
from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.images import DataError
from snnkit.data.sources.source import KINDS, TEST_SHARE, Content, DataSource, Kind, Values, Window

Share = Annotated[float, Field(strict=True, gt=0, lt=1)]
Count = Annotated[int, Field(strict=True, ge=1)]
Pixels = Annotated[int, Field(strict=True, ge=1)]
OWN = "own"  # validate on the validation images of the data set itself
OPTIONS: Mapping[str, tuple[Kind, ...]] = {  # leaf -> the kinds of source that it is for
    "layout": ("npz",),
    "size": ("folder", "torchvision", "tonic"),
    "sensor": ("folder",),
    "window": ("folder", "tonic"),
    "values": ("folder", "tonic"),
    "test_share": KINDS,
    "split_seed": KINDS,
}
DESCRIPTION = (*KINDS, *OPTIONS, "content")  # leaves that only described data sets have


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

    The validation images are cut from the training images, unless the data set has its own: ``subset: 5000`` with
    ``validation: 0.1`` trains on 4,500 images and validates on 500. If ``classes`` is given, ``subset``, ``validation``
    and ``test`` count images of these classes only.
    """

    name: str = Field(
        examples=["digits"],
        description="Name of the data set. `snnsearch data list` shows all names and says which ones are on this "
        "machine. With folder, npz, torchvision or tonic in its place, a label for reports.",
    )
    folder: str | None = Field(
        None,
        description="Folder of your own pictures or recordings of events: a sub-folder for each class, or train, val "
        "and test with such sub-folders. A relative path begins at the folder of the space file.",
    )
    npz: str | None = Field(
        None,
        description="File of your own arrays: x_train, y_train and perhaps x_val, y_val, x_test, y_test and classes; "
        "or x and y.",
    )
    torchvision: str | None = Field(
        None, description="Class of torchvision.datasets, such as SVHN. It is downloaded if its files are absent."
    )
    tonic: str | None = Field(
        None,
        description="Class of tonic.datasets, such as DVSGesture. It is downloaded if its files are absent.",
    )
    classes: Classes = Field(
        None,
        description="Classes to use: a number (2 or more) takes the first ones in label order; a list of names takes "
        "these, labelled in the order given. null: all classes.",
    )
    validation: Share | Count | Literal["own"] = Field(
        0.1,
        description="Images held out from the training images to validate on: a share between 0 and 1, or a number of "
        "images. A number selects the same validation images for every `subset`. own: the validation images of the "
        "data set itself, and the default if it has some.",
    )
    subset: int | None = Field(
        None,
        ge=2,
        description="Number of images for training and validation together, with an equal share of each class. With "
        "validation: own, for training alone. null: all.",
    )
    test: int | None = Field(
        None, ge=1, description="Number of test images on which a finished candidate is measured. null: all."
    )
    resolution: int | None = Field(
        None,
        ge=8,
        le=256,
        description="Side of the images in pixels; other images are resized once. For nmnist it must divide the "
        "original side. null: the original resolution.",
    )
    layout: Literal["nhwc", "nchw"] | None = Field(
        None, description="Order of the axes of an npz file's images, if the shape leaves it open."
    )
    size: Pixels | None = Field(
        None,
        le=1024,
        description="Side in pixels to which pictures or recordings are brought when they are read. null: the largest "
        "`resolution`, or their own size if there is none.",
    )
    sensor: tuple[Pixels, Pixels] | None = Field(
        None,
        description="Width and height of the event camera in pixels. null: as far as the events of all files reach.",
    )
    window: Window | None = Field(
        None,
        description="How a recording is cut into frames. time, the default: of equal duration. count: of equally many "
        "events.",
    )
    values: Values | None = Field(
        None,
        description="What a pixel of a frame holds. bits, the default: 1 if an event fell into it, else 0. counts: the "
        "number of its events, at most 255.",
    )
    test_share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=f"Share of the images of each class that become test images, if the data set has none. null: "
        f"{TEST_SHARE}.",
    )
    split_seed: int | None = Field(None, ge=0, description="Seed that chooses these test images. null: 0.")
    content: Content | None = Field(
        None, description="What the files held when they were first read. snnsearch writes it into a study's space."
    )

    @model_validator(mode="before")
    @classmethod
    def _validate_on_own_images(cls, given: Any) -> Any:
        content = given.get("content") if isinstance(given, Mapping) else None
        own = content.validation if isinstance(content, Content) else (content or {}).get("validation", 0)
        return {"validation": OWN, **given} if own else given

    @model_validator(mode="after")
    def _check_description(self) -> Self:
        kinds = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(kinds) > 1:
            raise ValueError(f"given {' and '.join(kinds)}; write one of them")
        for option, allowed in OPTIONS.items():
            if getattr(self, option) is not None and not set(kinds) & set(allowed):
                given = f"data.{kinds[0]}" if kinds else "a data set by name"
                raise ValueError(f"{option} is for {' and '.join(allowed)}, not for {given}; leave it out")
        events_only = [option for option in ("sensor", "window", "values") if getattr(self, option) is not None]
        if events_only and self.content is not None and not self.content.events:
            raise ValueError(
                f"{events_only[0]} is for recordings of events, and {self.name} holds images; leave it out"
            )
        if kinds and self.content is None:
            raise ValueError(f"the content of {kinds[0]} is not known; load the space with search.load_space")
        return self

    @model_validator(mode="after")
    def _check_against_dataset(self) -> Self:
        try:
            info = self.info
        except DataError as error:
            raise ValueError(str(error)) from error
        if self.classes is not None and self.outputs > info.classes:
            raise ValueError(f"classes asks for {self.outputs}; {self.name} has {info.classes} classes")
        if self.content is not None and self.content.events and (self.resolution or 0) > min(self.content.shape[1:]):
            raise ValueError(
                f"resolution is {self.resolution}; the recordings have {self.content.shape[2]}x{self.content.shape[1]} "
                "pixels: write a smaller one"
            )
        if self.size is not None and self.resolution is not None and self.resolution > self.size:
            raise ValueError(
                f"resolution is {self.resolution}, but pictures are read at {self.size} pixels; write size: "
                f"{self.resolution} into the data section of the space"
            )
        if self.content is None and info.events and self.resolution is not None and info.shape[1] % self.resolution:
            sides = ", ".join(str(side) for side in range(8, info.shape[1] + 1) if info.shape[1] % side == 0)
            raise ValueError(
                f"resolution is {self.resolution}; events are merged in whole blocks of pixels: write one of {sides}"
            )
        if self.test is not None and self.test > info.test:
            raise ValueError(f"test is {self.test:,}; {self.name} has {info.test:,} test images")
        if self.subset is not None and self.subset > info.train:
            raise ValueError(f"subset is {self.subset:,}; {self.name} has {info.train:,} training images")
        if self.validation == OWN and not (self.content is not None and self.content.validation):
            raise ValueError(f"validation is own; {self.name} has no validation images of its own: write 0.1")
        self.validation_count(self.subset or info.train)
        return self

    @model_serializer(mode="wrap")
    def _leave_out_description(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what only described data sets have, so that fingerprints of stored studies stay as they are."""
        return {key: value for key, value in serialize(self).items() if key not in DESCRIPTION or value is not None}

    @property
    def source(self) -> DataSource | str:
        """What to load: the description, or the name of one of our data sets."""
        kind = next((kind for kind in KINDS if getattr(self, kind) is not None), None)
        return self.name if kind is None else source_of(self.name, kind, self.model_dump())

    @property
    def info(self) -> DatasetInfo | Content:
        """The figures of the whole data set. Raises DataError if its name is unknown."""
        return dataset_info(self.name) if self.content is None else self.content

    @property
    def is_embedded(self) -> bool:
        """Whether an installed package contains the data set, so that no machine needs to receive it."""
        return self.content is None and dataset_info(self.name).layout.embedded

    @property
    def outputs(self) -> int:
        """Number of network outputs: one per chosen class, or one per class of the data set."""
        if self.classes is None:
            return self.info.classes
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    @property
    def shape(self) -> Shape:
        """Shape (C, H, W) of one image at the chosen resolution."""
        channels, height, width = self.info.shape
        return (channels, self.resolution or height, self.resolution or width)

    @property
    def train_images(self) -> int:
        """Number of images to train on. An estimate if ``classes`` is given and the classes differ in size."""
        info = self.info
        images = self.subset or round(info.train * self.outputs / info.classes)
        return images - self.validation_count(images)

    def validation_count(self, images: int) -> int:
        """Return how many of ``images``, the training images, are held out for validation.

        Raises:
            ValueError: no image would be left to train on.
        """
        if isinstance(self.validation, str):  # its own ones
            return 0
        count = self.validation if isinstance(self.validation, int) else max(1, round(self.validation * images))
        if count >= images:
            raise ValueError(f"validation takes {count:,} of {images:,} images; leave some to train on")
        return count


def source_of(label: str, kind: Kind, leaves: Mapping[str, Any]) -> DataSource:
    """Return the description that the ``leaves`` of a data section give. Raises ValidationError."""
    options = {key: leaves[key] for key in (*OPTIONS, "content") if leaves.get(key) is not None}
    return DataSource.model_validate({"kind": kind, "label": label, "place": leaves[kind], **options})


def without_place(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Return the leaves of a data section without place, label and reading of its files: the digest identifies them."""
    if leaves.get("content") is None:
        return dict(leaves)
    return {key: value for key, value in leaves.items() if key not in ("name", *KINDS, *OPTIONS)}
