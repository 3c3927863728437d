"""A typed or stored name is a folder in the runs folder, or it is refused."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from helpers.small_studies import build_study, write_study

from search.cli import main
from search.space.loading.loader import load_space

SMOKE = str(Path(__file__).parents[3] / "spaces/smoke.yaml")
OUTSIDE = ("..", ".", "../elsewhere", "/tmp/elsewhere", "a/b", "a/", "./a", "", "a\x00b", "a\nb", "x" * 300, "é" * 200)
COMMANDS = (
    ["status"], ["report"], ["resume", "--executor", "inline"], ["show", "0"], ["export", "0"], ["evaluate"],
    ["retrain", "--executor", "inline"], ["copy", "new"], ["rename", "new"], ["move", "new"], ["archive"],
    ["delete", "--yes"], ["tag", "+good"], ["note", "good"], ["compare", "new"],
)  # fmt: skip


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    def words(*given):
        monkeypatch.setattr(sys, "argv", ["snnsearch", *given])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr().err

    (tmp_path / "here" / "runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return words


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_name_that_is_a_path_is_refused(command, name, run, tmp_path):
    """A study exists where the path leads, so the name itself is what is refused."""
    study = tmp_path / "elsewhere"
    study.mkdir()
    write_study(build_study(2, epochs=1), study / "study.db")
    before = files(tmp_path)
    code, said = (
        run(command[0], "--", name, *command[1:]) if command[0] == "status" else run(command[0], name, *command[1:])
    )
    assert code == 2
    assert "--runs DIR" in said
    assert "Traceback" not in said
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    ["../elsewhere", "/tmp/elsewhere", "..", "a/b", "a.b", "x" * 65, "{a: b}", "!!x y", "É", "e\u0301", "𠀀" * 60],
)
@pytest.mark.parametrize("command", ["launch", "bench", "train"])
def test_new_name_that_is_a_path_is_refused(command, name, run, tmp_path):
    file = SMOKE.replace("smoke", "benchmark_small") if command == "bench" else SMOKE
    more = ["--candidate", "baseline"] if command == "train" else []
    code, said = run(command, file, "--name", name, "--executor", "inline", *more)
    assert code == 2
    assert ".name: " in said
    assert files(tmp_path) == ["here", "here/runs"]


@pytest.mark.parametrize("name", ["../x", "/x", "..", "a/b", "a b", "A", "x" * 65, "-a", "a-", ""])
def test_space_has_no_name_that_is_a_path(name):
    text = Path(SMOKE).read_text().replace("name: smoke", f"name: '{name}'")
    with pytest.raises(Exception, match=r"study\.name: given"):
        load_space(text)


@pytest.mark.parametrize("name", ["a", "a-1", "a--b", "é", "поиск-2", "搜索", "字" * 60, "ß", "x" * 64])
def test_name_in_any_script_is_accepted(name):
    text = Path(SMOKE).read_text().replace("name: smoke", f"name: {name}")
    assert load_space(text).study.name == name


def test_stored_names_are_never_used_as_file_names(run, tmp_path):
    """Whatever the names in its records, a report is written into the named folder only."""
    study = build_study(2, epochs=1)
    hostile = study.header.model_copy(update={"name": "../../elsewhere", "candidates": ("../x",)})
    trials = tuple(trial.model_copy(update={"name": "../../../x"}) for trial in study.trials)
    folder = tmp_path / "here" / "runs" / "mine"
    folder.mkdir()
    write_study(study.model_copy(update={"header": hostile, "trials": trials}), folder / "study.db")
    code, said = run("report", "mine")
    assert (code, said) == (0, "")
    written = {"report.html", "report.md", "front.csv", "front.json", "study.db"}
    assert files(tmp_path) == sorted(
        ["here", "here/runs", "here/runs/mine", *(f"here/runs/mine/{name}" for name in written)]
    )


def test_report_replaces_a_link_and_not_its_target(run, tmp_path):
    folder = tmp_path / "here" / "runs" / "mine"
    folder.mkdir()
    write_study(build_study(2, epochs=1), folder / "study.db")
    (tmp_path / "precious").write_text("mine")
    os.symlink(tmp_path / "precious", folder / "report.html")
    assert run("report", "mine")[0] == 0
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (folder / "report.html").is_symlink()
    shutil.rmtree(folder)
