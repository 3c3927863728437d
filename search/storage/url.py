"""The database of a study: its address checked, its errors turned into messages."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import sqlalchemy
from optuna.storages._rdb.models import NOT_FOUND_MSG
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from search.errors import InputError


class StorageError(InputError):
    """What was trained cannot be stored where it belongs; nothing of it is lost."""


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Database errors as one StorageError that says what to do."""
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise StorageError(
            f"the study's database did not take {what}: {cause_of(error)}. Nothing that was trained "
            "is lost; make sure that the database is there, writable and not out of space, then: snnsearch resume"
        ) from error
    except KeyError as error:
        if error.args != (NOT_FOUND_MSG,):
            raise
        raise StorageError(
            f"the study's database did not take {what}: the study, or a trial of it, is no longer there; somebody has "
            "deleted it. What was trained lies in the study's folder"
        ) from error


def cause_of(error: Exception) -> str:
    """A database's own words, without those that Optuna and SQLAlchemy put around them."""
    inner = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
    cause = getattr(inner, "orig", None) or inner or error
    return str(cause).strip().splitlines()[0]


def checked(url: str) -> str:
    """``url`` where it names a kind of database that this installation can open. Raises InputError."""
    allowed = "postgresql+psycopg://user@host/database, or nothing for SQLite in the study's folder"
    shown = re.sub(r":(?!//)[^@]*@", ":***@", url)
    try:
        address = sqlalchemy.make_url(url)
        shown = address.render_as_string(hide_password=True)
        address.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError):  # before its base class ArgumentError
        raise InputError(
            f"--storage {shown}: no driver for it here; write {allowed}. PostgreSQL's driver comes with: "
            "pip install 'snnsearch[postgresql]'"
        ) from None
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise InputError(f"--storage {shown!r} is no database address; write {allowed}") from None
    return url
