"""The rows of one study in Optuna's tables: read, written under another name, renamed and deleted.

Each change is one transaction, so a process that is killed leaves all of it or nothing. Rows are plain values without
ids, so the rows of an SQLite file can be written to PostgreSQL and back, and to a file as JSON. Optuna's own
``copy_study`` is not used because it writes trial by trial and stores new times.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Table, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.pool import NullPool

from search.errors import InputError
from search.storage.postgresql import connect_args
from search.storage.url import storage_errors

STUDIES, TRIALS = "studies", "trials"
OF_STUDY = ("study_directions", "study_user_attributes", "study_system_attributes")
OF_TRIAL = (
    "trial_user_attributes", "trial_system_attributes", "trial_params", "trial_values", "trial_intermediate_values",
    "trial_heartbeats",
)  # fmt: skip
HEADER = "header"  # key of the attribute that holds the StudyHeader

Row = dict[str, str | int | float | None]  # column -> value, without ids; times in ISO format
_LINE = TypeAdapter(dict[str, list[Row]])
_HEADER = TypeAdapter(dict[str, Any])


@dataclass(frozen=True)
class StudyRows:
    """All rows of a study. ``study`` maps each table of `OF_STUDY` to its rows.

    ``trials`` maps `TRIALS` to the one row of the trial, and each table of `OF_TRIAL` to the trial's rows.
    """

    study: Mapping[str, Sequence[Row]]
    trials: Sequence[Mapping[str, Sequence[Row]]]

    def lines(self) -> Iterator[str]:
        """Yield the rows as lines of JSON: the study, then each trial."""
        for each in (self.study, *self.trials):
            yield _LINE.dump_json(dict(each)).decode()  # type: ignore[arg-type]  # lists, as they were read

    @property
    def text(self) -> str:
        """The lines, each with its end."""
        return "".join(f"{line}\n" for line in self.lines())

    @property
    def header(self) -> str | None:
        """The stored header as JSON; None if there is none."""
        values = (row["value_json"] for row in self.study["study_user_attributes"] if row.get("key") == HEADER)
        return next((value for value in values if isinstance(value, str)), None)

    def equal(self, other: "StudyRows") -> bool:
        """Return whether two studies have the same rows, whatever their names are."""
        return self._unnamed() == other._unnamed()

    def _unnamed(self) -> list[dict[str, list[Row]]]:
        rows = [_LINE.validate_json(line) for line in self.lines()]
        for row in rows[0]["study_user_attributes"]:
            if row["key"] == HEADER:
                row["value_json"] = repr(_HEADER.validate_json(str(row["value_json"])) | {"name": ""})
        return rows

    @classmethod
    def of_lines(cls, lines: Iterator[str]) -> "StudyRows":
        """Return the rows that `lines` wrote. Raises InputError if they are something else."""
        try:
            study, *trials = (_LINE.validate_json(line) for line in lines)
        except (ValidationError, ValueError) as error:
            raise InputError(f"the rows of the study cannot be read: {str(error).splitlines()[0]}") from error
        if set(study) != set(OF_STUDY) or any(set(trial) != {TRIALS, *OF_TRIAL} for trial in trials):
            raise InputError("the rows of the study cannot be read: they name other tables than a study has")
        if any(len(trial[TRIALS]) != 1 for trial in trials):
            raise InputError("the rows of the study cannot be read: a trial needs exactly one row")
        return cls(study, trials)


def has_study(url: str, name: str) -> bool:
    """Return whether the database at ``url`` holds the study ``name``. Raises StorageError."""
    with _connection(url) as database:
        return database.study_id(name) is not None


def read_rows(url: str, name: str) -> StudyRows:
    """Return the rows of the study ``name``. Raises StorageError, and InputError if there is none."""
    with _connection(url) as database:
        return database.read(name)


def write_rows(url: str, name: str, rows: StudyRows) -> None:
    """Add ``rows`` as the study ``name``. The tables must exist. Raises StorageError, and InputError if it exists."""
    with _connection(url) as database:
        database.write(name, rows)


def rename_rows(url: str, old: str, new: str) -> None:
    """Give the study ``old`` the name ``new``. Raises StorageError, and InputError if ``old`` does not exist."""
    with _connection(url) as database:
        database.rename(old, new)


def delete_rows(url: str, name: str) -> int:
    """Delete the study ``name`` and return the number of its trials. Raises StorageError, InputError."""
    with _connection(url) as database:
        return database.delete(name)


@contextmanager
def _connection(url: str) -> Iterator["_Tables"]:
    """Open one transaction, which ends with the block."""
    engine = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=connect_args(url))
    with storage_errors("reading or writing the rows of a study"), engine.begin() as connection:
        yield _Tables(connection)


class _Tables:
    """Optuna's tables, as the database describes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        names = (STUDIES, TRIALS, *OF_STUDY, *OF_TRIAL)
        present = set(sqlalchemy.inspect(connection).get_table_names())
        metadata = sqlalchemy.MetaData()
        metadata.reflect(connection, only=[name for name in names if name in present], resolve_fks=False)
        self._tables = metadata.tables

    def study_id(self, name: str) -> int | None:
        if STUDIES not in self._tables:
            return None
        studies = self._tables[STUDIES]
        found: int | None = self._connection.scalar(select(studies.c.study_id).where(studies.c.study_name == name))
        return found

    def read(self, name: str) -> StudyRows:
        study = self._existing(name)
        of_study = {table: [row for _, row in self._rows(table, "study_id", [study])] for table in OF_STUDY}
        trials = {trial: {TRIALS: [row], **{table: [] for table in OF_TRIAL}} for trial, row in self._trials(study)}
        for table in OF_TRIAL:
            for trial, row in self._rows(table, "trial_id", self._trial_ids(study)):
                trials[trial][table].append(row)
        return StudyRows(of_study, list(trials.values()))

    def write(self, name: str, rows: StudyRows) -> None:
        if self.study_id(name) is not None:
            raise InputError(f"the database holds a study {name!r} already. Choose another name")
        self._insert(STUDIES, [{"study_name": name}])
        study = self._existing(name)
        for table in OF_STUDY:
            self._insert(table, [{**row, "study_id": study} for row in rows.study[table]])
        self._insert(TRIALS, [{**row, "study_id": study} for trial in rows.trials for row in trial[TRIALS]])
        ids = {row["number"]: trial for trial, row in self._trials(study)}
        if len(ids) != len(rows.trials):
            raise InputError("the rows of the study cannot be used: two trials have the same number")
        for table in OF_TRIAL:
            every = [(ids[trial[TRIALS][0]["number"]], row) for trial in rows.trials for row in trial[table]]
            self._insert(table, [{**row, "trial_id": trial} for trial, row in every])
        self._set_header_name(study, name)

    def rename(self, old: str, new: str) -> None:
        study, studies = self._existing(old), self._tables[STUDIES]
        if old != new and self.study_id(new) is not None:
            raise InputError(f"the database holds a study {new!r} already. Choose another name")
        self._connection.execute(studies.update().where(studies.c.study_id == study).values(study_name=new))
        self._set_header_name(study, new)

    def delete(self, name: str) -> int:
        study = self._existing(name)
        trials = self._tables[TRIALS]
        number = len(self._trials(study))
        for table in OF_TRIAL:
            child = self._tables[table]
            self._connection.execute(child.delete().where(child.c.trial_id.in_(self._trial_ids(study))))
        for table in (TRIALS, *OF_STUDY, STUDIES):
            owner = trials if table == TRIALS else self._tables[table]
            self._connection.execute(owner.delete().where(owner.c.study_id == study))
        return number

    def _existing(self, name: str) -> int:
        study = self.study_id(name)
        if study is None:
            raise InputError(f"the database holds no study {name!r}")
        return study

    def _set_header_name(self, study: int, name: str) -> None:
        """Store ``name`` in the header too."""
        attributes = self._tables["study_user_attributes"]
        where = (attributes.c.study_id == study) & (attributes.c.key == HEADER)
        stored = self._connection.scalar(select(attributes.c.value_json).where(where))
        if stored is not None:
            header = _HEADER.dump_json(_HEADER.validate_json(stored) | {"name": name})
            self._connection.execute(attributes.update().where(where).values(value_json=header.decode()))

    def _trial_ids(self, study: int) -> sqlalchemy.Select[tuple[int]]:
        trials = self._tables[TRIALS]
        return select(trials.c.trial_id).where(trials.c.study_id == study)

    def _trials(self, study: int) -> list[tuple[int, Row]]:
        """Return the id and the row of each trial, by number."""
        trials = self._tables[TRIALS]
        query = select(trials).where(trials.c.study_id == study).order_by(trials.c.number)
        return [(row["trial_id"], _plain(trials, row)) for row in self._connection.execute(query).mappings()]

    def _rows(self, name: str, owner: str, owners: Any) -> list[tuple[int, Row]]:
        """Return the owner and the row of every row of the table that belongs to one of ``owners``, in order."""
        table = self._tables[name]
        query = select(table).where(table.c[owner].in_(owners)).order_by(*table.primary_key.columns)
        return [(row[owner], _plain(table, row)) for row in self._connection.execute(query).mappings()]

    def _insert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        table = self._tables[name]
        if unknown := {column for row in rows for column in row} - set(table.columns.keys()):
            raise InputError(
                f"the table {name} has no column {min(unknown)!r}; another version of Optuna wrote this study"
            )
        if rows:
            try:
                self._connection.execute(table.insert(), [_typed(table, row) for row in rows])
            except (DataError, IntegrityError, ValueError) as error:
                raise InputError(f"rows of the table {name} cannot be stored: {str(error).splitlines()[0]}") from error


def _plain(table: Table, row: Mapping[Any, Any]) -> Row:
    """Return a row without its ids, with times as text."""
    ids = {*table.primary_key.columns.keys(), "study_id", "trial_id"}
    found = {column: value for column, value in row.items() if column not in ids}
    return {column: value.isoformat() if isinstance(value, datetime) else value for column, value in found.items()}


def _typed(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as the database takes it, with times as such. Raises ValueError."""
    times = {name for name, column in table.columns.items() if isinstance(column.type, sqlalchemy.DateTime)}
    return {
        column: datetime.fromisoformat(value) if column in times and value is not None else value
        for column, value in row.items()
    }
