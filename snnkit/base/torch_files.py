"""Read files of ``torch.save`` without running any code in them."""

import zipfile
from pathlib import Path
from typing import IO, Any

import torch

ZIP_MAGIC = b"PK"


class StoredError(Exception):
    """The file holds no mapping of tensors, numbers and text. The message says why, without the file name."""


def load_stored(file: Path | IO[bytes]) -> dict[str, Any]:
    """Return the mapping in ``file``, tensors on the CPU. Raises StoredError, or OSError if it cannot be read."""
    try:
        if isinstance(file, Path):
            _verify(file)
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle can raise any error in torch's reader
        raise StoredError(_reason(error)) from error
    if not isinstance(found, dict):
        raise StoredError(f"it holds a {type(found).__name__}, not a mapping")
    return found


def _verify(file: Path) -> None:
    """Compare each part of an archive with its CRC, which torch does not. Raises StoredError."""
    if not zipfile.is_zipfile(file):
        with file.open("rb") as opened:
            if opened.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
                raise StoredError("it was cut short")
        return
    with zipfile.ZipFile(file) as archive:
        if sum(part.file_size for part in archive.infolist()) > file.stat().st_size:
            raise StoredError("its parts are larger than the file")
        if (damaged := archive.testzip()) is not None:
            raise StoredError(f"{damaged} is damaged: its CRC is not the recorded one")


def _reason(error: Exception) -> str:
    """The first line of torch's message, without its advice to load the file unsafely."""
    lines = (line.strip().removeprefix("WeightsUnpickler error: ") for line in str(error).splitlines())
    relevant = [line for line in lines if line and "weights_only" not in line and not line.startswith(("(", "Please"))]
    return relevant[0] if relevant else type(error).__name__
