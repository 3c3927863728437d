"""A job reaches a worker as it was made, and its initialization cannot contradict itself."""

import pickle
from pathlib import Path

import pytest
from helpers.small_trials import job_for
from pydantic import ValidationError

from search.trial.initialization import origin
from search.trial.job import (
    AverageOf,
    FromCnnTwin,
    FromParent,
    FromScratch,
    Initialization,
    Job,
    Parent,
    TwinFromScratch,
    initialization_without_parent,
)


def parent(number: int) -> Parent:
    candidate = job_for(Path("runs/smoke")).candidate
    return Parent(number=number, candidate=candidate, weights=Path(f"runs/smoke/trials/{number}/weights.pt"))


INITIALIZATIONS = (
    FromScratch(),
    FromParent(parent=parent(3), teacher=parent(3).candidate),
    FromCnnTwin(),
    AverageOf(parents=(parent(1), parent(2))),
    TwinFromScratch(),
)


def job(initialization: Initialization, start: str | None = None) -> Job:
    """Return a job whose recipe has ``start``, or a value of it that fits the initialization."""
    start = start or ("cnn" if initialization == FromCnnTwin() else "scratch")
    made = job_for(Path("runs/smoke"), **{"train.start": start})
    return Job(**(dict(made) | {"initialization": initialization}))


@pytest.mark.parametrize("initialization", INITIALIZATIONS, ids=lambda each: each.kind)
def test_job_is_the_same_after_json_and_pickle(initialization: Initialization) -> None:
    made = job(initialization)
    assert Job.model_validate_json(made.model_dump_json()) == made
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize(("initialization", "start"), [(FromScratch(), "cnn"), (FromCnnTwin(), "inherit")])
def test_initialization_that_contradicts_the_recipe_is_refused(initialization: Initialization, start: str) -> None:
    with pytest.raises(ValidationError, match=f"contradicts train.start: {start}"):
        job(initialization, start)


def test_average_of_one_network_is_refused() -> None:
    with pytest.raises(ValidationError):
        AverageOf(parents=(parent(1),))


def test_parents_are_replaced_where_the_weights_come_from() -> None:
    numbers = [[each.number for each in job(each).parents] for each in INITIALIZATIONS]
    assert numbers == [[], [3], [], [1, 2], []]
    for initialization in INITIALIZATIONS:
        made = job(initialization)
        counted = [each.model_copy(update={"images": 7}) for each in made.parents]
        again = made.with_parents(counted)
        assert list(again.parents) == counted
        assert again.with_parents(made.parents) == made


def test_recipe_chooses_the_initialization_of_a_trial_without_a_parent() -> None:
    candidates = {
        start: job_for(Path("x"), **{"train.start": start}).candidate for start in ("scratch", "cnn", "inherit")
    }
    found = {start: initialization_without_parent(candidate).kind for start, candidate in candidates.items()}
    assert found == {"scratch": "scratch", "cnn": "cnn_twin", "inherit": "scratch"}


def test_text_by_which_checkpoints_know_their_first_weights_does_not_change() -> None:
    """Old checkpoints hold it: with another text they would not be resumed."""
    described = f"(3, {parent(3).candidate.fingerprint!r})"
    of_parent, twin = INITIALIZATIONS[1], TwinFromScratch()
    assert origin(job(FromScratch(), "scratch")) == ""
    assert origin(job(FromScratch(), "inherit")) == "inherit None"
    assert origin(job(FromCnnTwin(), "cnn")) == "cnn None"
    for start in ("scratch", "inherit", "cnn"):
        assert origin(job(of_parent, start)) == f"{start} {described}"
        assert origin(job(twin, start)) == ""
