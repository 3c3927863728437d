"""A training's state in one file: written whole or not at all, and known to be whole when it is read."""

import contextlib
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from snnkit.base.torch_files import StoredError, load_stored

MAGIC = b"snnsearch checkpoint 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size


class CheckpointError(Exception):
    """A checkpoint that is corrupt or of another training; the message names the file."""


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Replace ``path`` by ``state`` (tensors, numbers, strings and containers of them) in one step.

    Raises:
        OSError: the disk is full or not writable; the checkpoint before is untouched.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getbuffer()
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as file:
            file.write(MAGIC + hashlib.sha256(content).digest())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        message = f"{error.strerror}; checkpoint not written, the one before it is untouched"
        raise OSError(error.errno, message, str(path)) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What ``save_checkpoint`` wrote, its tensors on the CPU. No code in the file is run.

    Raises:
        CheckpointError: not a checkpoint, truncated or changed.
        FileNotFoundError: there is none.
    """
    content = path.read_bytes()
    start = len(MAGIC) + _DIGEST_BYTES
    if not content.startswith(MAGIC) or len(content) < start:
        raise CheckpointError(f"{path}: not a checkpoint of this program; move it away to train from the start")
    body = content[start:]
    if hashlib.sha256(body).digest() != content[len(MAGIC) : start]:
        raise CheckpointError(
            f"{path}: {len(content):,} bytes, and their SHA-256 is not the recorded one: truncated or changed; "
            "move it away to train from the start"
        )
    try:
        return load_stored(io.BytesIO(body))
    except StoredError as error:
        raise CheckpointError(f"{path}: not readable ({error}); move it away to train from the start") from error


def set_aside(path: Path) -> Path:
    """Rename a checkpoint that cannot be used, to ``checkpoint.pt.corrupt``, and return its new path."""
    aside = path.with_name(path.name + ".corrupt")
    os.replace(path, aside)
    return aside
