"""Every command that reads a study, on one in PostgreSQL that SNNSEARCH_STORAGE names."""

import json
import sys

import pytest
from helpers.untrained import SPACES
from rich.console import Console

from search.cli import main

QUICK = ["--set", "train.epochs=1", "--set", "train.chance_patience=0", "--set", "data.subset=500"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, url):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNNSEARCH_STORAGE", url)
    monkeypatch.setattr("search.cli.console.out", Console(width=160))

    def call(*words: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["snnsearch", *words])
        ended = 0
        try:
            main()
        except SystemExit as end:
            ended = end.code or 0
        said = capsys.readouterr()
        assert ended == code, said.out + said.err
        return said.out + said.err

    return call


def test_commands_find_the_study(run, space, tmp_path):
    name, inline = space.study.name, ["--executor", "inline"]
    run("launch", str(SPACES / "smoke.yaml"), "--name", name, "--trials", "1", *inline, *QUICK)
    run("resume", name, "--trials", "1", *inline)
    found = json.loads(run("status", name, "--json"))
    assert found["counts"] == {"complete": 2, "waiting": found["counts"]["waiting"]}
    assert name in [each["study"] for each in json.loads(run("status", "--json"))]
    assert "report.html" in run("report", name)
    assert "no-fire3" in run("show", name, "1")
    run("export", name, "0")
    assert (tmp_path / f"{name}-0.pt").exists()
    assert "0.00%" in run("evaluate", name, "--trials", "0,1")
    retrain = ["retrain", name, "--trials", "0", "--seeds", "1", *inline, "--set", "train.epochs=1"]
    run(*retrain)
    finals = f"{name}-finals"  # a benchmark, which lies in its folder wherever the studies are
    assert "benchmark.html" in run("report", finals)
    assert finals in run("status")
    assert "0.00%" in run("evaluate", finals)
    run("export", finals, "0", "--out", "finalist.pt")
    assert "is a benchmark" in run("show", finals, "0", code=2)


def test_resume_without_the_folder_of_the_study_says_how_to_go_on(run, space, tmp_path):
    name = space.study.name
    run("launch", str(SPACES / "smoke.yaml"), "--name", name, "--trials", "1", "--executor", "inline", *QUICK)
    elsewhere = ["resume", name, "--trials", "1", "--executor", "inline", "--runs", "elsewhere"]
    assert "create an empty one" in run(*elsewhere, code=2)
    (tmp_path / "elsewhere" / name).mkdir(parents=True)
    assert "no-fire3" in run(*elsewhere)
    assert "report.html" in run("report", name, "--runs", "nowhere-yet")
