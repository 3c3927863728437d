"""Text is printed as it is, whatever a space or a stored record contains."""

import io
import sys
from pathlib import Path

import pytest
from helpers.hostile import PAYLOADS, hostile
from helpers.small_benchmarks import build_benchmark
from helpers.small_studies import build_study, write_study
from rich.table import Table
from rich.text import Text

from reports.analysis.front import status_summary
from reports.storage.benchmarks import benchmark_status
from search.cli import benchmark as show
from search.cli import main, tables
from search.cli.console import Terminal
from search.cli.validate import render, survey
from search.errors import Place, Problem, SpaceError
from search.space.loading.loader import load_space

SPACE = """\
study: {name: a, budget: {trials: 1}, objectives: {accuracy: maximize}, constraints: {params: {max: 1}}}
network: {family: squeezenet, fire2: {keep: {choices: [true, false]}}}
data: {name: digits}
candidates: {"%s": {}}
"""


def printed(*parts: object) -> str:
    file = io.StringIO()
    terminal = Terminal(file=file, width=200)
    for part in parts:
        terminal.print(part)
    return file.getvalue()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_stored_text_is_neither_markup_nor_control_characters(payload: str, tmp_path: Path) -> None:
    study, benchmark = hostile(build_study(4, epochs=2), payload), hostile(build_benchmark(), payload)
    summary = status_summary(study)
    text = printed(
        tables.ending(study, tmp_path), tables.status_view(summary), tables.status_table([summary]),
        *(tables.trial_view(study, trial) for trial in study.trials),
        show.ending(benchmark, tmp_path, payload), show.status_table([benchmark_status(benchmark)]),
    )  # fmt: skip
    assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]
    assert payload.split("\n")[0].split("\x1b")[0][:9] in text


def test_control_characters_are_written_out() -> None:
    assert printed(Text("a\x1b[2Jb\x9bc:bug:")) == "a\\x1b[2Jb\\x9bc:bug:\n"


def test_names_with_brackets_and_colons_stay_in_tables() -> None:
    table = Table("name")
    table.add_row("[/b] [red]:bug:")
    assert "[/b] [red]:bug:" in printed(table)


def test_candidate_called_like_markup_is_surveyed() -> None:
    file = io.StringIO()
    render(survey(load_space(SPACE % "[/b][red]"), samples=5), Terminal(file=file, width=200))
    assert file.getvalue().count("[/b][red]") == 2  # its row, and why it would be refused


def test_error_has_fifty_lines_at_most_of_printable_characters() -> None:
    place = Place("space.yaml", 1)
    said = str(SpaceError(Problem(place, f"a\x1b]0;{at}", "x" * 5000) for at in range(300))).splitlines()
    assert len(said) == 51
    assert said[-1] == "and more; correct these first"
    assert all(line.isprintable() and len(line) < 1100 for line in said)


@pytest.mark.parametrize(
    ("objective", "value", "text"),
    [
        ("energy_mj", 0.0023, "0.00230"),
        ("accuracy", 0.4, "0.400"),
        ("params", 599130, "599,130"),
        ("later", 2.5, "2.50"),
    ],
)
def test_unit_is_printed_once(objective: str, value: float, text: str) -> None:
    assert tables.figure(objective, value) == text


@pytest.mark.parametrize("width", [20, 80])
def test_names_of_layers_are_whole_on_a_narrow_terminal(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = build_study(2, epochs=1)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    write_study(study, tmp_path / "runs" / "mine" / "study.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "argv", ["snnsearch", "show", "mine", "0"])
    with pytest.raises(SystemExit, match="0"):
        main()
    lines = capsys.readouterr().out.splitlines()
    assert {layer.name for layer in study.trials[0].layers} <= {line.split()[0] for line in lines if line.strip()}
