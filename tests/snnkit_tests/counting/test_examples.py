"""The examples of docs/counting.md run, are short, and print what the page says."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("library", ["snntorch", "spikingjelly"])
def test_example_runs_and_is_short(library: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(library, reason="needs the extra `bench`")
    path = DOCS / "examples" / f"count_{library}.py"
    runpy.run_path(str(path))
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert printed[-1].endswith(" mJ")
    assert "14,112 MACs" in printed[0]
    code = [line for line in path.read_text().splitlines() if line.strip()]
    assert len(code) <= 15


def test_output_on_the_page_is_the_example_s(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(DOCS / "examples" / "count_snntorch.py"))
    printed = capsys.readouterr().out.splitlines()
    page = (DOCS / "counting.md").read_text()
    assert f"    {printed[0].rpartition(',')[0]}" in page  # spikes may round differently on another machine
    assert printed[-1].split()[0][:3] in page
