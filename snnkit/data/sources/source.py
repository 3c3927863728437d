"""The description of a data set of the user: where its files are, how they are read, and what they hold."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from snnkit.architecture.plan import Shape
from snnkit.base.config import Config

Kind = Literal["folder", "npz", "torchvision", "tonic"]
Window = Literal["time", "count"]
Values = Literal["bits", "counts"]
KINDS: tuple[Kind, ...] = ("folder", "npz", "torchvision", "tonic")
FILE_KINDS: tuple[Kind, ...] = ("folder", "npz")  # those that name a path, not a class of a library
MAX_EXAMPLES = 3  # files or classes that a message names
TEST_SHARE = 0.2  # of the images of each class, if a data set has no test part


class Content(Config):
    """What the files of a described data set held when they were read."""

    digest: str = Field(
        pattern="^[0-9a-f]{32}$",
        examples=["0f3c..."],
        description="32 hexadecimal digits that identify all images, labels and class names.",
    )
    classes: int = Field(ge=2, examples=[3], description="Number of classes.")
    shape: Shape = Field(examples=["[3, 32, 32]"], description="Channels, height and width of one image.")
    train: int = Field(ge=1, examples=[900], description="Number of training images.")
    validation: int = Field(0, ge=0, description="Number of validation images of its own.")
    test: int = Field(ge=1, examples=[100], description="Number of test images.")
    events: bool = Field(False, description="Whether it holds recordings of an event camera.")


class DataSource(Config):
    """A described data set. ``content`` is None until its files have been read."""

    kind: Kind
    place: str  # absolute path of a folder or file; for torchvision and tonic, a class of that library
    label: str  # in reports, and in the name of its store
    layout: Literal["nhwc", "nchw"] | None = None
    size: int | None = None  # side to which pictures are brought when they are read
    sensor: tuple[int, int] | None = None  # width and height of an event camera; None: as far as events reach
    window: Window = "time"
    values: Values = "bits"
    test_share: float = TEST_SHARE
    split_seed: int = 0
    content: Content | None = None

    @property
    def has_files(self) -> bool:
        """Whether ``place`` is a path of files, not a name that a library knows."""
        return self.kind in FILE_KINDS

    @property
    def written(self) -> str:
        """How a space describes it: ``folder: /data/pictures``."""
        return f"{self.kind}: {self.place}"

    @property
    def store_name(self) -> str:
        """The name of the store of its arrays, which is the same wherever the files are. Needs ``content``."""
        assert self.content is not None
        return f"described-{self.content.digest[:16]}"

    @property
    def reading(self) -> dict[str, object]:
        """The leaves of a data section, other than the place, that decide how the files are read."""
        return self.model_dump(mode="json", exclude={"kind", "place", "label", "content"}, exclude_defaults=True)


def examples(names: Iterable[object]) -> str:
    """Return the first names as a list for a message: ``a.png, b.png, c.png and 9 more``."""
    words = list(map(str, names))
    more = f" and {len(words) - MAX_EXAMPLES:,} more" if len(words) > MAX_EXAMPLES else ""
    return ", ".join(words[:MAX_EXAMPLES]) + more


def counted(number: int, word: str, plural: str = "") -> str:
    """Return ``1 file`` or ``1,200 files``."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"
