"""The trainings that ended without a result."""

from reports.benchmark.tables import failures_table
from reports.document.model import Block, Code, PageOnly, Section
from reports.records.benchmark import BenchmarkRecord


def failures_section(record: BenchmarkRecord) -> Section | None:
    """Return a table with the reasons, and the tracebacks on the page; None if every training has a result."""
    table = failures_table(record)
    if not table.rows:
        return None
    tracebacks: tuple[Block, ...] = tuple(
        Code(trial.traceback, summary=f"Traceback of trial {trial.number}")
        for trial in record.trials
        if trial.traceback
    )
    return Section("Trainings without a result", (table, PageOnly(tracebacks)) if tracebacks else (table,))
