"""One driver per study or benchmark: a lock that the system or the database drops by itself when its holder dies."""

import fcntl
import hashlib
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import IO

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from search.errors import InputError
from search.storage import storage_errors


class Lease:
    """Held while a driver asks and tells. ``flock`` on ``driver.lock``; on PostgreSQL an advisory lock as well, which
    also keeps out a driver on another machine. Both end with their process, so that none is left behind by a crash.

    Raises InputError where another driver holds the study.
    """

    def __init__(self, folder: Path, study: str, storage: str) -> None:
        self._study = study
        self._file = _lock_file(folder / "driver.lock", study)
        self._connection: Connection | None = None
        if storage.startswith("postgresql"):
            try:
                self._connection = _lock_database(storage, study)
            except BaseException:
                self._file.close()
                raise

    def release(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._file.close()

    def __enter__(self) -> "Lease":
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
            raise _taken(study, holder) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
    except OSError as error:
        raise InputError(
            f"cannot lock {path}: {error.strerror}. Make its folder writable, or choose another: --runs DIR"
        ) from error
    return file


def _lock_database(storage: str, study: str) -> Connection:
    key = int.from_bytes(hashlib.sha256(f"snnsearch/{study}".encode()).digest()[:8], "big", signed=True)
    engine = create_engine(storage, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with storage_errors("a connection"):
        connection = engine.connect()
        held = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar()
    if not held:
        connection.close()
        raise _taken(study, "a driver connected to the same database")
    return connection


def _taken(study: str, holder: str) -> InputError:
    return InputError(
        f"{study!r} is being driven already, by {holder}. One driver at a time may run it: wait for that one, end it "
        f"with Ctrl-C, or look on with: snnsearch status {study}"
    )
