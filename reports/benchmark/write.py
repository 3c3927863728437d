"""A benchmark's report files, each replaced as a whole."""

from collections.abc import Callable
from pathlib import Path

from ..write import write_texts
from .html import page
from .markdown import markdown
from .picture import picture
from .record import BenchmarkRecord
from .tables import benchmark_csv

FILES: dict[str, Callable[[BenchmarkRecord], str]] = {
    "benchmark.html": page,
    "benchmark.md": markdown,
    "benchmark.csv": benchmark_csv,
    "benchmark.svg": picture,
}


def write_benchmark(record: BenchmarkRecord, folder: Path) -> tuple[Path, ...]:
    """Writes every file of FILES into ``folder`` and returns their paths, the page first. Raises ReportError."""
    texts = {folder / name: render(record) for name, render in FILES.items()}
    return write_texts(texts, "The trainings are safe in their folders", record.header.name)
