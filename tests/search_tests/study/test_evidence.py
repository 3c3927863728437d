"""Trials of an older study steer the sampler of a new one, and are never results of it."""

import shutil
from pathlib import Path

import optuna
import pytest
from helpers.untrained import SPACES, finish, header_for, trained

from reports.records.study import Leaf, StudyRecord
from reports.storage.studies import find_study, sqlite_url
from search.errors import InputError
from search.samplers.history import EVIDENCE, observations
from search.space.loading.loader import load_space
from search.space.space import Space
from search.study.create import create_study, load_study
from search.study.evidence import OTHER_NETWORK, Evidence, evidence_from, read_evidence
from search.study.recovery import repair
from search.study.study import Study
from search.study.warm_start import distance
from search.trial.folder import RunFolder
from search.trial.job import Job, Parent

TRIALS = 10


def space_of(name: str, **changes: object) -> Space:
    given = {"study.name": name, "study.sampler": "ehvi", "candidates": "{}"}
    return load_space(SPACES / "smoke.yaml", overrides=given | {path: str(value) for path, value in changes.items()})


def new_study(space: Space, runs: Path, evidence: Evidence | None = None) -> Study:
    folder = RunFolder(runs / space.study.name)
    folder.create()
    return create_study(header_for(space, runs), space, folder.path, sqlite_url(folder.database), None, evidence)


def search(study: Study, trials: int) -> list[dict[str, Leaf]]:
    """Train ``trials`` candidates, and return their dials."""
    proposed = []
    for _ in range(trials):
        job = study.next(lambda record: None)
        proposed.append(job.params)
        finish(job)
        study.finish(trained(job))
    return proposed


@pytest.fixture
def old(tmp_path: Path) -> StudyRecord:
    search(new_study(space_of("old"), tmp_path), TRIALS)
    return find_study("old", tmp_path)


def test_every_trial_fits_a_space_with_another_recipe(old: StudyRecord) -> None:
    evidence = evidence_from(old, space_of("new", **{"train.epochs": 9}))
    assert evidence.skipped == {}
    assert [trial.number for trial in evidence.trials] == list(range(TRIALS))
    for trial in evidence.trials:
        assert trial.params == old.trials[trial.number].params
        assert trial.values == tuple(old.trials[trial.number].values.values())


def test_trial_outside_the_new_space_is_skipped_and_counted(old: StudyRecord) -> None:
    wide = {trial.number for trial in old.trials if trial.params["network.stem.width"] == 16}
    assert 0 < len(wide) < TRIALS
    dial = evidence_from(old, space_of("new", **{"network.stem.width": "{choices: [8, 4]}"}))
    fixed = evidence_from(old, space_of("new", **{"network.stem.width": 8}))
    for found, reason in ((dial, "a value of network.stem.width that the space lacks"), (fixed, OTHER_NETWORK)):
        assert {trial.number for trial in found.trials} == set(range(TRIALS)) - wide
        assert found.skipped == {reason: len(wide)}
        assert f"{TRIALS - len(wide)} of {TRIALS} finished trials of old" in found.describe()
        assert f"{reason} ({len(wide)})" in found.describe()


def test_dial_that_was_fixed_in_the_old_space_has_its_value(old: StudyRecord) -> None:
    found = evidence_from(old, space_of("new", **{"train.lr": "{choices: [0.01, 0.02]}"}))
    assert [trial.params["train.lr"] for trial in found.trials] == [0.01] * TRIALS


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"study.sampler": "tpe"}, "only the sampler ehvi"),
        ({"network.fire2.squeeze": 5}, f"skipped: {OTHER_NETWORK} \\({TRIALS}\\)"),
        ({"data.name": "fashion-mnist"}, "0 of 10"),
    ],
    ids=["sampler", "network", "data"],
)
def test_study_that_says_nothing_is_refused(changes: dict[str, object], text: str, old: StudyRecord) -> None:
    with pytest.raises(InputError, match=text):
        evidence_from(old, space_of("new", **changes))


def test_evidence_changes_proposals_and_an_interruption_does_not(old: StudyRecord, tmp_path: Path) -> None:
    space = space_of("new", **{"train.epochs": 9})
    evidence = evidence_from(old, space)
    n_first = 4  # of the initial design and the start without a model
    alone = search(new_study(space, tmp_path / "alone"), n_first)
    steered = search(new_study(space, tmp_path / "steered", evidence), n_first)
    assert steered != alone
    folder = tmp_path / "interrupted" / "new"
    new_study(space, tmp_path / "interrupted", evidence)
    header = find_study("new", tmp_path / "interrupted").header
    again = []
    for _ in range(n_first):  # another process for each trial
        study = load_study(header, space, folder, sqlite_url(folder / "study.db"))
        study.recover()
        again += search(study, 1)
    assert again == steered


def test_evidence_is_no_result(old: StudyRecord, tmp_path: Path) -> None:
    space = space_of("new", **{"train.epochs": 9})
    search(new_study(space, tmp_path, evidence_from(old, space)), 3)
    record = find_study("new", tmp_path)
    assert sum(trial.status == "complete" for trial in record.trials) == 3
    same = space_of("same")  # every candidate of the old study may be trained again
    study = new_study(same, tmp_path, evidence_from(old, same))
    assert all(trial.status != "duplicate" for trial in find_study("same", tmp_path).trials)
    assert study.next(lambda record: None) is not None


def test_evidence_survives_a_damaged_database(old: StudyRecord, tmp_path: Path) -> None:
    space = space_of("new", **{"train.epochs": 9})
    evidence = evidence_from(old, space)
    search(new_study(space, tmp_path, evidence), 2)
    folder = RunFolder(tmp_path / "new")
    header = find_study("new", tmp_path).header
    folder.header.write_text(header.model_dump_json())
    url = sqlite_url(folder.database)
    before = optuna.load_study(study_name="new", storage=url).user_attrs[EVIDENCE]
    folder.database.write_bytes(b"damaged")
    repair(folder.path, lambda text: None)
    assert optuna.load_study(study_name="new", storage=url).user_attrs[EVIDENCE] == before
    assert read_evidence(folder) == evidence


def test_losses_are_shifted_by_what_both_studies_measured(old: StudyRecord) -> None:
    space = space_of("new", **{"train.epochs": 9})
    evidence = evidence_from(old, space)
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="new", directions=["maximize", "minimize", "minimize"])
    study.set_user_attr(EVIDENCE, [{"params": each.params, "values": list(each.values)} for each in evidence.trials])
    plain = observations(space, study)
    assert len(plain) == TRIALS
    assert all(each.evidence and not each.complete for each in plain)
    first = evidence.trials[0]
    accuracy, *others = first.values
    own = optuna.trial.create_trial(
        values=[accuracy / 2, *others],
        params=first.params,
        distributions={
            path: optuna.distributions.CategoricalDistribution([value]) for path, value in first.params.items()
        },
        user_attrs={"key": "own"},
    )
    study.add_trial(own)
    *shifted, measured = observations(space, optuna.load_study(storage=storage, study_name="new"))
    assert measured.complete
    assert len(shifted) == TRIALS - 1  # the study has measured the first one itself
    for before, after in zip(plain[1:], shifted, strict=True):
        assert after.losses[0] == pytest.approx(before.losses[0] + accuracy / 2)
        assert after.losses[1:] == pytest.approx(before.losses[1:])


INHERITING = {"train.start": "inherit"}


def with_weights(record: StudyRecord, runs: Path) -> Path:
    """Give each trial of the study a file of weights, and return the study's folder."""
    folder = runs / record.header.name
    for trial in record.trials:
        RunFolder(folder).trial(trial.number).weights.write_text(f"weights of {trial.number}")
    return folder


def parent_of(job: Job) -> Parent:
    (parent,) = job.parents
    return parent


def test_weights_of_an_older_study_are_inherited_until_nearer_ones_exist(old: StudyRecord, tmp_path: Path) -> None:
    space = space_of("new", **INHERITING)
    evidence = evidence_from(old, space, with_weights(old, tmp_path))
    assert f"the weights of {TRIALS} may be inherited" in evidence.describe()
    study = new_study(space, tmp_path, evidence)
    shutil.rmtree(tmp_path / "old")
    first = study.next(lambda record: None)
    assert first is not None
    parent = parent_of(first)
    nearest = min(distance(first.params, trial.params) for trial in old.trials)
    assert parent.study == "old"
    assert distance(first.params, old.trials[parent.number].params) == nearest
    assert parent.weights.read_text() == f"weights of {parent.number}"
    record = old.trials[parent.number]
    assert (parent.images, parent.macs) == (record.training_images, record.training_macs)
    finish(first)
    first.files.weights.write_text("own")
    study.finish(trained(first))
    for _ in range(6):
        job = study.next(lambda record: None)
        assert job is not None
        own, older = (
            min(distance(job.params, params) for params in of)
            for of in ([first.params], [trial.params for trial in old.trials])
        )
        assert (parent_of(job).study is None) == (own <= older)


def test_chosen_parent_of_an_older_study_survives_an_interruption(old: StudyRecord, tmp_path: Path) -> None:
    space = space_of("new", **INHERITING)
    job = new_study(space, tmp_path, evidence_from(old, space, with_weights(old, tmp_path))).next(lambda record: None)
    assert job is not None
    folder = tmp_path / "new"
    again = load_study(find_study("new", tmp_path).header, space, folder, sqlite_url(folder / "study.db"))
    again.recover()
    assert again.next(lambda record: None) == job


@pytest.mark.parametrize(
    ("changes", "kept"),
    [({}, True), ({"train.start": "scratch"}, False), ({"data.subset": 400}, False)],
    ids=["same images", "from scratch", "other images"],
)
def test_weights_are_kept_only_where_they_can_be_inherited(
    changes: dict[str, object], kept: bool, old: StudyRecord, tmp_path: Path
) -> None:
    space = space_of("new", **{**INHERITING, **changes})
    new_study(space, tmp_path, evidence_from(old, space, with_weights(old, tmp_path)))
    assert RunFolder(tmp_path / "new").older_weights(0).exists() == kept
