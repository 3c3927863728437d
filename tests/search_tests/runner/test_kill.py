"""kill -9 of a real driver at random moments, then `resume`: the study ends as if nothing had happened."""

import random
from pathlib import Path

import pytest
from helpers.killing import finish, kill_after
from helpers.untrained import SPACES

from benchmarks.search.outcomes import figures
from reports.analysis.front import front_trials
from reports.records.study import StudyRecord, TrialRecord
from reports.storage.studies import LedgerError, load_study_folder

SETS = ["--set", "data.subset=600", "--set", "train.epochs=2"]


def launch_words(runs: Path, executor: str, trials: int) -> list[str]:
    budget = ["--set", f"study.budget={{trials: {trials}}}"]
    words = ["launch", str(SPACES / "smoke.yaml"), "--runs", str(runs), "--executor", executor, "--workers", "1"]
    return words + SETS + budget


def resume_words(runs: Path, executor: str) -> list[str]:
    return ["resume", "smoke", "--runs", str(runs), "--executor", executor, "--workers", "1"]


def seen(folder: Path) -> StudyRecord | None:
    try:
        return load_study_folder(folder)
    except LedgerError:
        return None  # killed before the study was made


def uninterrupted(runs: Path, executor: str, trials: int) -> StudyRecord:
    finish(launch_words(runs, executor, trials))
    return load_study_folder(runs / "smoke")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """Run six trials inline, without the influence of an executor."""
    return uninterrupted(tmp_path_factory.mktemp("whole"), "inline", 6)


def check_killed_study(
    tmp_path: Path, executor: str, whole: StudyRecord, trials: int, kills: int, longest: float
) -> None:
    def words(runs: Path) -> list[str]:
        return resume_words(runs, executor) if seen(runs / "smoke") else launch_words(runs, executor, trials)

    rng = random.Random(kills)
    cut = tmp_path / "cut" / "smoke"
    finished: dict[int, TrialRecord] = {}
    for _ in range(kills):
        kill_after(words(tmp_path / "cut"), cut / "trials", rng.uniform(0, longest))
        if (study := seen(cut)) is not None:
            now = {t.number: t for t in study.trials if t.status == "complete"}
            assert {n: now.get(n) for n in finished} == finished  # not lost, not run again
            finished = now
    finish(words(tmp_path / "cut"))
    study = load_study_folder(cut)
    assert {n: study.trials[n] for n in finished} == finished
    assert [t.number for t in study.trials] == list(range(len(study.trials)))
    assert not [t for t in study.trials if t.status in ("running", "waiting")]
    assert [figures(t) for t in study.trials] == [figures(t) for t in whole.trials]
    assert [t.number for t in front_trials(study)] == [t.number for t in front_trials(whole)]


@pytest.mark.slow
def test_killed_study_ends_as_an_uninterrupted_one(tmp_path: Path, whole: StudyRecord) -> None:
    check_killed_study(tmp_path, "inline", whole, trials=6, kills=3, longest=3.0)


def test_killed_ray_study_ends_as_an_uninterrupted_one(tmp_path: Path, whole: StudyRecord) -> None:
    check_killed_study(tmp_path, "ray", whole, trials=6, kills=1, longest=2.0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ray_study_killed_five_times_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = uninterrupted(tmp_path, "ray", 12)
    check_killed_study(tmp_path / "cut", "ray", whole, trials=12, kills=5, longest=6.0)
