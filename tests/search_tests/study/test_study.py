"""A study loses nothing, trains nothing twice, and proposes the same candidates after an interruption."""

import io
import random
import re
import shutil
from itertools import pairwise
from pathlib import Path

import optuna
import pytest
from helpers.untrained import SPACES, header_for, trained

from reports.analysis.front import finished
from reports.errors import LedgerError
from reports.records.study import TrialRecord
from reports.storage.results import read_result, write_result
from reports.storage.studies import read_study, sqlite_url
from reports.study.report import markdown
from search.cli import tables
from search.cli.console import Terminal
from search.cli.progress import StudyView
from search.errors import InputError
from search.registries import SAMPLERS
from search.space.loading.loader import load_space
from search.storage.url import StorageError
from search.study import create as opening
from search.study.study import Study
from search.trial.job import outline

optuna.logging.set_verbosity(optuna.logging.ERROR)


def create(space, folder: Path, **changes) -> Study:
    folder.mkdir(parents=True, exist_ok=True)
    header = header_for(space, folder.parent)
    return opening.create_study(header, space, folder, sqlite_url(folder / "study.db"))


def reopen(space, folder: Path) -> Study:
    url = sqlite_url(folder / "study.db")
    opened = opening.load_study(read_study(url, space.study.name).header, space, folder, url)
    opened.recover()
    return opened


def read(space, folder: Path):
    return read_study(sqlite_url(folder / "study.db"), space.study.name)


def ignore(record):
    return None


def drive(opened: Study, trials: int) -> None:
    for _ in range(trials):
        job = opened.next(ignore)
        assert job is not None
        opened.finish(trained(job))


def test_named_candidates_run_first_in_the_order_of_the_file(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    names = []
    for _ in smoke.candidates:
        job = opened.next(ignore)
        names.append(job.name)
        opened.finish(trained(job))
    assert names == list(smoke.candidates)
    assert opened.next(ignore).name is None


def test_refused_candidates_share_the_kind_of_their_reasons(tmp_path):
    space = load_space(SPACES / "smoke.yaml", overrides={"study.constraints": "{params: {max: 700}}"})
    refused: list[TrialRecord] = []
    create(space, tmp_path / "s").next(refused.append)
    found = [record for record in refused if record.status == "refused"]
    assert len({record.reason for record in found[:2]}) == 2
    assert {record.failure_kind for record in found} == {"params is above the limit of 700"}


def test_finished_record_comes_back_as_it_was(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    job = opened.next(ignore)
    told = opened.finish(trained(job))
    assert read(smoke, tmp_path / "s").trials[0] == told
    assert set(told.values) == {"accuracy", "energy_mj", "params"}
    assert told.values["energy_mj"] == told.metrics.energy_mj["horowitz45/exact"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_interrupted_study_asks_what_an_uninterrupted_one_asks(sampler, tmp_path):
    space = load_space(SPACES / "smoke.yaml", overrides={"study.sampler": sampler})
    drive(create(space, tmp_path / "whole"), 13)
    opened = create(space, tmp_path / "cut")
    rng = random.Random(1)
    while sum(t.status == "complete" for t in read(space, tmp_path / "cut").trials) < 13:
        if rng.random() < 0.4:
            opened.next(ignore)  # killed while it trained: no result
            opened = reopen(space, tmp_path / "cut")
        drive(opened, 1)
    whole, cut = read(space, tmp_path / "whole").trials, read(space, tmp_path / "cut").trials
    assert cut == whole
    assert [t.number for t in cut] == list(range(len(cut)))


def test_trial_interrupted_between_two_dials_gets_the_same_values(tmp_path, monkeypatch):
    space = load_space(SPACES / "smoke.yaml", overrides={"study.sampler": "gp"})
    opened = create(space, tmp_path / "s")
    drive(opened, 10)
    shutil.copytree(tmp_path / "s", tmp_path / "cut")
    whole = opened.next(ignore)
    cut, suggest, asked = reopen(space, tmp_path / "cut"), optuna.Trial._suggest, []

    def cut_short(trial, name, distribution):
        asked.append(name)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return suggest(trial, name, distribution)

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Trial, "_suggest", cut_short)
        with pytest.raises(KeyboardInterrupt):
            cut.next(ignore)
    assert reopen(space, tmp_path / "cut").next(ignore).params == whole.params


def test_candidate_is_never_trained_twice(tmp_path):
    space = load_space(SPACES / "smoke.yaml", overrides={"study.sampler": "random", "study.constraints": "{}"})
    opened, keys = create(space, tmp_path / "s"), []
    while (job := opened.next(ignore)) is not None:
        keys.append(job.candidate.fingerprint)
        opened.finish(trained(job))
    assert len(keys) == len(set(keys)) == space.size
    duplicates = [t for t in read(space, tmp_path / "s").trials if t.status == "duplicate"]
    assert duplicates
    assert all(t.duplicate_of < t.number for t in duplicates)


def test_constraint_is_checked_before_training(tmp_path):
    space = load_space(SPACES / "smoke.yaml", overrides={"study.constraints": "{params: {max: 3000}}"})
    opened, refused = create(space, tmp_path / "s"), []
    for _ in range(12):
        job = opened.next(refused.append)
        assert job.static["params"] <= 3000
        opened.finish(trained(job))
    assert {t.name for t in refused} >= {"baseline", "no-fire3"}
    assert all("params" in t.reason and t.static["params"] > 3000 for t in refused if t.status == "refused")


def test_refused_proposal_is_followed_by_a_valid_one(tmp_path):
    space = load_space(
        SPACES / "smoke.yaml", overrides={"study.constraints": "{params: {max: 1200}}", "candidates": "{}"}
    )
    opened, refused = create(space, tmp_path / "s"), []
    for _ in range(8):
        opened.finish(trained(opened.next(refused.append)))
    numbers = [t.number for t in refused]
    assert numbers  # the space has many candidates above the bound
    assert not any(a + 1 == b for a, b in pairwise(numbers))


def test_next_driver_stores_a_result_that_was_not_stored(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    job = opened.next(ignore)
    job.folder.mkdir(parents=True)
    write_result(job.folder, trained(job))
    again = opening.load_study(opened.header, smoke, tmp_path / "s", sqlite_url(tmp_path / "s" / "study.db"))
    assert again.recover() == ([job.number], [])
    assert read(smoke, tmp_path / "s").trials[job.number].status == "complete"


def test_interrupted_trial_keeps_its_number_and_parameters(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    drive(opened, 4)
    job = opened.next(ignore)
    again = opening.load_study(opened.header, smoke, tmp_path / "s", sqlite_url(tmp_path / "s" / "study.db"))
    assert again.recover() == ([], [job.number])
    assert again.next(ignore) == job


def test_truncated_result_counts_as_missing(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    job = opened.next(ignore)
    job.folder.mkdir(parents=True)
    write_result(job.folder, trained(job))
    path = job.folder / "result.json"
    path.write_bytes(path.read_bytes()[:200])
    assert reopen(smoke, tmp_path / "s").next(ignore) == job


def test_lost_worker_is_a_failed_trial_with_its_reason(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    job = opened.next(ignore)
    opened.lost(job.number, "its worker died 3 times", "Traceback …")
    record = read(smoke, tmp_path / "s").trials[job.number]
    assert (record.status, record.reason, record.traceback) == ("failed", "its worker died 3 times", "Traceback …")
    assert record.failure_kind == "worker died"


@pytest.mark.parametrize(
    ("status", "state"),
    [("stopped", "PRUNED"), ("failed", "FAIL"), ("refused", "PRUNED"), ("duplicate", "FAIL")],
)
def test_trial_without_figures_has_no_values_for_a_sampler(status, state, smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    opened.finish(outline(opened.next(ignore), status=status, reason="because"))
    told = optuna.load_study(study_name="smoke", storage=sqlite_url(tmp_path / "s" / "study.db")).trials[0]
    assert (told.state.name, told.values) == (state, None)


def test_interrupted_launch_can_be_repeated(smoke, tmp_path, monkeypatch):
    url = sqlite_url(tmp_path / "s" / "study.db")
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            create(smoke, tmp_path / "s")
    with pytest.raises(LedgerError, match="the launch was cut short"):
        read_study(url, "smoke")
    opened = create(smoke, tmp_path / "s")
    drive(opened, 3)
    assert [t.name for t in read(smoke, tmp_path / "s").trials] == list(smoke.candidates)


def test_interrupted_launch_leaves_nothing_to_another_space(smoke, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            create(smoke, tmp_path / "s")
    two = "objectives: {energy_mj: minimize, accuracy: maximize}"
    text = re.sub(r"objectives: .*", two, (SPACES / "smoke.yaml").read_text())
    other = load_space(text, overrides={"candidates": "{}"})
    drive(create(other, tmp_path / "s"), 1)
    stored = optuna.load_study(study_name="smoke", storage=sqlite_url(tmp_path / "s" / "study.db"))
    assert [direction.name for direction in stored.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert [t.name for t in read(other, tmp_path / "s").trials] == [None]


def test_study_that_snnsearch_did_not_launch_is_left_alone(smoke, tmp_path):
    (tmp_path / "s").mkdir()
    theirs = optuna.create_study(study_name="smoke", storage=sqlite_url(tmp_path / "s" / "study.db"))
    theirs.tell(theirs.ask(), 1.0)
    with pytest.raises(InputError, match=r"did not launch.*--name"):
        create(smoke, tmp_path / "s")
    assert len(theirs.trials) == 1


@pytest.mark.parametrize(("change", "said"), [({}, "this same space"), ({"train.epochs": 9}, "another space")])
def test_existing_name_is_refused_and_nothing_is_lost(change, said, smoke, tmp_path):
    drive(create(smoke, tmp_path / "s"), 2)
    before = read(smoke, tmp_path / "s")
    with pytest.raises(InputError, match=f"{said}.*2 finished.*--name"):
        create(load_space(SPACES / "smoke.yaml", overrides=change), tmp_path / "s")
    assert read(smoke, tmp_path / "s") == before


def test_trials_of_a_study_without_database_are_not_reused(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    job = opened.next(ignore)
    job.folder.mkdir(parents=True)
    write_result(job.folder, trained(job))
    (tmp_path / "s" / "study.db").unlink()
    with pytest.raises(InputError, match="whose database is missing"):
        create(smoke, tmp_path / "s")
    assert (job.folder / "result.json").exists()


def test_next_driver_tries_a_failed_candidate_once_more(smoke, tmp_path):
    opened, folder = create(smoke, tmp_path / "s"), tmp_path / "s"
    drive(opened, 2)
    opened.finish(outline(opened.next(ignore), status="failed", reason="OSError: No space left on device"))
    opened = reopen(smoke, folder)
    job = opened.next(ignore)
    assert job.name == "smallest"
    opened.finish(outline(job, status="failed", reason="ZeroDivisionError: again"))
    opened = reopen(smoke, folder)
    assert opened.next(ignore).candidate.fingerprint != job.candidate.fingerprint
    assert [t.status for t in read(smoke, folder).trials].count("failed") == 2


@pytest.mark.parametrize("asked", [False, True], ids=["asked anew", "was running"])
def test_result_of_another_candidate_is_set_aside(smoke, tmp_path, asked):
    opened = create(smoke, tmp_path / "s")
    drive(opened, 3)
    shutil.copy(tmp_path / "s" / "study.db", tmp_path / "backup.db")
    lost = opened.next(ignore)
    lost.folder.mkdir(parents=True)
    other = {**lost.params, "network.stem.width": 24 - lost.params["network.stem.width"]}  # 8 and 16 are its choices
    write_result(lost.folder, trained(lost).model_copy(update={"params": other}))
    if not asked:
        shutil.copy(tmp_path / "backup.db", tmp_path / "s" / "study.db")
    again = reopen(smoke, tmp_path / "s")
    job = again.next(ignore)
    assert (job.number, job.params) == (lost.number, lost.params)
    assert read_result(job.folder) is None
    assert len(list((tmp_path / "s" / "trials").glob(f"{job.number}-lost-*/result.json"))) == 1


def test_deleted_study_ends_the_run_with_one_message(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    job = opened.next(ignore)
    optuna.delete_study(study_name="smoke", storage=sqlite_url(tmp_path / "s" / "study.db"))
    for attempt in (lambda: opened.finish(trained(job)), lambda: opened.next(ignore)):
        with pytest.raises(StorageError, match="somebody has deleted the study"):
            attempt()


def test_trial_with_doubtful_figures_is_kept_and_never_leads(smoke, tmp_path):
    """Its energy would dominate all others. Samplers, parents and the front leave it out; it is not trained again."""
    opened = create(smoke, tmp_path / "s")
    drive(opened, 1)
    job = opened.next(ignore)
    told = opened.finish(trained(job).model_copy(update={"doubts": ("spikes of stem: -3, not between 0 and 10",)}))
    record = read(smoke, tmp_path / "s")
    assert record.trials[1] == told
    assert told.status == "complete"
    assert told.values
    assert [trial.number for trial in finished(record)] == [0]
    states = [trial.state for trial in opened._study.get_trials()[:2]]
    assert states == [optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL]
    again = reopen(smoke, tmp_path / "s")
    assert job.candidate.fingerprint in again._first_trials
    assert again.next(ignore).number == 2


def test_doubts_are_said_where_a_trial_is_shown(smoke, tmp_path):
    opened = create(smoke, tmp_path / "s")
    doubtful = opened.finish(trained(opened.next(ignore)).model_copy(update={"doubts": ("spikes of stem: -3",)}))
    record, said = read(smoke, tmp_path / "s"), "its figures contradict each other: spikes of stem: -3"
    shown = io.StringIO()
    console = Terminal(file=shown, width=200)
    console.print(tables.trial_view(record, doubtful))
    console.print(StudyView(record.header).line(doubtful))
    assert shown.getvalue().count(said) == 2
    console.print(tables.ending(record, tmp_path))
    assert "the figures of trials 0 contradict each other" in shown.getvalue()
    assert said in markdown(record)
