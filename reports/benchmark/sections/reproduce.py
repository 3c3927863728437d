"""The benchmark as a YAML file that can be run again."""

from reports.document.model import Code, Section
from reports.records.benchmark import BenchmarkRecord


def reproduce_section(record: BenchmarkRecord) -> Section:
    """Return the resolved YAML."""
    summary = "The resolved benchmark, benchmark.yaml; snnsearch bench runs it as it is"
    return Section("How to reproduce", (Code(record.header.benchmark_yaml, "yaml", summary=summary),))
