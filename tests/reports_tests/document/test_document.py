"""One document model: what a report contains is in the HTML and in the Markdown, escaped in both."""

from collections.abc import Callable

import pytest
from helpers.html_page import Page
from helpers.small_benchmarks import build_benchmark
from markupsafe import Markup

import reports.benchmark.report
import reports.study.report
from reports.benchmark.report import benchmark_document
from reports.document.html import render_html
from reports.document.markdown import render_markdown
from reports.document.model import (
    Bullets,
    Code,
    Definitions,
    Document,
    Figure,
    Folded,
    KeyFigure,
    PageOnly,
    Section,
    Text,
)
from reports.document.table import Table
from reports.document.wording import moment
from reports.records.benchmark import BenchmarkRecord
from reports.records.study import StudyRecord
from reports.study.report import study_document

Build = Callable[..., StudyRecord]
BLOCKS = (
    Text("a <paragraph>"),
    Bullets(("first <item>", "second")),
    Definitions((("term", "<explanation>"),), terms_are_code=True),
    Table(("left", "right"), (False, True), (("<cell>", "1"),), "a table", groups=(("group", 2),)),
    Code("<code>", "yaml", summary="A file"),
    Section("Subsection", (Text("nested"),)),
    Folded("failed", "1 <trial>", (Text("inside"),)),
)
PARTS = (
    "<paragraph>", "first <item>", "term", "<explanation>", "left", "group", "<cell>", "<code>", "A file",
    "Subsection", "nested", "failed", "1 <trial>", "inside", "a figure", "<label>", "Title",
)  # fmt: skip


def document(*blocks: object) -> Document:
    return Document(
        kind="a report",
        title="Title",
        summary="a summary",
        note="a note",
        sections=(Section("Section", blocks),),  # type: ignore[arg-type]
        key_figures=(KeyFigure("<label>", "12", "of 40"),),
    )


def test_every_block_is_in_both_formats_and_escaped() -> None:
    report = document(*BLOCKS, Figure(Markup("<svg><title>a figure</title></svg>"), (Text("a figure"),)))
    html, markdown = Page(render_html(report)), render_markdown(report)
    plain = markdown.replace("&lt;", "<").replace("&gt;", ">")
    for part in PARTS:
        assert part in html.text
        assert part in plain
    assert len(html.of("svg")) == 1
    assert "<cell>" not in markdown
    assert not {"paragraph", "item", "cell", "label"} & {tag for tag, _ in html.elements}


def test_blocks_for_the_page_only_are_not_in_markdown() -> None:
    report = document(PageOnly((Code("long text", summary="Traceback"),)))
    assert "long text" in render_html(report)
    assert "long text" not in render_markdown(report)


def test_a_page_without_scripts_allows_none() -> None:
    assert "script-src" not in render_html(document())


def test_times_of_a_page_are_marked_and_its_other_text_is_escaped() -> None:
    text = f"<b> from {moment(0)} to {moment(1e9)}"
    html = Page(render_html(document(Text(text), Bullets((text,)))))
    marked = ["1970-01-01 00:00 UTC", "2001-09-09 01:46 UTC"]
    assert [time["title"] for time in html.of("time")] == 2 * marked
    assert [time["datetime"] for time in html.of("time")] == 2 * ["1970-01-01T00:00Z", "2001-09-09T01:46Z"]
    assert html.text.count(text) == 2
    assert not html.of("b")


def test_every_section_of_a_study_and_a_benchmark_is_in_both_formats(make_study: Build) -> None:
    for report in (study_document(make_study(12)), benchmark_document(build_benchmark())):
        html, markdown = render_html(report), render_markdown(report)
        assert len(report.sections) > 4
        for section in report.sections:
            assert f"## {section.title}" in markdown
            assert section.title in html


def test_one_function_and_one_line_add_a_section(make_study: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    def new_section(record: StudyRecord | BenchmarkRecord) -> Section:
        return Section("Carbon", (Text(f"about {record.header.name}"),))

    for module in (reports.study.report, reports.benchmark.report):
        monkeypatch.setattr(module, "SECTIONS", (*module.SECTIONS, new_section))
    study, benchmark = make_study(3), build_benchmark()
    for name, text in (
        (study.header.name, reports.study.report.page(study)),
        (study.header.name, reports.study.report.markdown(study)),
        (benchmark.header.name, reports.benchmark.report.page(benchmark)),
        (benchmark.header.name, reports.benchmark.report.markdown(benchmark)),
    ):
        assert "Carbon" in text
        assert f"about {name}" in text
