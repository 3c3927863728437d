"""Stored JSON to records of this version. What a newer snnsearch wrote is refused, not taken for spoilt."""

import contextlib
import json
from typing import TypeVar

from pydantic import ValidationError

from reports.errors import LedgerError
from reports.records.study import RECORD_VERSION, Versioned

V = TypeVar("V", bound=Versioned)


def parse(kind: type[V], text: str, what: str) -> V:
    """The record in ``text``, which an error calls ``what``. Raises LedgerError where it is of a newer version,
    ValidationError where it is none."""
    try:
        record = kind.model_validate_json(text)
    except ValidationError:
        _refuse_newer(_version(text), what)  # what a newer one has more is an error here
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
            f"{what} was stored as version {version} of the record, this snnsearch knows up to {RECORD_VERSION}: "
            "install the snnsearch that launched it, or a newer one"
        )
