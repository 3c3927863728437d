"""Read-only access to the tables that Optuna writes: plain SELECTs, nothing is created, upgraded or locked.

Not through Optuna, because `status` has a second: importing Optuna, opening its storage and building 200 frozen trials
takes 0.75 s of it, these queries 0.2 s. The tables are those of Optuna's schema 12 (Optuna 3.2 to 5).
"""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from .errors import LedgerError

OPTUNA_SCHEMA = 12

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


class Database:
    """An open storage, to be used in a ``with``. Raises LedgerError where it cannot be opened or read."""

    def __init__(self, storage_url: str) -> None:
        try:
            url = sqlalchemy.make_url(storage_url)
            self.shown = url.render_as_string(hide_password=True)
            self.engine = _engine(url)
            self.connection = self.engine.connect()
        except (ArgumentError, NoSuchModuleError) as error:
            raise LedgerError(
                "the storage is no URL that can be read: write sqlite:///folder/study.db or postgresql+psycopg://user@host/name"
            ) from error
        except ModuleNotFoundError as error:
            raise LedgerError(f"{self.shown} needs a driver: pip install 'snnsearch[postgresql]' ({error})") from error
        except SQLAlchemyError as error:
            raise LedgerError(f"cannot open {self.shown}: {_short(error)}") from error

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.connection.close()
        self.engine.dispose()

    def study_names(self) -> tuple[str, ...]:
        """In order of creation; none where no study was ever stored."""
        try:
            stored = sqlalchemy.inspect(self.connection).has_table("studies")
        except SQLAlchemyError as error:
            raise LedgerError(f"cannot read {self.shown}: {_short(error)}") from error
        return (
            tuple(row.study_name for row in self._rows("SELECT study_name FROM studies ORDER BY study_id"))
            if stored
            else ()
        )

    def study(self, name: str) -> Any:
        """The row of a study: study_id, header (JSON or None)."""
        names = self.study_names()
        if name not in names:
            raise LedgerError(f"no study {name!r} in {self.shown}. Studies there: {', '.join(names) or 'none'}")
        (version,) = self._rows("SELECT schema_version, library_version FROM version_info")
        if version.schema_version != OPTUNA_SCHEMA:
            raise LedgerError(
                f"{self.shown} was written by Optuna {version.library_version} in its schema {version.schema_version}, "
                f"which this snnsearch cannot read (it knows {OPTUNA_SCHEMA}): install a newer snnsearch"
            )
        return self._rows(_STUDY, name=name)[0]

    def trials(self, study_id: int) -> Sequence[Any]:
        """Rows by number: trial_id, number, state, datetime_start, and record, name, fixed_params (JSON or None)."""
        return self._rows(_TRIALS, study=study_id)

    def params(self, trial_id: int) -> Sequence[Any]:
        """Rows of a trial's parameters as they were asked for: param_name, param_value, distribution_json."""
        return self._rows(_PARAMS, trial=trial_id)

    def _rows(self, query: str, **values: object) -> Sequence[Any]:
        try:
            return self.connection.execute(sqlalchemy.text(query), values).all()
        except SQLAlchemyError as error:
            raise LedgerError(f"cannot read {self.shown}: {_short(error)}") from error


def _engine(url: sqlalchemy.URL) -> sqlalchemy.Engine:
    if not url.drivername.startswith("sqlite"):
        return sqlalchemy.create_engine(url, poolclass=NullPool)
    if not url.database or url.database == ":memory:":
        raise LedgerError("a storage in memory ends with its process: there is nothing to read")
    path = Path(url.database).resolve()
    if not path.is_file():
        raise LedgerError(f"there is no file {path}, so no study is stored there")
    # SQLite opens a database in WAL mode in a folder that cannot be written to only if it is declared immutable.
    frozen = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    uri = f"file:{quote(str(path))}?mode=ro" + ("&immutable=1" if frozen else "")
    return sqlalchemy.create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True, timeout=30), poolclass=NullPool
    )


def _short(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
