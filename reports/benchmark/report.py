"""The report of a benchmark: which sections it has, and in what order.

To add a section, write a function from a benchmark to a `Section` in reports/benchmark/sections and add it to
`SECTIONS`. It appears on the page and in Markdown. A function returns None if the benchmark has nothing to show in that
section.
"""

from collections.abc import Callable

from reports.benchmark.sections.energy import energy_section
from reports.benchmark.sections.failures import failures_section
from reports.benchmark.sections.findings import findings_section
from reports.benchmark.sections.networks import networks_section
from reports.benchmark.sections.reproduce import reproduce_section
from reports.benchmark.sections.twins import twins_section
from reports.benchmark.summary import SPREAD_NOTE, circumstances, summary
from reports.document.html import render_html
from reports.document.markdown import render_markdown
from reports.document.model import Definitions, Document, Section
from reports.records.benchmark import BenchmarkRecord

SECTIONS: tuple[Callable[[BenchmarkRecord], Section | None], ...] = (
    findings_section,
    networks_section,
    twins_section,
    failures_section,
    energy_section,
    reproduce_section,
)


def page(record: BenchmarkRecord) -> str:
    """Return benchmark.html. Its only script shows times in the reader's time zone."""
    return render_html(benchmark_document(record))


def markdown(record: BenchmarkRecord) -> str:
    """Return benchmark.md."""
    return render_markdown(benchmark_document(record))


def benchmark_document(record: BenchmarkRecord) -> Document:
    """Return the report of a benchmark, ready to be rendered."""
    return Document(
        kind="snnsearch benchmark",
        title=record.header.name,
        summary=summary(record),
        note=SPREAD_NOTE,
        facts=Definitions(tuple(circumstances(record))),
        sections=tuple(section for build in SECTIONS if (section := build(record)) is not None),
        scripts=("scripts/times.js",),
        styles=("page.css", "benchmark.css"),
    )
