"""A driver's one connection to a PostgreSQL server, which also holds the lock on the study.

Whenever the connection is opened, it takes an advisory lock. A driver that loses the connection loses the lock with it
and cannot write until it has both again. The study also stores the id of its last driver, so that a driver that
reconnects notices if another one has driven the study meanwhile and has already ended.
"""

import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy
from optuna.exceptions import StorageInternalError
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from reports.document.commands import command
from reports.document.wording import duration
from reports.storage.database import CONNECTION_TIMEOUTS
from search.errors import InputError, taken
from search.storage.url import StorageError, database_message, storage_errors

MAX_OUTAGE_S = 300.0  # after that long without a connection the driver gives up
RETRY_INTERVAL_S = 2.0
OPERATION_TIMEOUT_S = 120.0  # after that long an operation's connection is cut and counts as lost
OLD_SESSION_TIMEOUT_S = 10.0  # the server must end the session that we lost within this time
DRIVER_ID_ATTRIBUTE = "driver"  # attribute of a study: the id of its last driver

# With these settings client and server both notice within a minute that the other is gone.
CONNECT_OPTIONS = CONNECTION_TIMEOUTS | {"tcp_user_timeout": 60_000}  # ms
SESSION_SETTINGS = (
    "SET statement_timeout = '60s'",
    "SET tcp_keepalives_idle = 20",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)
_LOCK_HOLDERS = """
SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
AND l.database = a.datid AND (l.classid::bigint << 32) | l.objid::bigint = %s
"""
_DRIVER_ID = """
SELECT a.value_json FROM studies s JOIN study_user_attributes a ON a.study_id = s.study_id
WHERE s.study_name = %s AND a.key = %s
"""

Result = TypeVar("Result")


class LockLostError(StorageError):
    """Another driver took the study over while this one had no connection."""


class DriverConnection:
    """An open connection that holds the lock on ``study``.

    ``say`` gets a line when the connection is lost and when it is back. Once ``stop`` is set, nothing waits for a lost
    connection. Raises StorageError if the server cannot be reached, InputError if another driver holds the study.
    """

    def __init__(
        self, url: str, study: str, say: Callable[[str], None], stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._study = study
        self._say = say
        self._stop = stop
        self._clock = clock
        self._lock_key = _lock_key(f"snnsearch/{study}")
        self.driver_id = f"process {os.getpid()} on {socket.gethostname()[:24]} {uuid.uuid4().hex[:8]}"
        self._driver_id_stored = False
        self._lost_at: float | None = None  # clock seconds
        self._current: Any = None  # the open connection, an object of the database driver
        self._may_reopen = True
        self.retried = False  # whether the operation under way was tried before, with an unknown outcome
        name = f"snnsearch {self.driver_id}"
        self._engine = sqlalchemy.create_engine(
            url, poolclass=NullPool, connect_args=connect_args(url) | {"application_name": name}
        )
        event.listen(self._engine, "do_connect", self._connect)
        with storage_errors("connecting"):
            self._first: Any = self._open()

    # -- opening --------------------------------------------------------------------------------------------------

    def creator(self) -> Any:
        """Open a connection for an engine whose pool holds one: first the one that is open, later a new one."""
        first, self._first = self._first, None
        if first is not None:
            with suppress(self._errors):  # it may be lost: a data set may have been downloaded since it was opened
                _rows(first, "SELECT 1")
                first.commit()
                return first
        if not self._may_reopen:
            lost = ConnectionError("the connection was lost while a trial was added")
            raise OperationalError(None, None, lost) from lost
        return self._open()

    def close(self) -> None:
        if self._current is not None:
            if self._lost_at is None:  # the server notices a closed connection only after a while
                with suppress(self._errors), self._cut_if_stuck():
                    _rows(self._current, "SELECT pg_advisory_unlock_all()")
            self._current.close()
            self._current = None

    def driver_id_was_stored(self) -> None:
        """Remember that the study now stores this driver's id; after a reconnection it must still do so."""
        self._driver_id_stored = True

    @contextmanager
    def not_reopened(self) -> Iterator[None]:
        """Refuse a new connection inside the block: if the connection is lost, the whole block fails."""
        self._may_reopen = False
        try:
            yield
        finally:
            self._may_reopen = True

    def _open(self) -> Any:
        try:
            opened = self._engine.raw_connection()
        except self._errors as error:
            raise OperationalError(None, None, error) from error
        opened.detach()  # from the engine's pool: we close it, or the pool that asked for it does
        return opened.dbapi_connection

    @property
    def _errors(self) -> type[Exception]:
        """The base class of the database driver's errors."""
        base: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return base

    def _connect(self, dialect: sqlalchemy.Dialect, record: Any, args: list[Any], options: dict[str, Any]) -> Any:
        previous = self._current
        self._current = opened = dialect.loaded_dbapi.connect(*args, **options)
        try:
            for statement in SESSION_SETTINGS:
                opened.cursor().execute(statement)
            self._lock(opened, reconnecting=previous is not None)
            opened.commit()
        except BaseException:
            opened.close()
            raise
        return opened

    def _lock(self, opened: Any, *, reconnecting: bool) -> None:
        deadline = self._clock() + OLD_SESSION_TIMEOUT_S
        while not _rows(opened, "SELECT pg_try_advisory_lock(%s)", self._lock_key)[0][0]:
            holders = _rows(opened, _LOCK_HOLDERS, self._lock_key)
            ours = [pid for pid, name in holders if name == f"snnsearch {self.driver_id}"]
            if (holders and not ours) or self._clock() > deadline:
                names = [name.removeprefix("snnsearch ") for _, name in holders if name]
                error = self._lock_lost if reconnecting else self._study_taken
                raise error(names[0] if names else "a driver on the same database")
            for pid in ours:  # our lost session, which the server has not noticed to be lost
                _rows(opened, "SELECT pg_terminate_backend(%s)", pid)
            opened.commit()
            time.sleep(0.05)
        if self._driver_id_stored:
            stored = [value for (value,) in _rows(opened, _DRIVER_ID, self._study, DRIVER_ID_ATTRIBUTE)]
            if stored != [f'"{self.driver_id}"']:
                raise self._lock_lost(stored[0].strip('"') if stored else "one that removed it")

    def _study_taken(self, holder: str) -> InputError:
        return taken(self._study, f"{_without_token(holder)}, connected to the same database")

    def _lock_lost(self, holder: str) -> InputError:
        return LockLostError(
            f"another driver took {self._study!r} over while the connection to its database was lost: "
            f"{_without_token(holder)}. This driver has stopped and has written nothing since. Watch the study with: "
            f"{command('status', self._study)}; when the other driver has ended, continue it with: "
            f"{command('resume', self._study)}"
        )

    # -- losing the connection ------------------------------------------------------------------------------------

    def retrying(self, call: Callable[[], Result]) -> Result:
        """Return the result of ``call``, repeating it without a connection until MAX_OUTAGE_S after its loss.

        ``call`` must be safe to repeat; ``retried`` tells it that this is a repetition.
        """
        outer, self.retried = self.retried, False
        try:
            while True:
                try:
                    with self._cut_if_stuck():
                        result = call()
                except (SQLAlchemyError, StorageInternalError) as error:
                    if not _connection_lost(error) or not self._wait(error):
                        raise
                    self.retried = True
                else:
                    self._say_if_back()
                    return result
        finally:
            self.retried = outer

    def _wait(self, error: Exception) -> bool:
        """Pause before the next attempt; return False to give up."""
        now = self._clock()
        if self._lost_at is None:
            self._lost_at = now
            self._say(
                f"database  no connection: {database_message(error)}. Waiting up to {duration(MAX_OUTAGE_S)} for it; "
                "running trials continue"
            )
        left = self._lost_at + MAX_OUTAGE_S - now
        return left > 0 and not self._stop.wait(min(RETRY_INTERVAL_S, left))

    def _say_if_back(self) -> None:
        if self._lost_at is not None:
            self._say(f"database  connected again after {duration(self._clock() - self._lost_at)}")
            self._lost_at = None

    @contextmanager
    def _cut_if_stuck(self) -> Iterator[None]:
        """Cut the connection after OPERATION_TIMEOUT_S.

        Neither keepalives nor the server's timeout end the wait for a server that is reachable but does not answer.
        """
        timer = threading.Timer(OPERATION_TIMEOUT_S, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with suppress(Exception), socket.socket(fileno=os.dup(self._current.fileno())) as connected:
            connected.shutdown(socket.SHUT_RDWR)


def _rows(opened: Any, query: str, *values: object) -> list[Any]:
    cursor = opened.cursor()
    cursor.execute(query, values)
    found: list[Any] = cursor.fetchall()
    return found


@contextmanager
def setup_lock(url: str) -> Iterator[None]:
    """Let only one snnsearch process at a time into the block on that database."""
    engine = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=connect_args(url))
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(SESSION_SETTINGS[0]))
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": _lock_key("snnsearch")})
        yield


def _lock_key(text: str) -> int:
    """Return the key of an advisory lock, a signed 64-bit integer."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def connect_args(url: str) -> dict[str, Any]:
    """Return connection options, except those that the address sets itself."""
    address = sqlalchemy.make_url(url)
    if address.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    return {name: value for name, value in CONNECT_OPTIONS.items() if name not in address.query}


def _without_token(driver_id: str) -> str:
    """Return ``process 12 on host``, without the token that makes a driver's id unique."""
    return driver_id.rpartition(" ")[0] if driver_id.startswith("process ") else driver_id


def _connection_lost(error: Exception) -> bool:
    """Return whether a repetition may help. It does not help against a bad value or a missing permission."""
    cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
    if isinstance(cause, DBAPIError) and cause.connection_invalidated:
        return True
    return isinstance(cause, OperationalError | InterfaceError | sqlalchemy.exc.TimeoutError)
