"""``labels.json`` in a study's folder: its tags and notes.

They are in a file of their own and not in the database, because everything that happens to the folder happens to them
too (copying, renaming, archiving, a rebuilt database), they are read without Optuna, and they can be written while a
driver works on the database.
"""

from pathlib import Path

from reports.records.study import LabelsRecord, StudyRecord
from reports.records.versions import parse
from reports.storage.files import replace_text

LABELS = "labels.json"


def read_labels(folder: Path) -> LabelsRecord:
    """Return the tags and notes of the study in ``folder``; none if the file is missing or cannot be read.

    Raises LedgerError if a newer snnsearch wrote it.
    """
    try:
        return parse(LabelsRecord, (folder / LABELS).read_text(encoding="utf-8"), str(folder / LABELS))
    except (OSError, ValueError):
        return LabelsRecord()


def write_labels(folder: Path, labels: LabelsRecord) -> None:
    """Replace the file in one step. Raises OSError."""
    replace_text(folder / LABELS, labels.model_dump_json(indent=1))


def with_labels(study: StudyRecord, folder: Path) -> StudyRecord:
    """Return ``study`` with the tags and notes in ``folder``."""
    return study.model_copy(update={"labels": read_labels(folder)})
