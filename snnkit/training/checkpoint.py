"""The state of a training in one file, written atomically and verified by a digest when it is read."""

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from snnkit.base.files import atomic_write
from snnkit.base.torch_files import StoredError, load_stored

MAGIC = b"snnsearch checkpoint 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size


class CheckpointError(Exception):
    """A checkpoint is corrupt or belongs to another training. The message names the file."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings and containers of them) to ``path``, atomically.

    Raises:
        OSError: the disk is full or not writable; the previous checkpoint is intact.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getbuffer()
    try:
        with atomic_write(path) as partial, partial.open("wb") as file:
            file.write(MAGIC + hashlib.sha256(content).digest())
            file.write(content)
    except OSError as error:
        message = f"{error.strerror}; checkpoint not written, the previous one is intact"
        raise OSError(error.errno, message, str(path)) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `save_checkpoint` wrote, with its tensors on the CPU. No code in the file is run.

    Raises:
        CheckpointError: the file is not a checkpoint, truncated or changed.
        FileNotFoundError: there is no such file.
    """
    content = path.read_bytes()
    start = len(MAGIC) + _DIGEST_BYTES
    if not content.startswith(MAGIC) or len(content) < start:
        raise CheckpointError(f"{path}: not a checkpoint of this program; move it away to train from the start")
    body = content[start:]
    if hashlib.sha256(body).digest() != content[len(MAGIC) : start]:
        raise CheckpointError(
            f"{path}: truncated or changed: the SHA-256 of its {len(content):,} bytes is not the recorded one; "
            "move it away to train from the start"
        )
    try:
        return load_stored(io.BytesIO(body))
    except StoredError as error:
        raise CheckpointError(f"{path}: not readable ({error}); move it away to train from the start") from error


def set_aside(path: Path) -> Path:
    """Rename an unusable checkpoint by appending ``.corrupt``, and return its new path."""
    aside = path.with_name(path.name + ".corrupt")
    os.replace(path, aside)
    return aside
