"""What ``torch.save`` has written, read without running anything that is in it."""

from pathlib import Path
from typing import IO, Any

import torch


class StoredError(Exception):
    """A file that holds no mapping of tensors, numbers and text; the message says why, and does not name the file."""


def load_stored(file: Path | IO[bytes]) -> dict[str, Any]:
    """The mapping in ``file``, its tensors on the CPU. Raises StoredError, and OSError where there is no such file."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged pickle makes torch's reader run into errors of any kind
        raise StoredError(_reason(error)) from error
    if not isinstance(found, dict):
        raise StoredError(f"a {type(found).__name__} where a mapping is expected")
    return found


def _reason(error: Exception) -> str:
    """Without torch's advice to load the file unsafely."""
    lines = (line.strip().removeprefix("WeightsUnpickler error: ") for line in str(error).splitlines())
    told = [line for line in lines if line and "weights_only" not in line and not line.startswith(("(", "Please"))]
    return told[0] if told else type(error).__name__
