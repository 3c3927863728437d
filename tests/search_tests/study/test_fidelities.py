"""A study with fidelities: trials are paused and promoted, and a kill at any point changes nothing."""

import random
import shlex
from collections import Counter
from pathlib import Path

import optuna
import pytest
from helpers.untrained import SPACES, header_for, trained

from reports.records.study import StudyRecord
from reports.storage.studies import read_study, sqlite_url
from reports.study.report import markdown
from reports.study.reproduce import train_again
from search.runner.progress import RunProgress
from search.space.loading.loader import load_space
from search.space.space import Space
from search.study import create as opening
from search.study import recovery
from search.study.study import Study
from search.trial.folder import Attempts, RunFolder
from search.trial.job import FromParent, Job

FIDELITIES = "[{data.subset: 400, train.epochs: 1, train.start: scratch}, {train.epochs: 2}]"
OVERRIDES = {
    "study.sampler": "ehvi",
    "study.fidelities": FIDELITIES,
    "study.budget": "{trials: 100}",
    "data.validation": 300,
    "train.start": "inherit",
    "candidates": "{}",
}


@pytest.fixture
def space() -> Space:
    return load_space(SPACES / "smoke.yaml", overrides=OVERRIDES)


def url(folder: Path) -> str:
    return sqlite_url(folder / "study.db")


def create(space: Space, folder: Path) -> Study:
    folder.mkdir(parents=True, exist_ok=True)
    header = header_for(space, folder.parent)
    RunFolder(folder).header.write_text(header.model_dump_json())
    return opening.create_study(header, space, folder, url(folder))


def reopen(space: Space, folder: Path) -> Study:
    opened = opening.load_study(read(folder).header, space, folder, url(folder))
    opened.recover()
    return opened


def read(folder: Path) -> StudyRecord:
    return read_study(url(folder), "smoke")


def train(opened: Study, job: Job) -> None:
    """Do what a worker and the driver do."""
    job.files.create()
    job.files.write_attempts(Attempts(starts=1, name=job.name, params=job.params))
    record = trained(job)
    job.files.write_result(record)
    opened.finish(record)


def drive(opened: Study, trainings: int) -> list[Job]:
    jobs = []
    for _ in range(trainings):
        job = opened.next(lambda record: None)
        assert job is not None
        train(opened, job)
        jobs.append(job)
    return jobs


def test_promoted_trial_continues_from_its_own_weights(space: Space, tmp_path: Path) -> None:
    jobs = drive(create(space, tmp_path / "s"), 30)
    last = next(job for job in jobs if job.fidelity is None)
    first, second = (job for job in jobs if job.number == last.number and job is not last)
    assert (first.fidelity, second.fidelity) == (1, 2)
    assert first.folder == tmp_path / "s" / "trials" / str(last.number) / "fidelity-1"
    assert last.folder == tmp_path / "s" / "trials" / str(last.number)
    assert (first.candidate.data.subset, first.candidate.train.epochs) == (400, 1)
    assert (second.candidate.data.subset, second.candidate.train.epochs) == (None, 2)
    assert last.candidate == space.candidate(last.params)
    assert last.below == (first.candidate, second.candidate)
    assert isinstance(second.initialization, FromParent)
    assert second.initialization.parent.weights == first.files.weights
    assert isinstance(last.initialization, FromParent)
    assert last.initialization.parent.weights == second.files.weights
    assert last.one_below == second.model_copy(update={"initialization": last.initialization})


def test_record_of_a_trial_counts_every_fidelity(space: Space, tmp_path: Path) -> None:
    drive(create(space, tmp_path / "s"), 30)
    trials = read(tmp_path / "s").trials
    complete = next(trial for trial in trials if trial.status == "complete")
    paused = next(trial for trial in trials if trial.status == "paused")
    assert [found.fidelity for found in complete.fidelities] == [1, 2]
    assert (complete.training_macs, complete.wall_s) == (2000, 3.0)
    assert (paused.training_macs, paused.wall_s) == (1000 * len(paused.fidelities), len(paused.fidelities))
    assert paused.values == {}
    assert paused.reason == f"trained at fidelity {len(paused.fidelities)} of 3, and not promoted so far"
    progress = RunProgress.of(trials)
    assert progress.trained == 30
    assert progress.training_macs == sum(trial.training_macs for trial in trials)
    assert len(progress.paused) == sum(trial.status == "paused" for trial in trials)


def test_front_holds_candidates_trained_in_full_and_the_report_says_so(space: Space, tmp_path: Path) -> None:
    drive(create(space, tmp_path / "s"), 30)
    study = read(tmp_path / "s")
    statuses = Counter(trial.status for trial in study.trials)
    text = markdown(study)
    every = statuses["complete"] + statuses["paused"]
    assert f"Of {every} candidates, the search trained {every} at fidelity 1, " in text
    assert f" at fidelity 2 and {statuses['complete']} in full. All figures of the front" in text
    assert "trained below the full fidelity only" in text
    assert "from their own weights at the fidelity below" not in text  # nothing was trained: no start is stored


@pytest.mark.parametrize("seed", range(3))
def test_interrupted_study_equals_an_uninterrupted_one(seed: int, space: Space, tmp_path: Path) -> None:
    drive(create(space, tmp_path / "whole"), 25)
    opened, rng = create(space, tmp_path / "cut"), random.Random(seed)
    left = 25
    while left:
        if rng.random() < 0.4:
            opened.next(lambda record: None)  # killed while it trained
            opened = reopen(space, tmp_path / "cut")
        drive(opened, 1)
        left -= 1
    assert read(tmp_path / "cut").trials == read(tmp_path / "whole").trials


def test_kill_at_any_write_changes_nothing(space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive(create(space, tmp_path / "whole"), 16)
    opened, write, rng = create(space, tmp_path / "cut"), optuna.Trial.set_user_attr, random.Random(0)

    def killed(*arguments: object) -> None:
        if rng.random() < 0.3:
            raise KeyboardInterrupt
        write(*arguments)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(optuna.Trial, "set_user_attr", killed)
    kills, trainings = 0, 0
    while trainings < 16:
        try:
            drive(opened, 1)
        except KeyboardInterrupt:
            kills += 1
            monkeypatch.setattr(optuna.Trial, "set_user_attr", write)
            opened = reopen(space, tmp_path / "cut")
            monkeypatch.setattr(optuna.Trial, "set_user_attr", killed)
        trainings = RunProgress.of(read(tmp_path / "cut").trials).trained
    assert kills > 5
    whole = {trial.number: trial for trial in read(tmp_path / "whole").trials}
    for trial in read(tmp_path / "cut").trials:
        if trial.status in ("paused", "complete"):
            assert trial.params == whole[trial.number].params
            assert trial.fidelities[: len(whole[trial.number].fidelities)] == whole[trial.number].fidelities


def test_trial_that_runs_is_not_promoted_again(space: Space, tmp_path: Path) -> None:
    """Several workers train at once."""
    opened = create(space, tmp_path / "s")
    running: list[Job] = []
    for _ in range(40):
        job = opened.next(lambda record: None)
        assert job is not None
        assert job.number not in {other.number for other in running}
        running.append(job)
        if len(running) == 3:
            train(opened, running.pop(0))
    assert any(trial.status == "complete" for trial in read(tmp_path / "s").trials)


def test_result_of_a_fidelity_that_was_not_stored_is_stored_by_the_next_driver(space: Space, tmp_path: Path) -> None:
    opened = create(space, tmp_path / "s")
    job = opened.next(lambda record: None)
    assert job is not None
    job.files.create()
    job.files.write_result(trained(job))
    again = opening.load_study(opened.header, space, tmp_path / "s", url(tmp_path / "s"))
    assert again.recover() == ([job.number], [])
    (trial,) = (trial for trial in read(tmp_path / "s").trials if trial.number == job.number)
    assert trial.status == "paused"
    assert again.recover() == ([], [])


def test_damaged_database_is_rebuilt_with_paused_and_promoted_trials(space: Space, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    opened = create(space, folder)
    jobs = drive(opened, 20)
    while (job := opened.next(lambda record: None)) is not None and job.fidelity == 1:
        train(opened, job)
        jobs.append(job)
    assert job is not None  # promoted, and killed while it trained
    job.files.create()
    job.files.write_attempts(Attempts(starts=1, name=job.name, params=job.params))
    before = read(folder)
    (folder / "study.db").write_bytes(b"damaged")
    recovery.repair(folder, lambda text: None)
    after = read(folder)
    ended = {"reason", "shared"}
    assert [t.model_dump(exclude=ended) for t in after.trials if t.status != "waiting"] == [
        t.model_dump(exclude=ended) for t in before.trials if t.status in ("paused", "complete", "running")
    ]
    again = reopen(space, folder).next(lambda record: None)
    assert again is not None
    assert (again.number, again.fidelity, again.params) == (job.number, job.fidelity, job.params)


def test_candidate_that_does_not_fit_into_what_is_left_is_not_begun(space: Space, tmp_path: Path) -> None:
    opened = create(space, tmp_path / "s")
    drive(opened, 8)
    assert opened.next(lambda record: None, 1.0) is None
    assert opened.next(lambda record: None, 1e15) is not None


def test_candidates_to_promote_are_trained_in_full(tmp_path: Path) -> None:
    named = {"candidates": "{baseline: {}, no-fire3: {network.fire3.keep: false}}", "study.promote": "[no-fire3]"}
    space = load_space(SPACES / "smoke.yaml", overrides=OVERRIDES | named)
    jobs = drive(create(space, tmp_path / "s"), 6)
    assert [job.name for job in jobs[:2]] == ["baseline", "no-fire3"]
    assert [job.fidelity for job in jobs if job.name == "no-fire3"] == [1, 2, None]


def test_command_of_a_report_trains_a_candidate_in_full_again(space: Space, tmp_path: Path) -> None:
    drive(create(space, tmp_path / "s"), 30)
    trial = next(trial for trial in read(tmp_path / "s").trials if trial.status == "complete")
    words = shlex.split(train_again(read(tmp_path / "s"), trial))
    overrides = dict(word.split("=", 1) for word in words if "=" in word)
    again = load_space(SPACES / "smoke.yaml", overrides=OVERRIDES | overrides)
    assert words[words.index("--trials") + 1] == "3"
    jobs = drive(create(again, tmp_path / "again"), 5)
    (full,) = (job for job in jobs if job.fidelity is None)
    assert full.candidate == space.candidate(trial.params)


def test_trial_that_fails_at_a_higher_fidelity_keeps_the_lower_ones(space: Space, tmp_path: Path) -> None:
    opened = create(space, tmp_path / "s")
    while (job := opened.next(lambda record: None)) is not None and job.fidelity == 1:
        train(opened, job)
    assert job is not None
    opened.lost(job.number, "its worker died 3 times")
    (trial,) = (trial for trial in read(tmp_path / "s").trials if trial.number == job.number)
    assert trial.status == "failed"
    assert [found.fidelity for found in trial.fidelities] == [1]
    assert (trial.training_macs, trial.wall_s) == (1000, 1.0)
