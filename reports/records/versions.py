"""Read stored JSON as a record. A record of a newer snnsearch is refused with a remedy, not reported as damaged."""

import contextlib
import json
from typing import TypeVar

from pydantic import ValidationError

from reports.errors import LedgerError
from reports.records.study import RECORD_VERSION, Versioned

V = TypeVar("V", bound=Versioned)


def parse(kind: type[V], text: str, what: str) -> V:
    """Return the record in ``text``.

    Args:
        kind: the class of the record.
        text: JSON.
        what: the name of the record in error messages.

    Raises:
        LedgerError: a newer snnsearch wrote it.
        ValidationError: it is not such a record.
    """
    try:
        record = kind.model_validate_json(text)
    except ValidationError:
        _refuse_newer(_version(text), what)  # fields that a newer version added fail the validation
        raise
    _refuse_newer(record.version, what)
    return record


def _version(text: str) -> object:
    with contextlib.suppress(ValueError, RecursionError):
        raw = json.loads(text)
        return raw.get("version") if isinstance(raw, dict) else None
    return None


def _refuse_newer(version: object, what: str) -> None:
    if isinstance(version, int) and version > RECORD_VERSION:
        raise LedgerError(
            f"{what} was stored as version {version} of the record, and this snnsearch reads versions up to "
            f"{RECORD_VERSION}: install the snnsearch that launched it, or a newer one"
        )
