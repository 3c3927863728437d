"""Write the files of a comparison. Each is replaced as a whole, so no reader sees half a file."""

from collections.abc import Callable
from pathlib import Path

from reports.comparison.comparison import Comparison
from reports.comparison.report import comparison_json, markdown, page
from reports.study.write import write_texts

FILES: dict[str, Callable[[Comparison], str]] = {
    "comparison.html": page,
    "comparison.md": markdown,
    "comparison.json": comparison_json,
}


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write every file of `FILES` into ``folder``, and return the paths, the page first. Raises ReportError."""
    texts = {folder / name: render(comparison) for name, render in FILES.items()}
    return write_texts(texts, "The studies are safe in their databases", comparison.names[0])
