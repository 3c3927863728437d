"""Download a data set with torchvision."""

import contextlib
import io
import socket
import tarfile
import zlib
from collections.abc import Iterator
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
        try:
            with quiet_download():
                from torchvision import datasets  # type: ignore[import-untyped]  # it has no stubs

                getattr(datasets, dataset)(str(scratch), download=True)
        except (OSError, RuntimeError, HTTPException, EOFError, ImportError, tarfile.TarError, zlib.error) as error:
            raise DataError(" ".join(str(error).split())) from error
        return layout.read(scratch)

    return download


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
