"""Decode pictures of any mode and size to arrays of one shape, and collect what is wrong with them."""

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from snnkit.data.images import DataProblems, Images
from snnkit.data.sources.source import DataSource, counted, examples

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MAX_SIDE = 256  # pixels; larger pictures are kept only if the space gives a size
GREY_MODES = ("1", "L", "LA", "I", "F")  # and those that begin with "I;": 16 bits
THREADS = 4
Result = TypeVar("Result")
Picture = tuple[str, Callable[[], "Image"]]  # its name in messages, and how it is opened


@dataclass(frozen=True)
class Header:
    """What the first bytes of a picture say."""

    size: tuple[int, int]  # width, height in pixels, as shown
    grey: bool


@dataclass
class Findings:
    """What the pictures of all parts have in common, and what is wrong with some of them."""

    corrupt: list[str] = field(default_factory=list)
    headers: dict[str, Header] = field(default_factory=dict)  # name -> header


def open_file(path: Path) -> Callable[[], "Image"]:
    """Return how a picture in a file is opened."""

    def opened() -> "Image":
        from PIL import Image

        return Image.open(io.BytesIO(path.read_bytes()))

    return opened


def decode(
    parts: Mapping[str, Sequence[Picture]], labels: Mapping[str, NDArray[np.int64]], source: DataSource
) -> tuple[dict[str, Images], list[str]]:
    """Return the pictures of each part as images (N, C, H, W), and notes on what was changed.

    Grey pictures among colour ones become colour ones. Without ``source.size``, all must have one size of at most 256
    pixels a side; with it, the shorter side of each becomes that long and the middle is cut out.

    Raises:
        DataProblems: pictures are corrupt, or of several sizes or large and no size is given.
    """
    findings = Findings()
    for name, header in _each(_header, (picture for part in parts.values() for picture in part)):
        if isinstance(header, str):
            findings.corrupt.append(f"{name} ({header})")
        else:
            findings.headers[name] = header
    problems = [*_corruption(findings), *_size_problems(findings, source)]
    if problems:
        raise DataProblems(problems)
    grey = [name for name, header in findings.headers.items() if header.grey]
    channels = 1 if len(grey) == len(findings.headers) else 3
    width, height = next(iter(findings.headers.values())).size if source.size is None else (source.size,) * 2
    decoded = {}
    for name, pictures in parts.items():
        array = np.empty((len(pictures), channels, height, width), np.uint8)
        for row, (picture, pixels) in enumerate(_each(_Decoder(channels, source.size), pictures)):
            if isinstance(pixels, str):
                findings.corrupt.append(f"{picture} ({pixels})")
            else:
                array[row] = pixels
        decoded[name] = Images(array, labels[name])
    if findings.corrupt:
        raise DataProblems(_corruption(findings))
    return decoded, _notes(findings, grey if channels == 3 else [], source)


def _each(work: Callable[["Image"], Result], pictures: Iterable[Picture]) -> Iterator[tuple[str, Result | str]]:
    """Yield the name of each picture with the result of ``work``, or with the reason why it is not readable."""

    def guarded(picture: Picture) -> tuple[str, Result | str]:
        name, opened = picture
        try:
            with contextlib.closing(opened()) as image:
                return name, work(image)
        except Exception as error:  # Pillow's decoders raise errors of many types for corrupt files
            return name, _reason(error)

    with ThreadPoolExecutor(THREADS) as threads:
        batch: list[Picture] = []
        for picture in pictures:
            batch.append(picture)
            if len(batch) == 256:  # bounds how many results wait
                yield from threads.map(guarded, batch)
                batch = []
        yield from threads.map(guarded, batch)


def _reason(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return "it is no picture" if "cannot identify image file" in text else " ".join(text.split())


def _header(image: "Image") -> Header:
    rotated = image.getexif().get(0x0112, 1) >= 5  # the EXIF orientation swaps width and height
    width, height = image.size
    grey = image.mode in GREY_MODES or image.mode.startswith("I;")
    return Header((height, width) if rotated else (width, height), grey)


class _Decoder:
    """Turn a picture into pixels (C, H, W)."""

    def __init__(self, channels: int, size: int | None) -> None:
        self._channels, self._size = channels, size

    def __call__(self, image: "Image") -> NDArray[np.uint8]:
        from PIL import Image, ImageOps

        shown = _as_8_bits(ImageOps.exif_transpose(image)).convert("L" if self._channels == 1 else "RGB")
        if self._size is not None:
            method = Image.Resampling.BOX if min(shown.size) % self._size == 0 else Image.Resampling.BILINEAR
            shown = ImageOps.fit(shown, (self._size, self._size), method)
        pixels = np.asarray(shown)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _as_8_bits(image: "Image") -> "Image":
    """Return a picture of 16 bits with the upper 8 of them; Pillow itself would cut off what is above 255."""
    from PIL import Image

    if image.mode == "I" or image.mode.startswith("I;"):
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    return image


def _corruption(findings: Findings) -> list[str]:
    bad = findings.corrupt
    if not bad:
        return []
    text = f"{counted(len(bad), 'picture')} cannot be read: {examples(bad)}"
    return [f"{text}; replace or remove {'it' if len(bad) == 1 else 'them'}"]


def _size_problems(findings: Findings, source: DataSource) -> list[str]:
    sizes = Counter(header.size for header in findings.headers.values())
    if source.size is not None or not sizes:
        return []
    usual = ", ".join(f"{width}x{height}: {number:,}" for (width, height), number in sizes.most_common(3))
    if len(sizes) > 1:
        (common, _), *_ = sizes.most_common()
        odd = [f"{name} ({w}x{h})" for name, header in findings.headers.items() for w, h in [header.size]]
        odd = [text for text, header in zip(odd, findings.headers.values(), strict=True) if header.size != common]
        more = f" and {len(sizes) - 3} more" if len(sizes) > 3 else ""
        return [
            f"its pictures have {len(sizes)} sizes ({usual}{more}), such as {examples(odd)}; write resolution: 32, or "
            "another side in pixels: the shorter side of each picture becomes that long and the middle is cut out"
        ]
    if max(next(iter(sizes))) > MAX_SIDE:
        return [
            f"its pictures have {usual.partition(':')[0]} pixels, more than {MAX_SIDE} a side; write resolution: 64, "
            "or another side in pixels"
        ]
    return []


def _notes(findings: Findings, grey: Sequence[str], source: DataSource) -> list[str]:
    notes = []
    if grey:
        notes.append(
            f"{counted(len(grey), 'grey picture was', 'grey pictures were')} turned into colour ones: {examples(grey)}"
        )
    wanted = (source.size, source.size)
    if source.size is not None and (resized := sum(header.size != wanted for header in findings.headers.values())):
        was = "picture was" if resized == 1 else "pictures were"
        notes.append(f"{resized:,} {was} resized and cropped to {source.size}x{source.size} pixels")
    return notes
