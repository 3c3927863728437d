"""What `launch` fixes for the life of a study, and what a study keeps when its folder is renamed or copied."""

import shutil
from pathlib import Path

import pytest
from helpers.postgres import Server
from helpers.untrained import SPACES, options_for

from reports.storage.studies import find_study, load_study_folder
from search.runner.launch import launch, preview, resume
from search.runner.options import RunOptions
from search.space.loading.loader import load_space
from search.space.space import Space

QUICK = {"train.epochs": 1, "train.chance_patience": 0, "data.subset": 300, "study.sampler": "random"}


@pytest.fixture
def space() -> Space:
    return load_space(SPACES / "smoke.yaml", overrides=QUICK)


def inline(runs: Path, **changes: object) -> RunOptions:
    return options_for(runs, executor="inline", **changes)


def complete(name: str, options: RunOptions) -> int:
    study = find_study(name, options.runs, options.storage)
    return sum(trial.status == "complete" for trial in study.trials)


def test_trials_of_the_command_line_hold_until_others_are_given(space: Space, tmp_path: Path) -> None:
    launch(space, inline(tmp_path, trials=2))
    resume("smoke", inline(tmp_path))
    assert complete("smoke", inline(tmp_path)) == 2
    resume("smoke", inline(tmp_path, trials=1))
    assert complete("smoke", inline(tmp_path)) == 3
    stored = load_space(load_study_folder(tmp_path / "smoke").header.space_yaml)
    assert stored.study.budget.trials == 2
    assert stored.fingerprint == space.fingerprint


def test_time_of_the_command_line_is_kept_too(space: Space, tmp_path: Path) -> None:
    launch(space, inline(tmp_path, trials=1, seconds=90.5))
    budget = load_space(load_study_folder(tmp_path / "smoke").header.space_yaml).study.budget
    assert (budget.trials, budget.seconds) == (1, 90.5)
    assert "until     4 trials or 60 min;" in preview(space, inline(tmp_path, trials=4, seconds=3600))


@pytest.mark.parametrize("copied", [False, True], ids=["renamed", "copied"])
@pytest.mark.parametrize("name", ["first-attempt", "Première tentative"])
def test_study_goes_on_under_the_name_of_its_folder(name: str, copied: bool, space: Space, tmp_path: Path) -> None:
    launch(space, inline(tmp_path, trials=1))
    (shutil.copytree if copied else shutil.move)(tmp_path / "smoke", tmp_path / name)
    record = resume(name, inline(tmp_path, trials=1))
    assert record.header.name == name
    assert complete(name, inline(tmp_path)) == 2
    assert name in (tmp_path / name / "report.md").read_text()
    if copied:
        assert complete("smoke", inline(tmp_path)) == 1


def test_renamed_study_is_rebuilt_if_its_database_is_damaged(space: Space, tmp_path: Path) -> None:
    launch(space, inline(tmp_path, trials=1))
    (tmp_path / "smoke").rename(tmp_path / "other")
    (tmp_path / "other" / "study.db").write_bytes(b"damaged")
    resume("other", inline(tmp_path, trials=1))
    assert complete("other", inline(tmp_path)) == 2


def test_renamed_folder_of_a_study_in_postgresql(space: Space, tmp_path: Path, server: Server) -> None:
    options = inline(tmp_path, trials=1, storage=server.database())
    launch(space, options)
    (tmp_path / "smoke").rename(tmp_path / "other")
    resume("other", options)
    assert complete("other", options) == 2
