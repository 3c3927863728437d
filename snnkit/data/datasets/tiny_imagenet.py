"""Tiny ImageNet (Stanford CS231n 2015): 64x64 images of 200 ImageNet classes, as its archive unpacks."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.datasets.torchvision_download import archive_download
from snnkit.data.images import DataError, DataSet, Images

SIDE = 64
ARCHIVE = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
ARCHIVE_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
READER_VERSION = "3"  # changes when `read` returns other data: 2 added the WordNet ids, 3 skips folders of other tools
ENDINGS = (".jpeg", ".jpg", ".png")  # of image files, in any case
FOREIGN = (".", "__")  # how names of files and folders begin that other tools leave: .ipynb_checkpoints, ._*, __MACOSX


@dataclass(frozen=True)
class TinyImageNetFiles:
    """The class folders of ``train/``, in order of their names; any subset of the 200 classes works.

    The test set is the original validation set, because the original test labels are not public.
    """

    folder: str = "tiny-imagenet-200"
    embedded: bool = False

    @property
    def description(self) -> str:
        files = f"{self.folder}/ with train/<class>/images/, val/images/ and val/val_annotations.txt"
        return f"{files} (the unpacked archive {ARCHIVE})"

    def location(self, root: Path) -> Path:
        return root / self.folder

    def fingerprint(self, root: Path) -> str:
        """Hash the path and the modification time of every class folder and of the test labels.

        It takes 0.01 s, since no image is opened.
        """
        folder = self.location(root)
        watched = [folder / "val" / "val_annotations.txt", *(train / "images" for train in _class_folders(folder))]
        parts = [READER_VERSION, str(folder.resolve()), *(f"{path.parent.name} {_mtime_ns(path)}" for path in watched)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def read(self, root: Path) -> DataSet:
        folder = self.location(root)
        wnids = [path.name for path in _class_folders(folder)]
        if not wnids:
            raise DataError(f"{folder / 'train'}: no class folders; unpack the archive again")
        label = {wnid: index for index, wnid in enumerate(wnids)}
        files = [(path, label[wnid]) for wnid in wnids for path in _images(folder / "train" / wnid / "images")]
        train, test = _decode_images(files), _decode_images(_test_files(folder, label))
        return DataSet(train, test, _class_names(folder, wnids), tuple(wnids))


def _class_folders(folder: Path) -> list[Path]:
    train = folder / "train"
    found = train.iterdir() if train.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith(FOREIGN))


def _mtime_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _images(folder: Path) -> list[Path]:
    """Return the image files of a class. Raises DataError if there are none."""
    names = sorted(path for path in folder.glob("*") if not path.name.startswith(FOREIGN))
    found = [path for path in names if path.suffix.lower() in ENDINGS]
    if not found:
        other = f" among its {len(names):,} files" if names else ""
        remedy = f"unpack the archive again, or leave out the class: move {folder.parent} elsewhere"
        raise DataError(f"{folder}: no images (*.JPEG){other}; {remedy}")
    return found


def _test_files(folder: Path, label: dict[str, int]) -> list[tuple[Path, int]]:
    path = folder / "val" / "val_annotations.txt"
    rows = [line.split("\t") for line in _read_text(path).splitlines()]
    if outside := [row[0] for row in rows if Path(row[0]).name != row[0]]:
        raise DataError(f"{path}: {outside[0]!r} is not a file name; unpack the archive again")
    return [(folder / "val" / "images" / row[0], label[row[1]]) for row in rows if len(row) > 1 and row[1] in label]


def _class_names(folder: Path, wnids: list[str]) -> tuple[str, ...]:
    path = folder / "words.txt"
    rows = (line.partition("\t") for line in (_read_text(path) if path.exists() else "").splitlines())
    words = {wnid: text.split(",")[0] for wnid, _, text in rows}
    return tuple(words.get(wnid, wnid) for wnid in wnids)


def _read_text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {_reason(error)}; unpack the archive again") from error


def _reason(error: Exception) -> str:
    """Return the reason without the path if the operating system gives one."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _decode_images(files: list[tuple[Path, int]]) -> Images:
    images = np.empty((len(files), 3, SIDE, SIDE), np.uint8)
    for row, (path, _) in enumerate(files):
        images[row] = _decode_pixels(path)
    return Images(images, np.array([label for _, label in files], np.int64))


def _decode_pixels(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.size != (SIDE, SIDE):  # checked before decoding, since a small file may hold a huge image
                raise DataError(f"{path}: {image.width}x{image.height} pixels, expected {SIDE}x{SIDE}")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)  # (C, H, W); some are grey
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: {_reason(error)}; unpack the archive again") from error


TINY_IMAGENET = DatasetInfo(
    classes=200,
    shape=(3, 64, 64),
    train=100_000,
    test=10_000,
    layout=TinyImageNetFiles(),
    downloads={"the course's archive": archive_download({ARCHIVE: ARCHIVE_MD5}, TinyImageNetFiles())},
)
