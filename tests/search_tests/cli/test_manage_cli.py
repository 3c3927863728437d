"""The commands about studies as things, as a user types them."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from search.cli import main

STORED = Path(__file__).parents[2] / "golden" / "stored"


@pytest.fixture
def snnsearch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    shutil.copytree(STORED, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["snnsearch", *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


def test_tags_with_a_minus_sign_are_no_options(snnsearch: Any) -> None:
    assert snnsearch("tag", "old-study", "+good", "+hard", "--runs", "runs")[:2] == (0, "good, hard\n")
    assert snnsearch("tag", "old-study", "-hard", "--json")[:2] == (0, '[\n  "good"\n]\n')
    assert snnsearch("tag", "old-study")[:2] == (0, "good\n")
    assert "Usage" in snnsearch("tag", "-h")[1]


def test_status_selects_by_tag(snnsearch: Any) -> None:
    snnsearch("copy", "old-study", "other")
    snnsearch("tag", "other", "+good", "+edge")
    snnsearch("note", "other", "wider stem")
    code, said, _ = snnsearch("status", "--tag", "good", "--tag", "edge", "--json")
    (found,) = json.loads(said)
    assert (code, found["study"], found["tags"], found["notes"]) == (0, "other", ["edge", "good"], ["wider stem"])
    assert "no study in runs has the tag nothing" in snnsearch("status", "--tag", "nothing")[1]
    assert "wider stem" in snnsearch("status", "other")[1]


def test_study_goes_round(snnsearch: Any, tmp_path: Path) -> None:
    assert "copied old-study to runs/one" in snnsearch("copy", "old-study", "one")[1]
    assert "renamed one to runs/two" in snnsearch("rename", "one", "two")[1]
    assert "moved two to else/two" in snnsearch("move", "two", "else")[1]
    _, said, _ = snnsearch("archive", "two", "--runs", "else")
    assert "two.tar.gz" in said
    assert "without" in said
    assert "snnsearch unarchive two.tar.gz --runs else" in said
    assert "restored two.tar.gz to runs/three" in snnsearch("unarchive", "two.tar.gz", "--name", "three")[1]
    assert "deleted runs/three: 7 trials" in snnsearch("delete", "three", "--yes")[1]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["old-benchmark", "old-study"]


def test_nothing_is_deleted_without_an_answer(snnsearch: Any, tmp_path: Path) -> None:
    code, said, error = snnsearch("delete", "old-study")
    assert code == 2
    assert "runs/old-study" in said
    assert "nothing was deleted" in error
    assert "snnsearch delete old-study --yes" in error
    assert (tmp_path / "runs/old-study/study.db").exists()


def test_comparison_is_written(snnsearch: Any, tmp_path: Path) -> None:
    snnsearch("copy", "old-study", "other")
    code, said, error = snnsearch("compare", "old-study", "other")
    assert code == 0
    assert said.split() == [f"runs/old-study-vs-other/comparison.{kind}" for kind in ("html", "md", "json")]
    assert "one is a copy of the other" in error
    found = json.loads((tmp_path / "runs/old-study-vs-other/comparison.json").read_text())
    assert [one == other for one, other in found["common"]] == [True] * 4
    assert found["settings"] == {}
    assert snnsearch("status")[0] == 0
