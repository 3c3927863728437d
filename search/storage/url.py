"""Check the address of a study's database, and turn database errors into messages that say what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from search.errors import InputError
from search.storage.optuna_compat import is_deleted


class StorageError(InputError):
    """A result could not be stored in the study's database. It is still in the study's folder."""


@contextmanager
def storage_errors(action: str) -> Iterator[None]:
    """Raise database errors inside the block as one StorageError. ``action`` reads like "asking for a candidate"."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise StorageError(
            f"Could not use the study database ({action}): {database_message(error)}. No results are lost. Check that "
            "it exists, is writable and has free space, then run: snnsearch resume NAME"
        ) from error
    except KeyError as error:
        if not is_deleted(error):
            raise
        raise StorageError(
            f"Could not use the study database ({action}): somebody has deleted the study or one of its trials. "
            "Results are still in the study's folder"
        ) from error


def database_message(error: Exception) -> str:
    """Return the first line of the database's own message, without what Optuna and SQLAlchemy add."""
    inner = error.__cause__ if isinstance(error, StorageInternalError) else error
    cause = getattr(inner, "orig", None) or inner or error
    return str(cause).strip().splitlines()[0]


def check_url(url: str) -> str:
    """Return ``url`` if this installation can open that kind of database. Raises InputError, never with a password."""
    allowed = "postgresql+psycopg://user@host/database, or leave --storage out for SQLite in the study's folder"
    shown = re.sub(r":(?!//)[^@]*@", ":***@", url)
    try:
        address = sqlalchemy.make_url(url)
        shown = address.render_as_string(hide_password=True)
        address.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError):  # must precede its base class ArgumentError
        raise InputError(
            f"--storage {shown}: no driver for this database is installed. Write {allowed}. To use PostgreSQL: "
            "pip install 'snnsearch[postgresql]'"
        ) from None
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        raise InputError(f"--storage {shown!r} is not a database address. Write {allowed}") from None
    return url


def shown_url(url: str) -> str:
    """Return ``url`` as a message may show it: without its password."""
    try:
        return sqlalchemy.make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return re.sub(r":(?!//)[^@]*@", ":***@", url)
