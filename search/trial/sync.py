"""Where the machines of a cluster share no folder, the files of trials go through a URL, as fsspec knows them.

    a worker     fetches a trial's files, trains in a folder of its own, and hands them over after every epoch
    the driver   fetches them when the trial is over: its runs folder becomes what it would be without a URL

Each run has a folder of its own below the URL, named in ``exchange.txt`` of its runs folder. A file is sent under
another name and renamed, so that none is there in part. What cannot be sent is logged and sent with the next epoch.
"""

import contextlib
import hashlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import fsspec  # type: ignore[import-untyped]  # it has no stubs

from reports.records.study import EpochRecord, TrialRecord
from reports.storage.results import RESULT
from search.errors import InputError
from search.trial.job import BEAT, Job, log
from snnkit.base.cache import user_cache

FILE = "exchange.txt"
TRIES = 4  # of a transfer
PAUSE_S = 1.0  # before the second, and twice as long before each further one
PARTIAL = ".partial"

T = TypeVar("T")
Event = EpochRecord | TrialRecord
Mark = tuple[int, int]  # size and time of change: a file of the same is not sent again


class ExchangeError(OSError):
    """A transfer that failed several times."""


class Exchange:
    """The files of one run: below ``url``, and below ``run`` on this machine."""

    def __init__(self, url: str, run: Path) -> None:
        self._files, self._root = _open(url)
        self._run = run
        self._sent: dict[Path, Mark] = {}
        self._one = threading.Lock()  # at a time: a trial's signs of life are sent by a thread of their own

    def fetch(self, path: Path) -> bool:
        """The file that another machine has handed over, in place of the one here. False where there is none.
        Raises ExchangeError."""
        with self._one:
            return self._fetch(path)

    def fetch_folder(self, folder: Path) -> bool:
        """All files of a folder; False where there are none. Raises ExchangeError."""
        with self._one:
            names = self._names(folder)
            for name in names:
                self._fetch(folder / name)
            return bool(names)

    def hand_over(self, path: Path) -> None:
        """Raises ExchangeError."""
        with self._one:
            self._hand_over(path)

    def hand_over_folder(self, folder: Path) -> None:
        """Its files that have changed since; those that are gone here are removed there. Raises ExchangeError."""
        with self._one:
            there = {path for path in self._sent if path.parent == folder}
            here = {path for path in folder.iterdir() if path.is_file() and not path.name.endswith(PARTIAL)}
            for path in sorted(here):
                self._hand_over(path)
            for path in there - here:
                _tried(lambda path=path: self._remove(path))  # type: ignore[misc]  # bound at once
                del self._sent[path]

    def catch_up(self) -> None:
        """All that is not here, but for trials that are over here. Raises ExchangeError."""
        self._files.invalidate_cache()
        found = _tried(lambda: self._files.find(self._root))
        with self._one:
            for name in found:
                path = self._run / str(name).removeprefix(f"{self._root}/")
                over = path.parent.parent.name == "trials" and (path.parent / RESULT).exists()
                if not over and not name.endswith(PARTIAL):
                    self._fetch(path)

    def _fetch(self, path: Path) -> bool:
        partial = path.with_name(f".{path.name}{PARTIAL}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _tried(lambda: self._files.get_file(self._there(path), str(partial)))
        except FileNotFoundError:
            partial.unlink(missing_ok=True)
            return False
        partial.replace(path)
        self._sent[path] = _mark(path)
        return True

    def _hand_over(self, path: Path) -> None:
        try:
            mark = _mark(path)
        except FileNotFoundError:
            return
        if self._sent.get(path) != mark:
            _tried(lambda: self._put(path))
            self._sent[path] = mark

    def _put(self, path: Path) -> None:
        there = self._there(path)
        self._files.makedirs(there.rpartition("/")[0], exist_ok=True)
        self._files.put_file(str(path), there + PARTIAL)
        self._files.mv(there + PARTIAL, there)

    def _remove(self, path: Path) -> None:
        if self._files.exists(self._there(path)):
            self._files.rm_file(self._there(path))

    def _names(self, folder: Path) -> list[str]:
        def listed() -> list[str]:
            self._files.invalidate_cache()
            try:
                return [
                    each["name"] for each in self._files.ls(self._there(folder), detail=True) if each["type"] == "file"
                ]
            except FileNotFoundError:
                return []

        names = [name.rpartition("/")[2] for name in _tried(listed)]
        return [name for name in names if not name.endswith(PARTIAL)]

    def _there(self, path: Path) -> str:
        return f"{self._root}/{path.relative_to(self._run).as_posix()}"


def own(url: str, name: str) -> str:
    """The URL of the run ``name`` that begins: a folder of its own below ``url``. Raises InputError."""
    parts = urlsplit(url)
    if not parts.scheme or parts.password is not None:
        raise InputError(
            f"--exchange {parts.scheme}: write a URL that fsspec knows, without a password, such as "
            "s3://bucket/folder or sftp://user@host/folder"
        )
    found = f"{url.rstrip('/')}/{name}-{secrets.token_hex(4)}"
    _open(found)
    return found


def noted(run: Path) -> str | None:
    """The URL that a run goes on with; None where it has none."""
    try:
        return (run / FILE).read_text().strip()
    except FileNotFoundError:
        return None


@cache
def of(url: str, run: Path) -> Exchange:
    """One of a process for each run. Raises InputError."""
    return Exchange(url, run)


def catch_up(run: Path) -> None:
    """Fetch what workers have left of trials that are not over here, and their twins. Raises InputError."""
    if (url := noted(run)) is None:
        return
    try:
        of(url, run.absolute()).catch_up()
    except ExchangeError as error:
        raise InputError(
            f"files of this run cannot be fetched from {url}: {error}. When it answers, the same command "
            f"goes on; to do without, remove {run / FILE}: unfinished trials begin anew"
        ) from error


def settled(job: Job, url: str) -> Job:
    """The job as it is trained on this machine, its files fetched. Raises ExchangeError, InputError."""
    run = user_cache() / "exchange" / hashlib.sha256(url.encode()).hexdigest()[:16]
    moved = job.model_copy(update={"folder": run / "trials" / str(job.number), "exchange": url})
    shutil.rmtree(moved.folder, ignore_errors=True)  # of an earlier start, which another machine may have gone beyond
    moved.folder.mkdir(parents=True)
    of(url, run).fetch_folder(moved.folder)
    parents = []
    for parent in job.parents:
        weights = run / "trials" / str(parent.number) / parent.weights.name
        here(moved, weights)
        parents.append(parent.model_copy(update={"weights": weights}))
    return moved.model_copy(update={"parents": tuple(parents)})


def here(job: Job, path: Path) -> None:
    """Fetch a file of the run where this machine lacks it, if its run has a URL. Raises ExchangeError."""
    if job.exchange is not None and not path.exists():
        _of(job).fetch(path)


def kept(job: Job, path: Path) -> None:
    """A file of the run, for other machines as well. Raises ExchangeError."""
    if job.exchange is not None:
        _of(job).hand_over(path)


def handed_over(job: Job, events: Iterator[Event], every_s: float) -> Iterator[Event]:
    """``events`` of a settled job, each once the trial's files are where other machines find them; its signs of life
    are handed over ``every_s`` seconds. When it is over, nothing of it is left on this machine."""
    exchange, over = _of(job), threading.Event()

    def pulse() -> None:
        while not over.wait(every_s):
            with contextlib.suppress(ExchangeError):
                exchange.hand_over(job.folder / BEAT)

    threading.Thread(target=pulse, daemon=True).start()
    try:
        for event in events:
            try:
                exchange.hand_over_folder(job.folder)
            except ExchangeError as error:
                log(job.folder, f"event=not_handed_over error={error}")
            yield event
    finally:
        over.set()
    shutil.rmtree(job.folder, ignore_errors=True)


def _of(job: Job) -> Exchange:
    assert job.exchange is not None
    return of(job.exchange, job.folder.parent.parent)


def _open(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:  # no such protocol, or its package is not installed
        raise InputError(f"--exchange {url}: {error}") from error
    return files, str(root).rstrip("/")


def _mark(path: Path) -> Mark:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _tried(transfer: Callable[[], T]) -> T:
    """What ``transfer`` returns; tried several times. Raises FileNotFoundError, ExchangeError."""
    for attempt in range(TRIES):
        try:
            return transfer()
        except FileNotFoundError:
            raise
        except Exception as error:  # each protocol has its own
            if attempt == TRIES - 1:
                raise ExchangeError(f"{type(error).__name__}: {error}") from error
            time.sleep(PAUSE_S * 2**attempt)
    raise AssertionError
