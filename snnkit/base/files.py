"""Write a file in one step, so that no reader ever sees half of it."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; after the block the file written there replaces ``path``.

    The file is on disk when the block ends. If the block raises, ``path`` is left as it was and the temporary file is
    removed. Several processes may write the same path at once. Raises OSError if the folder is full or not writable.
    """
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent, ignore_cleanup_errors=True) as folder:
        partial = Path(folder) / path.name
        yield partial
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        partial.replace(path)
