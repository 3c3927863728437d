"""Report files, each replaced as a whole."""

from collections.abc import Callable, Mapping
from pathlib import Path

from reports.errors import ReportError
from reports.records.study import StudyRecord
from reports.storage.files import replace_text
from reports.study.html import page
from reports.study.markdown import markdown
from reports.study.tables import front_csv, front_json

FILES: dict[str, Callable[[StudyRecord], str]] = {
    "report.html": page,
    "report.md": markdown,
    "front.csv": front_csv,
    "front.json": front_json,
}


def write_report(study: StudyRecord, folder: Path) -> tuple[Path, ...]:
    """Writes every file of FILES into ``folder`` and returns their paths, the page first. Raises ReportError."""
    texts = {folder / name: render(study) for name, render in FILES.items()}
    return write_texts(texts, "The study itself is safe in its database", study.header.name)


def write_texts(texts: Mapping[Path, str], safe: str, name: str) -> tuple[Path, ...]:
    """Replace each file by its text; ``safe`` and ``name`` are what an error says of what is reported on."""
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_text(path, text)
        except OSError as error:
            raise ReportError(
                f"cannot write {path}: {error.strerror or error}. {safe}; make the folder writable or free some space, "
                f"then: snnsearch report {name}"
            ) from error
    return tuple(texts)
