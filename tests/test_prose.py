"""Prose avoids the phrases of tests/prose/phrases.txt; the number of findings in a folder only goes down."""

import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from prose import check

CEILINGS = tomllib.loads(check.PHRASES.with_name("ceilings.toml").read_text())


ELSEWHERE = "every other folder"


@pytest.fixture(scope="module")
def found() -> dict[str, list[check.Finding]]:
    """The findings by folder of the ceilings."""
    by_folder = defaultdict(list)
    for file in check.files():
        name = file.relative_to(check.ROOT).as_posix()
        folder = next((folder for folder in CEILINGS if name.startswith(f"{folder}/")), ELSEWHERE)
        by_folder[folder] += check.findings(file)
    return by_folder


@pytest.mark.parametrize("folder", [*CEILINGS, ELSEWHERE])
def test_folder_has_no_more_phrases_to_avoid(folder: str, found: dict[str, list[check.Finding]]) -> None:
    listed = "\n".join(map(str, found[folder]))
    assert len(found[folder]) <= CEILINGS.get(folder, 0), f"write plain English:\n{listed}"


@pytest.mark.parametrize(
    ("name", "text", "line", "phrase"),
    [
        ("a.md", "One line.\n\nWhat of it is left\nmay go.", 3, "What of it is"),
        ("a.md", "It is fine.\nIt goes\non for ever.", 2, "goes on"),
        ("a.py", "x = 1\n# the price is\n# told to nobody\n", 2, "is told"),
        ("a.py", '"""Read a file."""\n\ndef f():\n    """Of a folder: its size."""\n', 4, "Of"),
        ("a.py", 'raise ValueError("the key is read anew")\n', 1, "anew"),
        ("a.yaml", "key: 1 # that of the other one\n", 1, "that of the"),
    ],
)
def test_finding_has_line_and_phrase(name: str, text: str, line: int, phrase: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    (finding,) = check.findings(tmp_path / name)
    assert (finding.line, finding.phrase) == (line, phrase)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.md", "Run `goes on` and\n```\nis told\n```\n"), ("a.py", 'KEY = "anew"\n'), ("a.yaml", "key: anew\n")],
)
def test_code_and_keys_are_not_prose(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert check.findings(tmp_path / name) == []


def test_command_lists_findings_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([str(check.ROOT / "LICENSE")]) == 0
    assert sys.modules["prose.check"] is check
    assert capsys.readouterr().out == "\n"
