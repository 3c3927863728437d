"""benchmark.md: the same statements and tables as the page."""

from reports.benchmark.groups import prices_of
from reports.benchmark.sentences import SPREAD_NOTE, circumstances, findings, summary
from reports.benchmark.tables import failures_table, networks_table, twins_table
from reports.document.markdown import bullets, fence, rules, table, text
from reports.document.prices import describe
from reports.records.benchmark import BenchmarkRecord


def markdown(record: BenchmarkRecord) -> str:
    """The whole report as GitHub Markdown."""
    header, prices = record.header, prices_of(record)
    blocks = [f"# {text(header.name)}", text(summary(record))]
    blocks.append("\n".join(f"- {text(name)}: {text(told)}" for name, told in circumstances(record)))
    if prices:
        blocks += [SPREAD_NOTE, "## Findings"]
        for data, lines in findings(record).items():
            blocks += [f"### {text(data)}: findings", bullets(lines)]
        blocks.append("## Spiking networks")
        for setup in header.setups:
            blocks += [f"### {text(setup.data)}", table(networks_table(record, setup.data))]
        twins = [(setup.data, found) for setup in header.setups if (found := twins_table(record, setup.data))]
        if twins:
            blocks.append("## CNN against SNN")
        for data, found in twins:
            blocks += [f"### {text(data)}, CNN against SNN", table(found)]
    else:
        blocks.append("No training is finished yet.")
    failed = failures_table(record)
    if failed.rows:
        blocks += ["## Trainings without a result", table(failed)]
    if prices:
        blocks += ["## Energy", rules({price: describe(price) for price in prices})]
    blocks += [
        "## The benchmark",
        "As resolved; `snnsearch bench` takes it as it is:",
        fence(header.benchmark_yaml, "yaml"),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"
