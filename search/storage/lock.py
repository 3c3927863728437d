"""One driver per study or benchmark: a lock that the system or the database drops when its holder dies."""

import errno
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from search.errors import InputError, taken
from search.storage.postgresql import DriverConnection

LOCK_FILE = "driver.lock"
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)  # what flock says on a file system without locks
HOLDER_FILE = "driver.holder"  # says who holds the lock; filelock may empty the lock file itself


class StudyLock:
    """The lock of the one driver that may ask for candidates and store results.

    It is a file lock in the study's folder. On PostgreSQL it is also an advisory lock on the ``connection`` that the
    driver writes on, which keeps out drivers on other machines. A crash leaves neither behind.

    ``say`` gets a line when the connection is lost or back; once ``stop`` is set, nothing waits for a lost connection.
    Raises InputError if another driver holds the study.
    """

    def __init__(self, folder: Path, study: str, storage: str, say: Callable[[str], None] = lambda text: None) -> None:
        self.stop = threading.Event()
        self.connection: DriverConnection | None = None
        self._file = _locked_file(folder, study)
        if storage.startswith("postgresql"):
            try:
                self.connection = DriverConnection(storage, study, say, self.stop)
            except BaseException:
                self._file.release()
                raise

    def release(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self._file.release()

    def __enter__(self) -> "StudyLock":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


def _locked_file(folder: Path, study: str) -> FileLock:
    holder = folder / HOLDER_FILE
    # no marker file in place of a lock: it would outlive a driver that dies
    lock = FileLock(folder / LOCK_FILE, timeout=0, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    except Timeout:
        name = holder.read_text(encoding="utf-8") if holder.exists() else ""
        raise taken(study, name or "another process") from None
    except OSError as error:
        lock.release()
        raise InputError(f"cannot lock {folder / LOCK_FILE}: {error.strerror}. {_remedy(error)}") from error
    return lock


def _remedy(error: OSError) -> str:
    if error.errno in NO_LOCKS:
        return (
            "Its file system has no locks, which keep two drivers apart. Choose a folder on another: --runs DIR; or "
            "mount it with locks (Lustre: -o flock, NFS: without nolock)"
        )
    return "Make its folder writable, or choose another: --runs DIR"
