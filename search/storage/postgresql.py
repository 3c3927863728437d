"""A driver's one connection to a PostgreSQL server.

The advisory lock that makes a driver the only one is taken on the very connection that writes, whenever it is opened:
a driver whose connection is lost has lost its lock with it, and without the lock there is nothing that it could write
on. Beside the lock, a study carries the mark of the driver that took it last, so that a driver which comes back after
another one has come and gone notices that, too.
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

import optuna
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from reports.document.wording import duration
from reports.storage.database import PATIENCE
from search.errors import InputError, taken
from search.storage.url import StorageError, cause_of, storage_errors

PATIENCE_S = 300.0  # how long a lost connection is waited for
RETRY_S = 2.0
STUCK_S = 120.0  # for one operation; then its connection is cut, and counts as lost
ZOMBIE_S = 10.0  # that the server has to end our own session that it still holds
DRIVER = "driver"  # attribute of a study: the mark of the driver that took it last

# A peer that is gone without a word is noticed by both sides within a minute.
CONNECT = PATIENCE | {"tcp_user_timeout": 60_000}  # ms
SESSION = (
    "SET statement_timeout = '60s'",
    "SET tcp_keepalives_idle = 20",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)
_HOLDER = """
SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
AND l.database = a.datid AND (l.classid::bigint << 32) | l.objid::bigint = %s
"""
_MARK = """
SELECT a.value_json FROM studies s JOIN study_user_attributes a ON a.study_id = s.study_id
WHERE s.study_name = %s AND a.key = %s
"""

Result = TypeVar("Result")


class LockLostError(StorageError):
    """Another driver has the study, or had it while this one had no connection."""


class DriverConnection:
    """Opened and locked at once. ``say`` is told when it is lost and when it is back; while ``stop`` is set it is not
    waited for.

    Raises StorageError where the server is not there, InputError where another driver holds the study.
    """

    def __init__(
        self, url: str, study: str, say: Callable[[str], None], stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._study = study
        self._say = say
        self._stop = stop
        self._clock = clock
        self._key = _key(f"snnsearch/{study}")
        self.mark = f"process {os.getpid()} on {socket.gethostname()[:24]} {uuid.uuid4().hex[:8]}"
        self._marked = False
        self._lost_at: float | None = None  # clock seconds
        self._now: Any = None  # the connection, as the driver's module has it
        self.retried = False  # whether the operation under way was tried before, with an end that is not known
        self._engine = sqlalchemy.create_engine(
            url, poolclass=NullPool, connect_args=connect_args(url) | {"application_name": f"snnsearch {self.mark}"}
        )
        event.listen(self._engine, "do_connect", self._connect)
        with storage_errors("a connection"):
            self._first: Any = self._open()

    # -- opening --------------------------------------------------------------------------------------------------

    def creator(self) -> Any:
        """For an engine's pool of one: the connection that was opened first, and a new one whenever it is lost."""
        first, self._first = self._first, None
        if first is not None:
            with suppress(self._errors):  # it may have waited for a data set to be fetched
                _rows(first, "SELECT 1")
                first.commit()
                return first
        return self._open()

    def close(self) -> None:
        if self._now is not None:
            self._now.close()
            self._now = None

    def marked(self) -> None:
        """The study carries this driver's mark from now on."""
        self._marked = True

    def _open(self) -> Any:
        try:
            opened = self._engine.raw_connection()
        except self._errors as error:
            raise OperationalError(None, None, error) from error
        opened.detach()  # from its pool: it is closed here, or by the pool that it is created for
        return opened.dbapi_connection

    @property
    def _errors(self) -> type[Exception]:
        """The base class of those of the driver's module."""
        found: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return found

    def _connect(self, dialect: sqlalchemy.Dialect, record: Any, args: list[Any], options: dict[str, Any]) -> Any:
        before = self._now
        self._now = opened = dialect.loaded_dbapi.connect(*args, **options)
        try:
            for statement in SESSION:
                opened.cursor().execute(statement)
            self._lock(opened, again=before is not None)
            opened.commit()
        except BaseException:
            opened.close()
            raise
        return opened

    def _lock(self, opened: Any, *, again: bool) -> None:
        until = self._clock() + ZOMBIE_S
        while not _rows(opened, "SELECT pg_try_advisory_lock(%s)", self._key)[0][0]:
            holders = _rows(opened, _HOLDER, self._key)
            ours = [pid for pid, name in holders if name == f"snnsearch {self.mark}"]
            if (holders and not ours) or self._clock() > until:
                names = [name.removeprefix("snnsearch ") for _, name in holders if name]
                raise (self._lost if again else self._taken)(names[0] if names else "a driver on the same database")
            for pid in ours:  # the session that we have lost and the server has not
                _rows(opened, "SELECT pg_terminate_backend(%s)", pid)
            opened.commit()
            time.sleep(0.05)
        if self._marked:
            marks = [mark for (mark,) in _rows(opened, _MARK, self._study, DRIVER)]
            if marks != [f'"{self.mark}"']:
                raise self._lost(marks[0].strip('"') if marks else "one that removed it")

    def _taken(self, holder: str) -> InputError:
        return taken(self._study, f"{_place(holder)}, connected to the same database")

    def _lost(self, holder: str) -> InputError:
        return LockLostError(
            f"while the connection to its database was lost, {self._study!r} was taken over by another driver: "
            f"{_place(holder)}. This one has stopped and written nothing since. Look on with: snnsearch status "
            f"{self._study}; or, when that one is over: snnsearch resume {self._study}"
        )

    # -- being lost -----------------------------------------------------------------------------------------------

    def retrying(self, call: Callable[[], Result]) -> Result:
        """What ``call`` returns, which is called again while there is no connection: for PATIENCE_S since it was lost.
        It must be safe to repeat; ``retried`` tells it when it is."""
        before, self.retried = self.retried, False
        try:
            while True:
                try:
                    with self._cut_if_stuck():
                        result = call()
                except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
                    if not _connection_lost(error) or not self._wait(error):
                        raise
                    self.retried = True
                else:
                    self._back()
                    return result
        finally:
            self.retried = before

    def _wait(self, error: Exception) -> bool:
        """A pause before the next try; False where it is not waited any longer."""
        now = self._clock()
        if self._lost_at is None:
            self._lost_at = now
            self._say(
                f"database  no connection: {cause_of(error)}. Waiting for it, up to {duration(PATIENCE_S)}; "
                "trials that run are not stopped"
            )
        left = self._lost_at + PATIENCE_S - now
        return left > 0 and not self._stop.wait(min(RETRY_S, left))

    def _back(self) -> None:
        if self._lost_at is not None:
            self._say(f"database  there again after {duration(self._clock() - self._lost_at)}")
            self._lost_at = None

    @contextmanager
    def _cut_if_stuck(self) -> Iterator[None]:
        """Neither keepalives nor the server's timeout end the wait for a server that is there and does not answer."""
        timer = threading.Timer(STUCK_S, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with suppress(Exception), socket.socket(fileno=os.dup(self._now.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def _rows(opened: Any, query: str, *values: object) -> list[Any]:
    cursor = opened.cursor()
    cursor.execute(query, values)
    found: list[Any] = cursor.fetchall()
    return found


@contextmanager
def alone(url: str) -> Iterator[None]:
    """No other snnsearch is in such a block on that database."""
    engine = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=connect_args(url))
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(SESSION[0]))
        connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), {"key": _key("snnsearch")})
        yield


def _key(text: str) -> int:
    """Of an advisory lock."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def connect_args(url: str) -> dict[str, Any]:
    """Options of a connection that the address leaves open."""
    address = sqlalchemy.make_url(url)
    if address.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    return {name: value for name, value in CONNECT.items() if name not in address.query}


def _place(mark: str) -> str:
    """``process 12 on host``, without what makes a mark unique."""
    return mark.rpartition(" ")[0] if mark.startswith("process ") else mark


def _connection_lost(error: Exception) -> bool:
    """As against what a repetition would not change: a value that does not fit, a missing right."""
    cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
    if isinstance(cause, DBAPIError) and cause.connection_invalidated:
        return True
    return isinstance(cause, OperationalError | InterfaceError | sqlalchemy.exc.TimeoutError)
