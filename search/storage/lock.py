"""One driver per study or benchmark: a lock that the system or the database drops by itself when its holder dies."""

import fcntl
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from search.errors import InputError, taken
from search.storage.postgresql import DriverConnection


class StudyLock:
    """Held while a driver asks and tells. ``flock`` on ``driver.lock``; on PostgreSQL an advisory lock as well, on the
    ``connection`` that the driver then writes on, which also keeps out a driver on another machine. Both end with their
    process, so that none is left behind by a crash.

    ``say`` is told of a lost connection; once ``stop`` is set it is not waited for. Raises InputError where another
    driver holds the study.
    """

    def __init__(self, folder: Path, study: str, storage: str, say: Callable[[str], None] = lambda text: None) -> None:
        self.stop = threading.Event()
        self.connection: DriverConnection | None = None
        self._file = _lock_file(folder / "driver.lock", study)
        if storage.startswith("postgresql"):
            try:
                self.connection = DriverConnection(storage, study, say, self.stop)
            except BaseException:
                self._file.close()
                raise

    def release(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self._file.close()

    def __enter__(self) -> "StudyLock":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def _lock_file(path: Path, study: str) -> IO[str]:
    try:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (held open: closing it gives the lock up)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise taken(study, holder) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
    except OSError as error:
        raise InputError(
            f"cannot lock {path}: {error.strerror}. Make its folder writable, or choose another: --runs DIR"
        ) from error
    return file
