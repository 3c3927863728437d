"""Write files safely: replace them in one step, or append whole lines. Readers never see half of a write."""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` in UTF-8, as `replace_bytes` does."""
    replace_bytes(path, text.encode("utf-8"))


def replace_bytes(path: Path, content: bytes) -> None:
    """Replace the content of ``path`` in one step. It is on disk when this returns; on an error the old file stays.

    Raises:
        OSError: the disk is full or not writable.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def append_line(path: Path, line: str) -> None:
    """Append ``line`` to ``path``. It is on disk when this returns. A line that was cut short is ended first.

    Raises:
        OSError: the disk is full or not writable.
    """
    with open(path, "a+b") as file:
        if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            file.write(b"\n")
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
