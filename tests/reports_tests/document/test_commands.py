"""Printed commands are quoted for a shell and repeat the options that they need."""

import shlex
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reports.document.commands import command, repeat_option, run_file
from reports.storage.names import as_folder_name, is_folder_name


def test_command_is_bare_without_options() -> None:
    assert command("resume", "smoke", "--trials", 10) == "snnsearch resume smoke --trials 10"
    assert run_file("smoke", "space.yaml") == Path("runs/smoke/space.yaml")


def test_command_repeats_the_options_that_it_has() -> None:
    repeat_option("--runs", Path("my runs"))
    repeat_option("--storage", "postgresql+psycopg://ann:secret@host/db")
    repeat_option("--data", "d")
    assert (
        command("show", "a", 3)
        == "snnsearch show a 3 --runs 'my runs' --storage 'postgresql+psycopg://ann:***@host/db'"
    )
    assert command("bench", "b.yaml") == "snnsearch bench b.yaml --runs 'my runs' --data d"
    assert run_file("a", "space.yaml") == Path("my runs/a/space.yaml")


@given(words=st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_words_come_back_from_a_shell(words: list[str]) -> None:
    assert shlex.split(command("show", *words)) == ["snnsearch", "show", *words]


@given(text=st.text())
def test_derived_names_are_names(text: str) -> None:
    name = as_folder_name(text)
    assert not name or is_folder_name(name)
    assert not is_folder_name(text) or as_folder_name(text) in (text, as_folder_name(as_folder_name(text)))
