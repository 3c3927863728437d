"""The spiking networks of a benchmark: plots of accuracy against energy, and a table for each data set."""

from reports.benchmark.figure import figure
from reports.benchmark.groups import energy_models_of, groups
from reports.benchmark.tables import networks_table
from reports.document.html import render_template
from reports.document.model import Block, Figure, Section, Text
from reports.records.benchmark import BenchmarkRecord

NOTE = (
    "Published figures are below ours; their operations and energy follow the rule that they were published with. AC: "
    "accumulates, MAC: multiply-accumulates, as each rule counts them; k: thousands."
)


def networks_section(record: BenchmarkRecord) -> Section:
    """Return the plots and tables, or the sentence that no training is finished yet."""
    if not energy_models_of(record):
        return Section("Spiking networks", (Text("No training is finished yet.", style="empty"),))
    blocks: list[Block] = [Text(NOTE, style="note"), Figure(render_template("benchmark_legend.html"))]
    for setup in record.header.setups:
        table = networks_table(record, setup.data)
        blocks.append(Section(setup.data, (*_plots(record, setup.data), table)))
    return Section("Spiking networks", tuple(blocks))


def _plots(record: BenchmarkRecord, data: str) -> list[Figure]:
    """Return one figure with a plot for each energy model; none if nothing can be drawn."""
    members = [group for group in groups(record) if group.data == data]
    plots = [(model, plot) for model in energy_models_of(record) if (plot := figure(members, model))]
    return [Figure(render_template("benchmark_plots.html", plots=plots))] if plots else []
