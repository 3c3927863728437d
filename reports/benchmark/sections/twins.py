"""Each network as a CNN and as an SNN, side by side."""

from reports.benchmark.tables import twins_table
from reports.document.model import Section, Text
from reports.records.benchmark import BenchmarkRecord

NOTE = (
    "The CNN twin is the same network with ReLU instead of spiking neurons and one pass instead of T time steps, "
    "trained with the same settings. Published ratios are computed from the published energies."
)


def twins_section(record: BenchmarkRecord) -> Section | None:
    """Return a table for each data set; None if no CNN twin was trained."""
    tables = [(setup.data, table) for setup in record.header.setups if (table := twins_table(record, setup.data))]
    if not tables:
        return None
    parts = (Section(f"{data}, CNN against SNN", (table,)) for data, table in tables)
    return Section("CNN against SNN", (Text(NOTE, style="note"), *parts))
