"""``result.json`` in a trial's folder: what its worker leaves behind, before anybody is told."""

from pathlib import Path

from pydantic import ValidationError

from reports.records.study import TrialRecord
from reports.storage.files import replace_text

RESULT = "result.json"


def read_result(folder: Path) -> TrialRecord | None:
    """What a worker left behind; None where it left nothing readable."""
    try:
        return TrialRecord.model_validate_json((folder / RESULT).read_bytes())
    except (OSError, ValidationError):
        return None


def write_result(folder: Path, record: TrialRecord) -> None:
    """Replace ``result.json`` as a whole or not at all."""
    replace_text(folder / RESULT, record.model_dump_json(indent=1))
