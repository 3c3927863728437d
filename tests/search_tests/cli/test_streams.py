"""Standard output that goes away, is full or cannot hold a character: a study is finished all the same."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.killing import start_until_trial
from helpers.untrained import SPACES

import search
from reports.analysis.front import status_summary
from reports.storage.studies import load_study_folder
from search.cli import app, console
from search.cli.console import OutputError, Terminal

SETS = [
    "--set",
    "data.subset=60",
    "--set",
    "data.validation=20",
    "--set",
    "train.epochs=1",
    "--set",
    "train.chance_patience=0",
]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(search.__file__).parents[1])}
MAIN = [sys.executable, "-m", "search"]


class Failing(io.StringIO):
    """A stream that takes so many lines."""

    def __init__(self, error: Exception, lines: int = 0) -> None:
        super().__init__()
        self._error = error
        self._left = lines

    def write(self, text: str) -> int:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return super().write(text)


ERRORS = [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device"), ValueError("closed file")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_console_that_is_outlived_says_once_that_it_is_lost(error, monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(console, "err", Terminal(file=said, width=200))
    stream = Failing(error, lines=1)
    terminal = Terminal(file=stream, width=80)
    terminal.outlived = True
    for number in range(3):
        terminal.print(f"line {number}")
    assert stream.getvalue() == "line 0\n"
    assert said.getvalue() == f"the output can no longer be written ({error}). The run continues: snnsearch status\n"


def test_command_ends_quietly_when_its_reader_has_enough():
    with pytest.raises(SystemExit) as ended:
        Terminal(file=Failing(BrokenPipeError(32, "Broken pipe"))).print("line")
    assert ended.value.code == 1


def test_command_says_that_the_disk_is_full():
    with pytest.raises(OutputError, match=r"cannot write the output: .*No space left on device"):
        Terminal(file=Failing(OSError(28, "No space left on device"))).print("line")


def test_lost_standard_error_is_nobody_s_business():
    Terminal(file=Failing(OSError(5, "Input/output error")), stderr=True).print("line")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("words", [["validate", str(SPACES / "smoke.yaml")], ["launch", "--help"], ["data", "list"]])
def test_output_fits_any_encoding(encoding, words):
    done = subprocess.run(
        [*MAIN, *words], env={**ENVIRONMENT, "PYTHONIOENCODING": encoding}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(encoding)
    assert not done.stderr


def test_cells_of_modules_differ_in_ascii():
    command = "from search.cli.console import print_in_any_encoding; print_in_any_encoding(); print('■ ▪ · … é')"
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, check=True)
    assert done.stdout == b"# + . ... ?\n"


def words(runs: Path, trials: int) -> list[str]:
    place = ["--runs", str(runs), "--executor", "inline", "--trials", str(trials)]
    return ["launch", str(SPACES / "smoke.yaml"), *place, *SETS]


def test_study_is_finished_after_the_reader_of_its_output_has_ended(tmp_path):
    driver = subprocess.Popen(
        [*MAIN, *words(tmp_path, 3)], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    driver.stdout.readline()
    driver.stdout.close()
    said = driver.stderr.read()
    assert driver.wait() == 0
    assert "the output can no longer be written" in said
    assert "Traceback" not in said
    assert status_summary(load_study_folder(tmp_path / "smoke")).counts["complete"] == 3
    assert (tmp_path / "smoke" / "report.html").exists()


SLOW_SIGNALS = [pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGUSR1, signal.SIGTERM)]


@pytest.mark.parametrize("number", [signal.SIGHUP, *SLOW_SIGNALS])
def test_study_that_is_told_to_end_writes_its_report_and_says_so(number, tmp_path):
    driver = start_until_trial(words(tmp_path, 200), tmp_path / "smoke" / "trials")
    time.sleep(0.5)
    driver.send_signal(number)
    said = driver.communicate()[0]
    assert f"stopped by {number.name}; the results are stored" in said
    assert (tmp_path / "smoke" / "report.html").exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_command_that_is_hung_up_before_it_runs_says_a_word(number):
    program = (
        "import os, typer\nimport search.cli.app as m\nm.app = typer.Typer()\n"
        f"m.app.command()(lambda: os.kill(os.getpid(), {int(number)}))\nm.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode > 0
    assert done.stderr == f"snnsearch: stopped by {number.name}\n"


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENAMETOOLONG, errno.EROFS, errno.ENOSPC])
def test_file_that_cannot_be_used_is_one_message_without_advice_to_delete(number, monkeypatch, capsys):
    def fail(**_):
        raise OSError(number, os.strerror(number), "/runs/mine")

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"snnsearch: cannot use /runs/mine: {os.strerror(number)}.")
    assert "delete" not in said
    assert "remove" not in said


UNMAPPED = "libtorch.so: failed to map segment from shared object"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "memory ran out (MemoryError)"),
        (ImportError(UNMAPPED), f"memory ran out ({UNMAPPED})"),
        (OSError(UNMAPPED), f"memory ran out ({UNMAPPED})"),
        (ImportError(f"{UNMAPPED}: Operation not permitted"), "a library of this Python cannot be loaded"),
    ],
)
def test_library_that_cannot_be_loaded_is_one_message(error, says, monkeypatch, capsys):
    def fail(**_):
        raise error

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"snnsearch: {says}")


def test_current_folder_that_was_deleted_is_one_message(tmp_path):
    """torch's libraries end the process without a word of ours there."""
    (tmp_path / "gone").mkdir()
    script = 'cd gone && rmdir ../gone && exec "$@"'
    command = ["bash", "-c", script, "-", *MAIN, "resume", "mine"]
    done = subprocess.run(command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("snnsearch: the current folder was deleted. Change to another one")
    assert len(done.stderr.splitlines()) == 1
