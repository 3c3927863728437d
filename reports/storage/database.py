"""Read-only access to Optuna's tables with plain SELECTs. Nothing is created, upgraded or locked.

We do not use Optuna here because `status` must answer within a second, and importing Optuna and loading 200 trials
takes 0.75 s. SQLite files are read with the standard library in 0.1 s, servers through SQLAlchemy. The tables are those
of Optuna's schema 12 (Optuna 3.2 to 5).
"""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote

from reports.errors import LedgerError

if TYPE_CHECKING:
    from sqlalchemy.exc import SQLAlchemyError

OPTUNA_SCHEMA = 12
CONNECTION_TIMEOUTS = {"connect_timeout": 10, "keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3}

Row = Mapping[str, Any]

_STUDY = """
SELECT s.study_id, a.value_json AS header FROM studies s
LEFT JOIN study_user_attributes a ON a.study_id = s.study_id AND a.key = 'header'
WHERE s.study_name = :name
"""
_TRIALS = """
SELECT t.trial_id, t.number, t.state, t.datetime_start,
       r.value_json AS record, n.value_json AS name, f.value_json AS fixed_params
FROM trials t
LEFT JOIN trial_user_attributes r ON r.trial_id = t.trial_id AND r.key = 'record'
LEFT JOIN trial_user_attributes n ON n.trial_id = t.trial_id AND n.key = 'name'
LEFT JOIN trial_system_attributes f ON f.trial_id = t.trial_id AND f.key = 'fixed_params'
WHERE t.study_id = :study ORDER BY t.number
"""
_PARAMS = """
SELECT param_name, param_value, distribution_json FROM trial_params WHERE trial_id = :trial ORDER BY param_id
"""


class Source(Protocol):
    """A database that answers SELECTs. All methods raise LedgerError."""

    shown: str  # its name in messages

    def has_studies(self) -> bool: ...

    def rows(self, query: str, **values: object) -> Sequence[Row]: ...

    def close(self) -> None: ...


class Database:
    """An open storage; use it in a ``with`` statement. Raises LedgerError if it cannot be opened or read."""

    def __init__(self, storage_url: str) -> None:
        scheme, _, place = storage_url.partition("://")
        file = scheme.split("+")[0] == "sqlite"
        path = unquote(place.removeprefix("/").partition("?")[0])
        self._source: Source = _File(path) if file else _Server(storage_url)

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._source.close()

    def study_names(self) -> tuple[str, ...]:
        """Return the names of the studies in order of creation."""
        if not self._source.has_studies():
            return ()
        return tuple(row["study_name"] for row in self._source.rows("SELECT study_name FROM studies ORDER BY study_id"))

    def study(self, name: str) -> Row:
        """Return the row of a study: study_id, header (JSON or None)."""
        names, shown = self.study_names(), self._source.shown
        if name not in names:
            raise LedgerError(f"no study {name!r} in {shown}. Studies there: {', '.join(names) or 'none'}")
        (version,) = self._source.rows("SELECT schema_version, library_version FROM version_info")
        if version["schema_version"] != OPTUNA_SCHEMA:
            raise LedgerError(
                f"{shown} has schema {version['schema_version']} of Optuna {version['library_version']}, which this "
                f"snnsearch cannot read (it knows {OPTUNA_SCHEMA}): install a newer snnsearch"
            )
        return self._source.rows(_STUDY, name=name)[0]

    def trials(self, study_id: int) -> Sequence[Row]:
        """Return the trials by number.

        Columns: trial_id, number, state, datetime_start, and as JSON or None: record, name, fixed_params.
        """
        return self._source.rows(_TRIALS, study=study_id)

    def params(self, trial_id: int) -> Sequence[Row]:
        """Return the suggested parameters of a trial: param_name, param_value, distribution_json."""
        return self._source.rows(_PARAMS, trial=trial_id)


class _File:
    """An SQLite file, opened read-only."""

    def __init__(self, place: str) -> None:
        if place in ("", ":memory:"):
            raise LedgerError("a storage in memory ends with its process, so there is nothing to read")
        path = Path(place).resolve()
        self.shown = f"sqlite:///{path}"
        if not path.is_file():
            raise LedgerError(f"there is no file {path}, so no study is stored there")
        # In a folder that is not writable, SQLite opens a database in WAL mode only if it is declared immutable.
        frozen = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
        uri = f"file:{quote(str(path))}?mode=ro" + ("&immutable=1" if frozen else "")
        try:
            self._connection = sqlite3.connect(uri, uri=True, timeout=30)
        except sqlite3.Error as error:
            raise LedgerError(f"cannot open {self.shown}: {error}") from error
        self._connection.row_factory = sqlite3.Row

    def has_studies(self) -> bool:
        return bool(self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'studies'"))

    def rows(self, query: str, **values: object) -> Sequence[Row]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
            remedy = ". It is damaged; snnsearch resume rebuilds it from the trials' own files" if damaged else ""
            raise LedgerError(f"cannot read {self.shown}: {error}{remedy}") from error

    def close(self) -> None:
        self._connection.close()


class _Server:
    """A database server, through SQLAlchemy."""

    def __init__(self, url: str) -> None:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
        from sqlalchemy.pool import NullPool

        try:
            parsed = sqlalchemy.make_url(url)
            self.shown = parsed.render_as_string(hide_password=True)
            # without timeouts, a server that vanished would block the reader forever
            timeouts = CONNECTION_TIMEOUTS if parsed.drivername == "postgresql+psycopg" else {}
            options = {name: value for name, value in timeouts.items() if name not in parsed.query}
            self._connection = sqlalchemy.create_engine(parsed, poolclass=NullPool, connect_args=options).connect()
        except (ArgumentError, NoSuchModuleError, ValueError):  # ValueError: the port is not a number
            known = "sqlite:///folder/study.db or postgresql+psycopg://user@host/name"
            # without a cause, because the error may quote the password
            raise LedgerError(f"the storage is no URL that can be read: write {known}") from None
        except ModuleNotFoundError as error:
            raise LedgerError(f"{self.shown} needs a driver: pip install 'snnsearch[postgresql]' ({error})") from error
        except SQLAlchemyError as error:
            raise LedgerError(f"cannot open {self.shown}: {_short(error)}") from error

    def has_studies(self) -> bool:
        import sqlalchemy

        try:
            return sqlalchemy.inspect(self._connection).has_table("studies")
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise LedgerError(f"cannot read {self.shown}: {_short(error)}") from error

    def rows(self, query: str, **values: object) -> Sequence[Row]:
        import sqlalchemy

        try:
            return [dict(row) for row in self._connection.execute(sqlalchemy.text(query), values).mappings()]
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise LedgerError(f"cannot read {self.shown}: {_short(error)}") from error

    def close(self) -> None:
        self._connection.close()


def _short(error: "SQLAlchemyError") -> str:
    """Return the server's own message, without SQLAlchemy's query and link."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
