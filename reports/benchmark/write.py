"""A benchmark's report files, each replaced as a whole."""

from collections.abc import Callable
from pathlib import Path

from reports.benchmark.html import page
from reports.benchmark.markdown import markdown
from reports.benchmark.picture import picture
from reports.benchmark.tables import benchmark_csv
from reports.records.benchmark import BenchmarkRecord
from reports.study.write import write_texts

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
