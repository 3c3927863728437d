"""Download a data set with torchvision: one that it knows, or archives by their address and MD5."""

import contextlib
import io
import socket
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path

from snnkit.data.datasets.info import Download, Layout
from snnkit.data.images import DataError, DataSet

CONNECT_TIMEOUT_S = 30  # without a timeout, a host that never answers would block the download forever


def torchvision_download(dataset: str, layout: Layout) -> Download:
    """Return a download that uses ``torchvision.datasets.<dataset>``, which checks the MD5 of its archive.

    ``layout`` reads the downloaded files.
    """

    def download(scratch: Path) -> DataSet:
        with _as_data_errors(), quiet_download():
            from torchvision import datasets  # type: ignore[import-untyped]  # it has no stubs

            getattr(datasets, dataset)(str(scratch), download=True)
        return layout.read(scratch)

    return download


def archive_download(archives: Mapping[str, str], layout: Layout) -> Download:
    """Return a download of the zip files ``archives`` (address -> MD5), which are unpacked side by side.

    ``layout`` reads the unpacked files.
    """

    def download(scratch: Path) -> DataSet:
        with _as_data_errors(), quiet_download():
            from torchvision.datasets.utils import download_and_extract_archive  # type: ignore[import-untyped]

            for number, (url, md5) in enumerate(archives.items()):
                download_and_extract_archive(url, str(scratch), filename=f"{number}.zip", md5=md5, remove_finished=True)
        return layout.read(scratch)

    return download


@contextlib.contextmanager
def _as_data_errors() -> Iterator[None]:
    try:
        yield
    except (
        OSError, RuntimeError, HTTPException, EOFError, ImportError, tarfile.TarError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise DataError(" ".join(str(error).split()) or type(error).__name__) from error


@contextlib.contextmanager
def quiet_download() -> Iterator[None]:
    """Within the block, hide progress bars, and let connections fail that nobody answers."""
    hidden = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with hidden[0], hidden[1], _socket_timeout(CONNECT_TIMEOUT_S):
        yield


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
