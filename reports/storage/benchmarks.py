"""Read and write a benchmark's folder: ``benchmark.json`` and each trial's ``result.json``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reports.analysis.front import STATUSES
from reports.errors import LedgerError
from reports.records.benchmark import BenchmarkHeader, BenchmarkRecord, Cell
from reports.records.objectives import register
from reports.records.study import TrialRecord
from reports.records.versions import parse
from reports.storage.files import replace_text
from reports.storage.results import read_result

HEADER = "benchmark.json"


def is_benchmark(folder: Path) -> bool:
    return (folder / HEADER).is_file()


def list_benchmarks(runs: Path) -> tuple[Path, ...]:
    """Return the folders in ``runs`` that hold a benchmark, by name."""
    return tuple(sorted(path.parent for path in runs.glob(f"*/{HEADER}")))


def trial_folder(folder: Path, number: int) -> Path:
    return folder / "trials" / str(number)


def read_header(folder: Path) -> BenchmarkHeader:
    """Return the header of the benchmark in ``folder``.

    Raises:
        LedgerError: it is missing, damaged, or was written by a newer snnsearch.
    """
    path = folder / HEADER
    try:
        header = parse(BenchmarkHeader, path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        others = ", ".join(found.name for found in list_benchmarks(folder.parent)) or "none"
        raise LedgerError(
            f"no benchmark in {folder}: {error.strerror}: {HEADER}. Benchmarks in {folder.parent}: {others}"
        ) from error
    except ValueError as error:
        raise LedgerError(
            f"{path} cannot be read: {str(error).splitlines()[0]}. The trainings are safe in "
            f"{folder / 'trials'}; restore that file, or start again under another name: --name NAME"
        ) from error
    for figure in header.own_figures:
        register(figure)
    return header


def write_header(folder: Path, header: BenchmarkHeader) -> None:
    """Replace ``benchmark.json`` in one step. Raises OSError."""
    replace_text(folder / HEADER, header.model_dump_json(indent=1))


def read_benchmark(folder: Path) -> BenchmarkRecord:
    """Return the benchmark in ``folder``. Raises LedgerError as `read_header` does."""
    header = read_header(folder)
    trials = (_trial(trial_folder(folder, number), number, cell) for number, cell in enumerate(header.cells))
    return BenchmarkRecord(header=header, trials=tuple(trials))


def _trial(folder: Path, number: int, cell: Cell) -> TrialRecord:
    begun = TrialRecord(
        number=number, status="running" if folder.is_dir() else "waiting", name=cell.label, seed=cell.seed
    )
    return read_result(folder) or begun


@dataclass(frozen=True)
class BenchmarkStatus:
    """A benchmark in a few figures."""

    benchmark: str
    total: int
    counts: dict[str, int]  # by status; statuses without a trial are left out. running: started, without a result
    training_s: float
    last_finished_at: float | None  # UTC seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the status as values that JSON can hold."""
        return asdict(self)


def benchmark_status(record: BenchmarkRecord) -> BenchmarkStatus:
    """Summarise a benchmark: counts by status and training time."""
    counts = {status: sum(t.status == status for t in record.trials) for status in STATUSES}
    return BenchmarkStatus(
        benchmark=record.header.name,
        total=len(record.trials),
        counts={status: count for status, count in counts.items() if count},
        training_s=sum(t.wall_s for t in record.trials),
        last_finished_at=max((t.finished_at for t in record.trials if t.finished_at is not None), default=None),
    )
