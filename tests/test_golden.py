"""What commit 1018504 stored still loads, resumes and evaluates; help texts and reports change on purpose only.

``tests/golden/stored`` holds a study (interrupted in the middle of trial 6) and a benchmark of that commit, and
``asked.json`` holds what its samplers proposed. They never change. Help texts and reports are snapshots: after a
deliberate change, run ``pytest tests/test_golden.py --update-golden`` and read the diff.
"""

import itertools
import json
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest
import typer

from benchmarks.search import standin
from reports.benchmark.write import write_benchmark
from reports.storage.benchmarks import read_benchmark
from reports.storage.studies import read_study, sqlite_url
from reports.study.write import write_report
from search.cli.app import app, main
from search.space.loading.loader import load_space
from search.study.create import load_study

GOLDEN = Path(__file__).parent / "golden"
SPACES = Path(__file__).parents[1] / "spaces"
ASKED = json.loads((GOLDEN / "asked.json").read_text())
COMMANDS = (
    "", "launch", "resume", "status", "report", "show", "validate", "bench", "retrain", "train", "export", "evaluate",
    "compare", "tag", "note", "copy", "rename", "move", "archive", "unarchive", "delete", "trust", "count", "scaffold",
    "spaces", "spaces copy", "data", "data list", "data show", "data fetch",
)  # fmt: skip


def held(name: str, text: str, update: bool) -> None:
    """Compare ``text`` with the snapshot ``name``, or write the snapshot."""
    path = GOLDEN / name
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} changed; if on purpose: pytest --update-golden"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "stored", tmp_path / "runs"))


@pytest.fixture
def snnsearch(monkeypatch: pytest.MonkeyPatch, runs: Path) -> Any:
    def run(*words: str) -> int:
        monkeypatch.chdir(runs.parent)
        monkeypatch.setattr(sys, "argv", ["snnsearch", *words])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return run


def test_every_command_has_a_help_snapshot() -> None:
    def commands(group: Any, path: str = "") -> list[str]:
        found = [path]
        for name, command in getattr(group, "commands", {}).items():
            found += commands(command, f"{path} {name}".strip())
        return found

    assert sorted(commands(typer.main.get_command(app))) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_the_snapshot(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "argv", ["snnsearch", *command.split(), "--help"])
    with pytest.raises(SystemExit):
        main()
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    held(f"help/{command.replace(' ', '-') or 'snnsearch'}.txt", "\n".join(lines) + "\n", _update(request))


def test_old_study_reports_the_same_figures(runs: Path, request: pytest.FixtureRequest) -> None:
    folder = runs / "old-study"
    before = {name: (folder / name).read_bytes() for name in ("front.csv", "front.json")}
    write_report(read_study(sqlite_url(folder / "study.db"), "old-study"), folder)
    assert {name: (folder / name).read_bytes() for name in before} == before
    held("reports/report.md", _undated((folder / "report.md").read_text()), _update(request))
    held("reports/report.html", _undated((folder / "report.html").read_text()), _update(request))


def test_old_benchmark_reports_the_same_figures(runs: Path, request: pytest.FixtureRequest) -> None:
    folder = runs / "old-benchmark"
    before = (folder / "benchmark.csv").read_bytes()
    write_benchmark(read_benchmark(folder), folder)
    assert (folder / "benchmark.csv").read_bytes() == before
    held("reports/benchmark.md", _undated((folder / "benchmark.md").read_text()), _update(request))
    held("reports/benchmark.html", _undated((folder / "benchmark.html").read_text()), _update(request))


def test_old_study_asks_for_what_it_would_have_asked_for(runs: Path) -> None:
    folder = runs / "old-study"
    url = sqlite_url(folder / "study.db")
    header = read_study(url, "old-study").header
    space = load_space(header.space_yaml)
    study = load_study(header, space, folder, url)
    assert [list(numbers) for numbers in study.recover()] == ASKED["recovered"]
    jobs = [study.next(lambda record: None) for _ in ASKED["next"]]
    assert [[job.number, job.params] for job in jobs if job] == ASKED["next"]
    assert [job.candidate.fingerprint for job in jobs if job] == ASKED["keys"]


@pytest.mark.parametrize("name", sorted({key.partition(",")[0] for key in ASKED["samplers"]}))
def test_samplers_propose_what_they_proposed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a stand-in for training, so that no rounding of this machine's torch matters."""
    real = standin.outcome
    for space in (load_space(GOLDEN / "space.yaml"), load_space(SPACES / "squeezenet_edge.yaml")):
        asked: list[str] = []

        def outcome(params: Any, candidate: Any, world: int, asked: list[str] = asked) -> standin.Values:
            asked.append(candidate.fingerprint)
            return real(params, candidate, world)

        monkeypatch.setattr(standin, "outcome", outcome)
        expected = ASKED["samplers"][f"{name}, {space.study.name}"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            list(itertools.islice(standin.trials(space, name, 1), len(expected)))
        assert asked == expected


def test_old_study_resumes_in_the_middle_of_a_trial(snnsearch: Any, runs: Path) -> None:
    assert snnsearch("resume", "old-study", "--trials", "1", "--executor", "inline") == 0
    study = read_study(sqlite_url(runs / "old-study" / "study.db"), "old-study")
    (record,) = (trial for trial in study.trials if trial.number == 6)
    assert record.status == "complete"
    assert record.restarts == 1
    assert [round(epoch.wall_s, 6) for epoch in record.history[:2]] == [0.180104, 0.169298]  # kept from before the kill


@pytest.mark.parametrize("name", ["old-study", "old-benchmark"])
def test_old_networks_evaluate_to_the_record(name: str, snnsearch: Any) -> None:
    assert snnsearch("evaluate", name) == 0


def test_old_benchmark_has_nothing_left_to_train(
    snnsearch: Any, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = (runs / "old-benchmark/trials/0/result.json").read_bytes()
    assert snnsearch("bench", "runs/old-benchmark/benchmark.yaml", "--executor", "inline") == 0
    assert (runs / "old-benchmark/trials/0/result.json").read_bytes() == kept


def _update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


def _undated(text: str) -> str:
    """Remove everything that depends on the moment or the machine of the test."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d( UTC)?", "DATE", text)
