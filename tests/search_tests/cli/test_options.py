"""The options that commands share: declared once, collected into one value, repeated in the next command."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import pytest
import typer
from typer.testing import CliRunner

from search.cli.app import app
from search.cli.options import Sets, expand_home, next_command, repeat_if_typed, with_run_options
from search.errors import InputError
from search.runner.options import RunOptions

ROOT = Path(__file__).parents[3]


def called(*words: str, without: tuple[str, ...] = ()) -> tuple[RunOptions, str]:
    """The options and the next command of ``snnsearch train SPACE``."""
    seen: list[tuple[RunOptions, str]] = []
    command_line = typer.Typer()

    @command_line.callback()
    def group() -> None:
        return

    @command_line.command()
    @with_run_options(without=without)
    def train(
        context: typer.Context,
        space: Path,
        options: RunOptions,
        best: Annotated[int, typer.Option()] = 5,
        candidate: Annotated[str | None, typer.Option()] = None,
        sets: Sets = None,
        dry_run: Annotated[bool, typer.Option("--dry-run")] = False,
    ) -> None:
        seen.append((options, next_command(context, options)))

    result = CliRunner().invoke(command_line, ["train", *words], prog_name="snnsearch")
    assert result.exit_code == 0, result.output
    return seen[0]


def test_options_of_a_run_become_one_value() -> None:
    options, _ = called("a.yaml", "--time", "1m30s", "--trials", "3", "--workers", "2", "--device", "cpu")
    assert options == RunOptions(trials=3, seconds=90.0, workers=2)


def test_options_left_out_are_refused() -> None:
    with pytest.raises(AssertionError, match="No such option"):
        called("a.yaml", "--trials", "3", without=("trials",))


def test_next_command_repeats_what_decides_about_the_training() -> None:
    words = ["my space.yaml", "--candidate", "base", "--set", "train.lr=0.1", "--set", "data.subset=5"]
    _, command = called(*words, "--runs", "r", "--time", "5m", "--workers", "2", "--executor", "inline")
    assert command == (
        "snnsearch train 'my space.yaml' --candidate base --set train.lr=0.1 --set data.subset=5 --runs r --workers 2 "
        "--executor inline --device cpu"
    )


@pytest.mark.parametrize("command", [["-m", "search"], ["-c", "from search.cli import main; main()"]])
def test_version_is_printed_without_a_command(command: list[str]) -> None:
    done = subprocess.run([sys.executable, *command, "--version"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "0.1.0"


@pytest.mark.parametrize("command", ["", "launch", "data fetch"])
def test_h_is_help(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "-h"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_shell_completion_can_be_installed() -> None:
    assert "--install-completion" in CliRunner().invoke(app, ["--help"]).output


def paths(group: typer.Typer) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of all commands that take a path: command and name, and their declaration."""
    for command in group.registered_commands:
        for each in inspect.signature(command.callback, eval_str=True).parameters.values():
            kind, *told = get_args(each.annotation) or (None,)
            if Path in (kind, *get_args(kind)):
                yield f"{command.callback.__name__} {each.name}", told[0]
    for below in group.registered_groups:
        yield from paths(below.typer_instance)


def test_every_path_of_the_command_line_may_begin_with_the_home_folder() -> None:
    found = dict(paths(app))
    assert {"launch space", "export to", "status runs", "fetch data"} <= set(found)
    assert [name for name, told in found.items() if told.callback not in (expand_home, repeat_if_typed)] == []


@pytest.mark.parametrize("variable", [False, True], ids=["option", "environment"])
def test_tilde_is_the_home_folder(variable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    if variable:
        monkeypatch.setenv("SNNSEARCH_RUNS", "~/studies")
    options, _ = called("a.yaml", *([] if variable else ["--runs=~/studies"]))
    assert options.runs == Path("/home/ann/studies")


def test_tilde_without_a_home_folder_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "expanduser", lambda path: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(InputError, match=r"~/x: the home folder behind ~ is unknown; write the whole path"):
        expand_home(Path("~/x"))


def test_an_unknown_executor_is_refused_with_the_ones_there_are() -> None:
    result = CliRunner().invoke(app, ["launch", "a.yaml", "--executor", "inlne"])
    assert "allowed are ray, inline; did you mean inline?" in str(result.exception)
