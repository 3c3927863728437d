"""The command line: what it prints and how it exits."""

import contextlib
import io
import json
import os
import shutil
import sys
from pathlib import Path
from shlex import split

import pytest
from helpers.own_data import picture, picture_folder
from helpers.untrained import SPACES
from rich.console import Console

from reports.storage.studies import load_study_folder
from reports.study.reproduce import train_again
from search.cli import main
from search.storage.lock import StudyLock

SMOKE = str(SPACES / "smoke.yaml")
QUICK = ["--set", "train.epochs=1", "--set", "train.chance_patience=0", "--set", "data.subset=500"]


SPACE_OF_OWN_PICTURES = """study:
  name: own
  budget: {trials: 1}
  objectives: {accuracy: maximize, params: minimize}
network:
  family: squeezenet
  stem: {width: 8}
  fire5: {keep: {choices: [true, false]}}
encoding: {timesteps: 1}
train: {epochs: 1, batch: 16, chance_patience: 0}
"""


class Shell:
    """Runs the command line in this process, in a folder of its own."""

    def __init__(self, monkeypatch, capsys) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["snnsearch", *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("search.cli.console.out", Console(width=160))
    return Shell(monkeypatch, capsys)


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    """A study of two trained candidates, and what its launch printed; trained once, copied for each test."""
    folder = tmp_path_factory.mktemp("launched")
    words = ["snnsearch", "launch", SMOKE, "--executor", "inline", "--trials", "2", "--runs", str(folder), *QUICK]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        patch.setattr("search.cli.console.out", Console(file=printed, width=160))
        with contextlib.suppress(SystemExit):
            main()
    return folder, printed.getvalue()


@pytest.fixture
def launched(study_folder, tmp_path):
    folder, printed = study_folder
    shutil.copytree(folder, tmp_path / "runs")
    return printed


def test_launch_describes_the_run_and_ends_with_front_and_report(launched, tmp_path):
    assert "7 dials, 120 candidates" in launched
    assert "digits: 400 train, 100 validation, 360 test images" in launched
    assert "until     2 trials" in launched
    assert "the front of smoke, of 2 trained candidates" in launched
    assert "snnsearch report smoke --open" in launched
    folder = tmp_path / "runs" / "smoke"
    for name in ("report.html", "report.md", "front.csv", "front.json", "space.yaml", "study.db"):
        assert (folder / name).stat().st_size > 0
    for number in ("0", "1"):
        found = {path.name for path in (folder / "trials" / number).iterdir()}
        assert found == {"log.txt", "result.json", "starts.json", "weights.pt"}


def test_status_show_and_report_read_the_study(launched, run):
    _, out, _ = run("status", "smoke", "--json")
    assert json.loads(out)["counts"] == {"complete": 2, "waiting": 1}
    _, out, _ = run("status")
    assert out.splitlines()[1].split()[:3] == ["smoke", "2", "0"]  # complete, running
    _, out, _ = run("status", "smoke")
    assert "2 complete · 1 waiting" in out
    _, out, _ = run("show", "smoke", "0", "--json")
    assert json.loads(out)["name"] == "baseline"
    _, out, _ = run("show", "smoke", "0")
    assert "horowitz45/paper2602" in out
    _, out, _ = run("report", "smoke", "--json")
    assert [name.rsplit("/")[-1] for name in json.loads(out)] == ["report.html", "report.md", "front.csv", "front.json"]


def test_resume_continues_the_study(launched, run):
    code, out, _ = run("resume", "smoke", "--executor", "inline", "--trials", "1")
    assert code == 0
    assert "of 3 trained candidates" in out


def test_resume_of_a_study_that_is_done_says_how_to_get_more(run):
    run("launch", SMOKE, "--executor", "inline", "--set", "study.budget={trials: 1}", *QUICK)
    code, out, _ = run("resume", "smoke", "--executor", "inline")
    assert code == 0
    assert "all 1 trials are done; for more: snnsearch resume smoke --trials 10" in out
    assert "of 1 trained candidates" in out


def test_printed_command_trains_the_same_candidate_to_the_same_figures(launched, run):
    _, out, _ = run("show", "smoke", "1", "--json")
    first = json.loads(out)
    study = load_study_folder(Path("runs/smoke"))
    code, _, _ = run(*split(train_again(study, study.trials[1]))[1:], "--executor", "inline")
    assert code == 0
    _, out, _ = run("show", "smoke-1", "0", "--json")
    assert json.loads(out)["metrics"] == first["metrics"]


def test_dry_run_touches_nothing(run, tmp_path):
    code, out, _ = run("launch", SMOKE, "--dry-run")
    assert code == 0
    assert "first     baseline" in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["launch", "nowhere.yaml"], "nowhere.yaml"),
        (["launch", SMOKE, "--set", "train.epoch=5"], "did you mean train.epochs"),
        (["launch", SMOKE, "--set", "train.epochs"], "--set train.epochs=5"),
        (["launch", SMOKE, "--time", "soon"], "20m"),
        (["launch", SMOKE, "--name", "Bad Name"], "bad-name"),
        (["launch", SMOKE, "--executor", "slurm"], "ray"),
        (["launch", SMOKE, "--trials", "0"], "trials"),
        (["launch", SMOKE, "--storage", "postgresql+nothing://x/y", "--executor", "inline"], "snnsearch[postgresql]"),
        (["launch", SMOKE, "--storage", "postgresql+psycopg://u:secret@host:port/x"], "psycopg://u:***@host:port/x"),
        (["resume", "nothing"], "no study 'nothing'"),
        (["status", "nothing"], "nothing"),
        (["report", "nothing"], "nothing"),
        (["show", "nothing", "0"], "nothing"),
        (["data", "fetch", "cifar11"], "cifar10"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_bad_input_gets_one_message_and_exit_2(words, said, run):
    code, out, err = run(*words)
    assert code == 2
    assert said in err
    assert "Traceback" not in out + err


def test_missing_trial_is_refused(launched, run):
    code, _, err = run("show", "smoke", "99")
    assert code == 2
    assert "has no trial 99" in err


def test_name_of_another_space_is_refused(launched, run):
    code, _, err = run("launch", SMOKE, "--executor", "inline", "--set", "neuron.leak=0.5")
    assert code == 2
    assert "exists with another space" in err
    assert "--name NAME" in err


def test_edited_space_of_a_study_is_refused(launched, run, tmp_path):
    path = tmp_path / "runs" / "smoke" / "space.yaml"
    path.write_text(path.read_text().replace("leak: 0.9", "leak: 0.8"))
    code, _, err = run("resume", "smoke", "--executor", "inline")
    assert code == 2
    assert "was edited" in err


def test_folder_that_cannot_be_written_is_refused(run, tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    code, _, err = run("launch", SMOKE, "--executor", "inline")
    assert code == 2
    assert "--runs DIR" in err


def test_second_driver_is_refused(launched, run, tmp_path):
    with StudyLock(tmp_path / "runs" / "smoke", "smoke", ""):
        code, _, err = run("resume", "smoke", "--executor", "inline")
    assert code == 2
    assert f"process {os.getpid()} on" in err


def test_data_show_counts_the_images_of_each_class(run):
    code, out, _ = run("data", "show", "digits")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert rows[1] == ["0", "143", "35"]
    assert rows[-1] == ["total", "1,437", "360"]
    counts = json.loads(run("data", "show", "digits", "--json")[1])
    assert counts[0] == {"name": "0", "id": "0", "train": 143, "test": 35, "validation": 0}
    assert len(counts) == 10


def test_data_show_of_an_absent_data_set_says_where_its_files_belong(run, tmp_path):
    code, _, err = run("data", "show", "nmnist", "--data", str(tmp_path))
    assert code == 2
    assert "nmnist is absent; put NMNIST/" in err
    assert "did you mean cifar10?" in run("data", "show", "cifar")[2]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("SNNSEARCH_DATA", str(tmp_path / "kept"))
    return picture_folder(tmp_path / "pictures", {"train": 6, "val": 2, "test": 2})


def test_data_show_counts_own_files_and_says_what_was_changed(run, pictures, tmp_path):
    picture(pictures / "train" / "cat" / "wide.png", size=(40, 20), mode="L")
    code, out, err = run("data", "show", "--folder", "pictures")
    assert (code, out) == (2, "")
    assert "2 sizes (16x16: 30, 40x20: 1), such as train/cat/wide.png (40x20); write resolution" in err
    code, out, _ = run("data", "show", "--folder", "pictures", "--set", "resolution=16")
    rows = [line.split() for line in out.splitlines()]
    assert rows[1] == ["cat", "7", "2", "2"]
    assert rows[4] == ["total", "19", "6", "6"]
    assert f"data      folder: {pictures}; 25 + 6 images, 3x16x16, " in out
    assert "note      1 grey picture was turned into colour ones: train/cat/wide.png" in out
    kept = {row["name"]: row for row in json.loads(run("data", "list", "--json")[1])}["pictures"]
    assert kept["available"]
    assert str(tmp_path / "kept") in kept["detail"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "write either the NAME of a data set or one of --folder"),
        (["digits", "--folder", "x"], "write either the NAME"),
        (["--folder", "pictures", "--set", "siz=3"], "--set siz: allowed are name, resolution, layout, size"),
        (["--folder", "pictures", "--set", "size=big"], "--set size"),
        (["--npz", "pictures"], "is a folder; write folder:"),
        (["--folder", "nowhere"], "nowhere does not exist"),
    ],
)
def test_data_show_explains_wrong_options(run, pictures, words, said):
    code, _, err = run("data", "show", *words)
    assert code == 2
    assert said in err


def test_study_on_own_pictures_goes_on_and_says_what_changed(run, pictures, tmp_path, caplog):
    space = SPACE_OF_OWN_PICTURES + "data: {folder: pictures}\n"
    (tmp_path / "own.yaml").write_text(space)
    code, out, err = run("launch", "own.yaml", "--executor", "inline", "--device", "cpu", "--trials", "1")
    assert code == 0, out + err
    assert "data      pictures: 18 train, 6 validation, 6 test images, 3x16x16, 3 classes" in out
    picture(pictures / "train" / "cat" / "new.png", seed=99)
    code, out, err = run("resume", "own", "--executor", "inline", "--device", "cpu", "--trials", "1")
    assert code == 0, out + err
    assert "has changed since the launch: 1 file added (train/cat/new.png). The study keeps the images" in out
    shutil.rmtree(pictures)
    code, out, err = run("evaluate", "own", "--device", "cpu")
    assert code == 0, out + err
    code, _, err = run("launch", "own.yaml", "--executor", "inline", "--name", "again")
    assert code == 2
    assert "own.yaml:11: data.folder: " in err


def test_corrupt_data_file_is_refused_and_kept(run, tmp_path):
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]:
        (folder / name).write_bytes(b"no pickle")
    code, out, err = run("launch", str(SPACES / "squeezenet_prune.yaml"), "--data", str(tmp_path / "data"))
    assert code == 2
    assert "cifar-10-batches-py" in err
    assert "snnsearch data fetch cifar10 --data" in err
    assert "Traceback" not in out + err
    assert (folder / "data_batch_1").read_bytes() == b"no pickle"


def test_study_with_no_finished_trial_exits_1(run):
    code, out, _ = run("launch", SMOKE, "--executor", "inline", "--trials", "1", "--set", "train.lr=1e30", "--set",
                       "data.subset=200")  # fmt: skip
    assert code == 1
    assert "no candidate was trained to the end" in out


@pytest.mark.parametrize("command", ["launch", "resume", "status", "report", "show", "validate", "data"])
def test_every_command_has_help(command, run):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert "Usage: snnsearch" in out
