"""A leaf that holds a list can be a dial; outside the space its values are texts."""

import random
from pathlib import Path

import optuna
import pytest

from search.space.loading.loader import load_space
from search.space.space import ParamsError, Space

AFTER = "network.pool.after"
TEXT = """\
study: {name: lists, budget: {trials: 2}, objectives: {accuracy: maximize}}
network:
  family: squeezenet
  pool: {after: {choices: [[stem, fire4], [stem, fire4, fire8], []]}}
data: {name: digits}
candidates:
  early: {network.pool.after: [stem, fire4]}
"""
CHOICES = ("[stem, fire4]", "[stem, fire4, fire8]", "[]")


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(TEXT)


def test_network_has_the_chosen_list(space: Space) -> None:
    (dial,) = space.dials
    assert (dial.values.ends, dial.default) == (CHOICES, "[stem, fire4, fire8]")  # the default of the geometry
    after = [space.candidate({AFTER: text}).network.pool.after for text in CHOICES]  # type: ignore[attr-defined]
    assert after == [("stem", "fire4"), ("stem", "fire4", "fire8"), ()]
    assert space.candidates["early"] == {AFTER: "[stem, fire4]"}
    assert {str(space.sample(random.Random(seed))[AFTER]) for seed in range(30)} == set(CHOICES)


def test_list_and_its_text_are_the_same_choice(space: Space) -> None:
    assert space.active({AFTER: ["stem", "fire4"]}) == space.active({AFTER: "[stem, fire4]"})
    with pytest.raises(ParamsError, match=r"given \[stem\]; allowed are \[stem, fire4\], \[stem, fire4, fire8\], \[\]"):
        space.active({AFTER: ["stem"]})


def test_stored_space_and_stored_trial_load_again(space: Space, tmp_path: Path) -> None:
    again = load_space(space.dump())
    assert again == space
    assert "early: {network.pool.after: [stem, fire4]}" in space.dump()

    storage = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=storage, study_name="lists")
    study.enqueue_trial({AFTER: "[]"})
    for _ in range(4):
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, 0.0)
    stored = optuna.load_study(storage=storage, study_name="lists").trials
    assert stored[0].params == {AFTER: "[]"}
    assert all(again.active(trial.params) == trial.params for trial in stored)


def test_set_makes_a_list_a_dial() -> None:
    fixed = load_space(TEXT.replace("{choices: [[stem, fire4], [stem, fire4, fire8], []]}", "[stem, fire4]"))
    dial = load_space(TEXT, overrides={AFTER: "{choices: [[stem, fire4], [stem, fire4, fire8], []]}"})
    assert (len(fixed.dials), len(dial.dials)) == (0, 1)
