"""Hostile text in a stored study or benchmark is shown as text: it runs nothing in pages, tables or spreadsheets."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable

import pytest
from helpers.hostile import PAYLOADS, hostile
from helpers.html_page import Page
from helpers.small_benchmarks import build_benchmark

import reports.benchmark.report
from reports.benchmark.picture import picture
from reports.benchmark.tables import benchmark_csv
from reports.records.study import StudyRecord
from reports.study.report import markdown, page
from reports.study.tables import front_csv, front_json

Build = Callable[..., StudyRecord]
HARMLESS = "any other text "  # about as long as the payloads, so that lines wrap alike
HANDLER = re.compile(r"^on", re.IGNORECASE)


def tags(text: str) -> Counter[str]:
    parsed = Page(text)
    assert not [name for _, attributes in parsed.elements for name in attributes if HANDLER.match(name)]
    assert not [a for a in parsed.of("a") if not (a["href"] or "").startswith("#")]
    return Counter(f"{tag} {sorted(attributes)}" for tag, attributes in parsed.elements)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_page_has_the_elements_of_a_harmless_one(make_study: Build, payload: str) -> None:
    study = make_study(4, epochs=2)
    text = page(hostile(study, payload))
    assert tags(text) == tags(page(study))
    assert {trial["device"] for trial in Page(text).data["trials"]} == {payload + "cpu (1 thread)"}
    assert "</script" not in Page(text).raw["script"][0]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_page_of_a_benchmark_has_the_elements_of_a_harmless_one(payload: str) -> None:
    harmless = tags(reports.benchmark.report.page(hostile(build_benchmark(), HARMLESS)))
    assert set(tags(reports.benchmark.report.page(hostile(build_benchmark(), payload)))) <= set(harmless)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markdown_has_no_html_and_no_link(make_study: Build, payload: str) -> None:
    study = markdown(hostile(make_study(4, epochs=2), payload))
    benchmark = reports.benchmark.report.markdown(hostile(build_benchmark(), payload))
    for text in (study, benchmark):
        outside = re.sub(r"^(```+).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)  # GitHub shows it as code
        outside = re.sub(r"(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
        assert not re.search(r"(?<!\\)<[a-z/!]", outside, re.IGNORECASE), outside
        assert not re.search(r"(?<!\\)\]\(", outside), outside


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_cell_of_a_csv_file_begins_a_formula(make_study: Build, payload: str) -> None:
    for text in (
        front_csv(hostile(make_study(4, epochs=2), payload)),
        benchmark_csv(hostile(build_benchmark(), payload)),
    ):
        rows = list(csv.reader(io.StringIO(text)))
        assert len({len(row) for row in rows}) == 1
        for cell in (cell for row in rows for cell in row):
            assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
            assert not cell.startswith("-") or float(cell) < 0, cell


@pytest.mark.parametrize("payload", PAYLOADS)
def test_json_and_picture_stay_well_formed(make_study: Build, payload: str) -> None:
    assert json.loads(front_json(hostile(make_study(4, epochs=2), payload)))["study"].startswith(payload)
    harmless = tags(picture(hostile(build_benchmark(), HARMLESS)))
    assert set(tags(picture(hostile(build_benchmark(), payload)))) <= set(harmless)
