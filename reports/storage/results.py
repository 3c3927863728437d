"""``result.json`` in a trial's folder. The worker writes it before it reports the result."""

from pathlib import Path

from pydantic import ValidationError

from reports.records.study import TrialRecord
from reports.storage.files import replace_text

RESULT = "result.json"


def read_result(folder: Path) -> TrialRecord | None:
    """Return the record that a worker wrote; None if there is none that can be read."""
    try:
        return TrialRecord.model_validate_json((folder / RESULT).read_bytes())
    except (OSError, ValidationError):
        return None


def write_result(folder: Path, record: TrialRecord) -> None:
    """Replace ``result.json`` in one step. Raises OSError."""
    replace_text(folder / RESULT, record.model_dump_json(indent=1))
