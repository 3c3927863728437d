"""Bring the files of a run to the machines of a cluster.

    SharedFolder    all machines see the runs folder: nothing is transferred
    RemoteFolder    they do not: the files go through a URL that fsspec knows

Through a URL, a worker fetches a trial's files, trains in a folder of its own, and hands the files over after every
epoch. The driver fetches them when the trial has ended, so its runs folder holds the same files as without a URL.

Each run has its own folder below the URL, and stores the address in ``exchange.txt``. A file is sent under another name
and renamed, so no reader sees half of it. A file that cannot be sent is logged and sent after the next epoch.
"""

import contextlib
import hashlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped]  # it has no stubs

from reports.records.study import EpochRecord, TrialRecord
from search.errors import InputError
from search.trial.folder import Attempts, RunFolder, TrialFolder
from search.trial.job import Job
from snnkit.base.cache import user_cache
from snnkit.base.files import atomic_write

TRIES = 4  # of a transfer
PAUSE_S = 1.0  # before the second try; doubled before each further one
PARTIAL = ".partial"

T = TypeVar("T")
Event = EpochRecord | TrialRecord
Stamp = tuple[int, int]  # size and time of the last change: a file with an equal stamp is not sent again


class ExchangeError(OSError):
    """A transfer failed several times."""


class SharedFolder:
    """Does nothing: all machines see the same files. It has the methods of `RemoteFolder`."""

    def localize(self, job: Job) -> Job:
        return job

    def deliver(self, job: Job, events: Iterator[Event], heartbeat_s: float) -> Iterator[Event]:
        return events

    def fetch(self, path: Path) -> bool:
        return path.exists()

    def fetch_missing(self, path: Path) -> None:
        pass

    def fetch_folder(self, folder: Path) -> bool:
        return folder.exists()

    def hand_over(self, path: Path) -> None:
        pass

    def catch_up(self) -> None:
        pass

    def checkpoint_digest(self, trial: TrialFolder) -> int:
        """Return a digest of the checkpoints that the trial would resume from; 0 if there are none."""
        return trial.checkpoint_digest()


class RemoteFolder:
    """The files of one run: below ``url``, and in ``run`` on this machine. Methods that transfer raise ExchangeError.

    Creating it raises InputError if fsspec cannot open the URL.
    """

    def __init__(self, url: str, run: RunFolder) -> None:
        self._files, self._root = _open(url)
        self._run = run
        self._sent: dict[Path, Stamp] = {}
        self._lock = threading.Lock()  # a second thread hands over heartbeats

    # -- a worker's view --------------------------------------------------------------------------------------------

    def localize(self, job: Job) -> Job:
        """Return the job with folders on this machine, after fetching its files."""
        trial = self._run.trial(job.number, job.fidelity)
        shutil.rmtree(trial.path, ignore_errors=True)  # an earlier start; another machine may have trained on since
        trial.create()
        self.fetch_folder(trial.path)
        parents = []
        for parent in job.parents:
            weights = parent.weights_in(self._run)
            self.fetch_missing(weights)
            parents.append(parent.model_copy(update={"weights": weights}))
        return job.with_parents(parents).model_copy(update={"folder": trial.path})

    def deliver(self, job: Job, events: Iterator[Event], heartbeat_s: float) -> Iterator[Event]:
        """Yield each event of a localized job after handing over the trial's files.

        Heartbeats are handed over every ``heartbeat_s`` seconds. At the end, the trial's files are removed from this
        machine.
        """
        ended = threading.Event()

        def send_heartbeats() -> None:
            while not ended.wait(heartbeat_s):
                with contextlib.suppress(ExchangeError):
                    self.hand_over(job.files.heartbeat)

        threading.Thread(target=send_heartbeats, daemon=True).start()
        try:
            for event in events:
                try:
                    self.hand_over_folder(job.folder)
                except ExchangeError as error:
                    job.files.log(f"event=not_handed_over error={error}")
                yield event
        finally:
            ended.set()
        shutil.rmtree(job.folder, ignore_errors=True)

    def fetch_missing(self, path: Path) -> None:
        """Fetch a file unless it is on this machine. Files that no machine has are left out."""
        if not path.exists():
            self.fetch(path)

    def hand_over(self, path: Path) -> None:
        """Send a file if it has changed since it was sent or fetched."""
        with self._lock:
            self._hand_over(path)

    def hand_over_folder(self, folder: Path) -> None:
        """Send the files of a folder that have changed, and remove those at the URL that are gone here."""
        with self._lock:
            sent = {path for path in self._sent if path.parent == folder}
            here = {path for path in folder.iterdir() if path.is_file() and not path.name.endswith(PARTIAL)}
            for path in sorted(here):
                self._hand_over(path)
            for path in sent - here:
                _retrying(lambda path=path: self._remove(path))  # type: ignore[misc]  # bound at once
                del self._sent[path]

    # -- the driver's view ------------------------------------------------------------------------------------------

    def fetch(self, path: Path) -> bool:
        """Replace a file by the one that another machine has handed over. Return False if there is none."""
        with self._lock:
            return self._fetch(path)

    def fetch_folder(self, folder: Path) -> bool:
        """Fetch all files of a folder. Return False if there are none."""
        with self._lock:
            names = self._names(folder)
            for name in names:
                self._fetch(folder / name)
            return bool(names)

    def catch_up(self) -> None:
        """Fetch all files except those of trials that have ended on this machine."""
        self._files.invalidate_cache()
        found = _retrying(lambda: self._files.find(self._root))
        with self._lock:
            for name in found:
                path = self._run.path / str(name).removeprefix(f"{self._root}/")
                ended = self._run.trials in path.parents and TrialFolder(path.parent).result.exists()
                if not ended and not name.endswith(PARTIAL):
                    self._fetch(path)

    def checkpoint_digest(self, trial: TrialFolder) -> int:
        """Return the digest that the trial's latest start has noted: its checkpoints are too large to fetch."""
        return (trial.read_attempts() or Attempts()).checkpoint

    # -- transfers --------------------------------------------------------------------------------------------------

    def _fetch(self, path: Path) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_write(path) as partial:
                _retrying(lambda: self._files.get_file(self._remote(path), str(partial)))
        except FileNotFoundError:
            return False
        self._sent[path] = _stamp(path)
        return True

    def _hand_over(self, path: Path) -> None:
        try:
            stamp = _stamp(path)
        except FileNotFoundError:
            return
        if self._sent.get(path) != stamp:
            _retrying(lambda: self._put(path))
            self._sent[path] = stamp

    def _put(self, path: Path) -> None:
        remote = self._remote(path)
        self._files.makedirs(remote.rpartition("/")[0], exist_ok=True)
        self._files.put_file(str(path), remote + PARTIAL)
        self._files.mv(remote + PARTIAL, remote)

    def _remove(self, path: Path) -> None:
        if self._files.exists(self._remote(path)):
            self._files.rm_file(self._remote(path))

    def _names(self, folder: Path) -> list[str]:
        def listed() -> list[str]:
            self._files.invalidate_cache()
            try:
                entries = self._files.ls(self._remote(folder), detail=True)
            except FileNotFoundError:
                return []
            return [entry["name"] for entry in entries if entry["type"] == "file"]

        names = [name.rpartition("/")[2] for name in _retrying(listed)]
        return [name for name in names if not name.endswith(PARTIAL)]

    def _remote(self, path: Path) -> str:
        return f"{self._root}/{path.relative_to(self._run.path).as_posix()}"


Sync = SharedFolder | RemoteFolder
SHARED = SharedFolder()


def connect(url: str | None, run: RunFolder) -> Sync:
    """Return the folder of a run as the driver uses it; ``url`` is None if all machines share it. Raises InputError."""
    return SHARED if url is None else RemoteFolder(url, run)


def connect_worker(url: str | None) -> Sync:
    """Return the folder of a run as a worker uses it: below ``url``, and in this machine's cache. Raises InputError."""
    if url is None:
        return SHARED
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    return RemoteFolder(url, RunFolder(user_cache() / "exchange" / name))


def catch_up(run: RunFolder) -> None:
    """Fetch the files that workers have handed over since the last driver, if the run has a URL. Raises InputError."""
    url = run.read_exchange()
    try:
        connect(url, run.absolute()).catch_up()
    except ExchangeError as error:
        raise InputError(
            f"files of this run cannot be fetched from {url}: {error}. When it answers, run the same command again; to "
            f"do without these files, move {run.exchange} elsewhere: unfinished trials start from the beginning"
        ) from error


def new_url(url: str, name: str) -> str:
    """Return the address of a folder of its own below ``url`` for a new run. Raises InputError."""
    parts = urlsplit(url)
    if not parts.scheme or parts.password is not None:
        raise InputError(
            f"--exchange {parts.scheme}: write a URL that fsspec knows, without a password, such as "
            "s3://bucket/folder or sftp://user@host/folder"
        )
    found = f"{url.rstrip('/')}/{name}-{secrets.token_hex(4)}"
    _open(found)
    return found


def _open(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:  # an unknown protocol, or its package is not installed
        raise InputError(f"--exchange {url}: {error}") from error
    return files, str(root).rstrip("/")


def _stamp(path: Path) -> Stamp:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _retrying(transfer: Callable[[], T]) -> T:
    """Return the result of ``transfer``, after several tries if necessary. Raises FileNotFoundError, ExchangeError."""
    for attempt in range(TRIES):
        try:
            return transfer()
        except FileNotFoundError:
            raise
        except Exception as error:  # each protocol has its own exceptions
            if attempt == TRIES - 1:
                raise ExchangeError(f"{type(error).__name__}: {error}") from error
            time.sleep(PAUSE_S * 2**attempt)
    raise AssertionError
