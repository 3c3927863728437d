"""The shipped spaces are in the package, and commands take them by name."""

import re
from pathlib import Path

import pytest

from search.errors import InputError
from search.space.loading.loader import load_space
from search.space.shipped import copy_file, find_file, shipped_files

SPACES = Path(__file__).parents[3] / "spaces"


def test_all_files_of_the_folder_are_shipped() -> None:
    shipped = {name: each.path.read_bytes() for name, each in shipped_files().items()}
    assert shipped == {path.stem: path.read_bytes() for path in SPACES.glob("*.yaml")}


def test_kind_and_first_sentence_are_shown() -> None:
    smoke, benchmark = (shipped_files()[name] for name in ("smoke", "benchmark"))
    assert (smoke.kind, benchmark.kind) == ("space", "benchmark")
    assert all(re.fullmatch(r"\S.{10,200}[^.]", each.about) for each in shipped_files().values())


@pytest.mark.parametrize("name", ["squeezenet_prune", "squeezenet-prune", "squeezenet_prune.yaml"])
def test_name_is_found_wherever_one_stands(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_space(find_file(Path(name))).study.name == "squeezenet-prune"


def test_a_file_of_ones_own_comes_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smoke.yaml").touch()
    (tmp_path / "benchmark").mkdir()
    assert find_file(Path("smoke.yaml")) == Path("smoke.yaml")
    assert find_file(Path("smoke")) == shipped_files()["smoke"].path
    assert find_file(Path("benchmark")) == shipped_files()["benchmark"].path


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            "spaces/smoke.yaml",
            "spaces/smoke.yaml: no such file. One of that name comes with snnsearch; write smoke for",
        ),
        ("smok", "smok: no such file, and none of that name is shipped: all_families, .*; did you mean smoke?"),
    ],
)
def test_missing_file_names_the_shipped_one(
    given: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=text.replace("?", r"\?")):
        find_file(Path(given))
    assert find_file(Path("mine.yaml")) == Path("mine.yaml")


def test_copy_does_not_overwrite(tmp_path: Path) -> None:
    copy = copy_file("smoke", tmp_path)
    assert copy == tmp_path / "smoke.yaml"
    assert copy.read_bytes() == (SPACES / "smoke.yaml").read_bytes()
    copy.write_text("mine")
    with pytest.raises(InputError, match="exists and is not overwritten"):
        copy_file("smoke.yaml", tmp_path)
    assert copy.read_text() == "mine"
    assert copy_file("smoke", tmp_path / "mine.yaml").read_bytes() == (SPACES / "smoke.yaml").read_bytes()
    with pytest.raises(InputError, match=r"cannot write .*: No such file"):
        copy_file("smoke", tmp_path / "none" / "mine.yaml")
    with pytest.raises(InputError, match=r"did you mean smoke\?"):
        copy_file("smok", tmp_path)
