"""Read a study from Optuna's storage.

A study has an attribute ``header`` (StudyHeader). A trial has the attributes ``record`` (TrialRecord) and ``name``. For
trials without a record, the state and the parameters are read.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from reports.errors import LedgerError
from reports.records.objectives import register
from reports.records.study import Leaf, Status, StudyHeader, StudyRecord, TrialRecord
from reports.records.versions import parse
from reports.storage.database import Database, Row
from reports.storage.finalists import with_finals
from reports.storage.labels import with_labels

__all__ = [
    "DATABASE",
    "HEADER",
    "LedgerError",
    "find_study",
    "find_trial",
    "list_studies",
    "load_study_folder",
    "read_header",
    "read_study",
    "sqlite_url",
    "stored_name",
    "study_names",
]

DATABASE = "study.db"
MAX_SQLITE_PATH = 504  # bytes of an absolute path
HEADER = "header.json"  # a copy of the header beside the database
TEXT = TypeAdapter(str)
# Exceptions that a damaged stored value can cause; ValidationError is a ValueError
DAMAGE_ERRORS = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, OSError)


def list_studies(runs: Path) -> tuple[Path, ...]:
    """Return the folders in ``runs`` that hold a study, by name; none if ``runs`` does not exist."""
    return tuple(sorted(path.parent for path in runs.glob(f"*/{DATABASE}")))


def load_study_folder(folder: Path) -> StudyRecord:
    """Return the study in ``folder/study.db`` under the name of its folder. Raises LedgerError."""
    if not (folder / DATABASE).is_file():
        others = ", ".join(path.name for path in list_studies(folder.parent)) or "none"
        raise LedgerError(f"no study in {folder}: it has no {DATABASE}. Studies in {folder.parent}: {others}")
    folder = folder.absolute()
    study = _named(read_study(sqlite_url(folder / DATABASE), stored_name(folder)), folder.name)
    return with_finals(with_labels(study, folder), folder.parent)


def find_study(name: str, runs: Path = Path("runs"), storage: str | None = None) -> StudyRecord:
    """Return the study ``name`` from the database ``storage``, or from its folder in ``runs``. Raises LedgerError."""
    if storage is None:
        return load_study_folder(runs / name)
    study = _named(read_study(storage, stored_name(runs / name, storage)), name)
    return with_finals(with_labels(study, runs / name), runs)


def stored_name(folder: Path, storage: str | None = None, otherwise: str | None = None) -> str:
    """Return the name of the study of ``folder`` in its database: another one if the folder was renamed or copied.

    ``storage`` is None if the database is in the folder. If the folder does not say the name, return ``otherwise``, or
    else the folder's name. Raises LedgerError.
    """
    if storage is None:
        names = study_names(sqlite_url(folder / DATABASE))
        return names[0] if len(names) == 1 else otherwise or folder.name
    try:
        return StudyHeader.model_validate_json((folder / HEADER).read_bytes()).name
    except (OSError, ValidationError):
        return otherwise or folder.name


def _named(study: StudyRecord, name: str) -> StudyRecord:
    return study.model_copy(update={"header": study.header.model_copy(update={"name": name})})


def find_trial(name: str, number: int, trials: tuple[TrialRecord, ...]) -> TrialRecord:
    """Return trial ``number`` of the study or benchmark ``name``. Raises LedgerError."""
    if not 0 <= number < len(trials):
        raise LedgerError(f"{name!r} has no trial {number}; it has {len(trials)}, numbered from 0")
    return trials[number]


def sqlite_url(path: Path) -> str:
    """Return the storage URL of an SQLite file for Optuna, with reserved characters escaped as SQLAlchemy does.

    Raises LedgerError if SQLite cannot open a file with this path.
    """
    whole = path.resolve()
    remedy = "choose another folder with --runs DIR, or rename this one"
    if (length := len(os.fsencode(whole))) > MAX_SQLITE_PATH:
        limit = f"this path has {length} bytes, and SQLite opens {MAX_SQLITE_PATH} at most"
        raise LedgerError(f"{whole}: {limit}; {remedy}")
    try:
        return f"sqlite:///{quote(str(whole), safe=' +/')}"
    except UnicodeEncodeError:
        raise LedgerError(f"{str(whole)!r}: this path is not UTF-8, and SQLite needs that; {remedy}") from None


def study_names(storage_url: str) -> tuple[str, ...]:
    """Return the names of the studies in a storage. Raises LedgerError."""
    with Database(storage_url) as database:
        return database.study_names()


def read_study(storage_url: str, name: str) -> StudyRecord:
    """Return the study ``name`` with its trials by number. Trials without a record are running, waiting or failed.

    Raises:
        LedgerError: the storage, the study or its header is missing, damaged, or written by a newer snnsearch.
    """
    with Database(storage_url) as database:
        study = database.study(name)
        header = _header(study, name)
        rows = database.trials(study["study_id"])
        if [row["number"] for row in rows] != list(range(len(rows))):
            raise LedgerError(f"the trials of study {name!r} are not numbered from 0: its database is damaged")
        return StudyRecord(header=header, trials=tuple(_trial(row, database) for row in rows))


def read_header(storage_url: str, name: str) -> StudyHeader:
    """Return the header of the study ``name``. Raises LedgerError as `read_study` does."""
    with Database(storage_url) as database:
        return _header(database.study(name), name)


def _header(study: Row, name: str) -> StudyHeader:
    if study["header"] is None:
        raise LedgerError(f"study {name!r} has no header: snnsearch did not launch it, or the launch was cut short")
    try:
        header = parse(StudyHeader, study["header"], f"study {name!r}")
    except DAMAGE_ERRORS as error:
        raise LedgerError(f"the header of study {name!r} cannot be read: {_first(error)}") from error
    for figure in header.own_figures:
        register(figure)
    return header


def _trial(row: Row, database: Database) -> TrialRecord:
    name = None
    try:
        name = TEXT.validate_json(row["name"]) if row["name"] else None
        if row["record"] is None:
            return _without_record(row, name, database)
        record = parse(TrialRecord, row["record"], f"trial {row['number']}")
        if record.number != row["number"]:
            raise ValueError(f"it belongs to trial {record.number}")
        return record
    except DAMAGE_ERRORS as error:  # one damaged record must not hide the others
        reason = f"its stored record cannot be read: {_first(error)}"
        return TrialRecord(number=row["number"], status="failed", name=name, reason=reason)


def _without_record(row: Row, name: str | None, database: Database) -> TrialRecord:
    states: dict[str, Status] = {"RUNNING": "running", "WAITING": "waiting"}
    status = states.get(row["state"], "failed")
    if status == "waiting":
        params: dict[str, Leaf] = json.loads(row["fixed_params"]) if row["fixed_params"] else {}
    else:
        params = {param["param_name"]: _value(param) for param in database.params(row["trial_id"])}
    return TrialRecord(
        number=row["number"],
        status=status,
        name=name,
        params=params,
        started_at=_seconds(row["datetime_start"]),
        reason=f"ended as {row['state']} without a record" if status == "failed" else None,
    )


def _value(param: Row) -> Leaf:
    """Return a parameter as it was suggested. Optuna stores a float and a distribution that says how to read it."""
    distribution = json.loads(param["distribution_json"])
    if distribution["name"] == "CategoricalDistribution":
        choice: Leaf = distribution["attributes"]["choices"][int(param["param_value"])]
        return choice
    return int(param["param_value"]) if distribution["name"].startswith("Int") else float(param["param_value"])


def _seconds(start: datetime | str | None) -> float | None:
    """Return the seconds since 1970 of a time that Optuna stored: UTC without a zone. SQLite returns it as text."""
    if isinstance(start, str):
        start = datetime.fromisoformat(start)
    return start.replace(tzinfo=UTC).timestamp() if start else None


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error) or type(error).__name__
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'value'}: {first['msg']}"
