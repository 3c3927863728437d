"""Write the report files of a benchmark. Each is replaced as a whole, so no reader sees half a file."""

from collections.abc import Callable
from pathlib import Path

from reports.benchmark.picture import picture
from reports.benchmark.report import markdown, page
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
    """Write every file of `FILES` into ``folder``.

    Returns:
        The paths, the page first.

    Raises:
        ReportError: a file cannot be written.
    """
    texts = {folder / name: render(record) for name, render in FILES.items()}
    return write_texts(texts, "The trainings are safe in their folders", record.header.name)
