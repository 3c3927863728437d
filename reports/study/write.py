"""Write the report files. Each is replaced as a whole, so no reader sees half a file."""

from collections.abc import Callable, Mapping
from pathlib import Path

from reports.document.commands import command
from reports.errors import ReportError
from reports.records.study import StudyRecord
from reports.storage.files import replace_text
from reports.study.report import markdown, page
from reports.study.tables import front_csv, front_json

FILES: dict[str, Callable[[StudyRecord], str]] = {
    "report.html": page,
    "report.md": markdown,
    "front.csv": front_csv,
    "front.json": front_json,
}


def write_report(study: StudyRecord, folder: Path) -> tuple[Path, ...]:
    """Write every file of `FILES` into ``folder``.

    Returns:
        The paths, the page first.

    Raises:
        ReportError: a file cannot be written.
    """
    texts = {folder / name: render(study) for name, render in FILES.items()}
    return write_texts(texts, "The study itself is safe in its database", study.header.name)


def write_texts(texts: Mapping[Path, str], safe: str, name: str) -> tuple[Path, ...]:
    """Replace each file by its text. An error message says what is safe, and names the study or benchmark."""
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_text(path, text)
        except OSError as error:
            raise ReportError(
                f"cannot write {path}: {error.strerror or error}. {safe}; make the folder writable or free some space, "
                f"then: {command('report', name)}"
            ) from error
    return tuple(texts)
