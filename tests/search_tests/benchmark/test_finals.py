"""A launch ends with finals: the best of the front, trained longer within the rest of the budget."""

import io
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.untrained import SPACES, options_for, trained
from rich.console import Console

from reports.analysis.finalists import compare_finalists, wilson_interval
from reports.records.study import ReferencePoint, StudyRecord
from reports.storage.benchmarks import read_benchmark
from reports.storage.finalists import finals_folder
from reports.storage.studies import load_study_folder
from reports.study.report import markdown
from search.benchmark import estimate, finals
from search.benchmark.benchmark import Benchmark
from search.benchmark.loader import load_benchmark
from search.cli.tables import ending
from search.errors import SpaceError
from search.executors import WorkerPool
from search.runner.loop import Driver
from search.runner.resources import plan_workers
from search.space.limits import Resources
from search.space.loading.loader import load_space
from search.space.space import Space
from search.trial import environment
from search.trial.folder import RunFolder

FINALS = "{share: 0.4, best: 2, seeds: 2, recipe: {train.epochs: 3, train.cnn_epochs: 2}}"


def space_of(finals_text: str = FINALS, **changes: str) -> Space:
    overrides = {"study.finals": finals_text, "study.budget": "{trials: 4}", "data.subset": "600", **changes}
    return load_space(SPACES / "smoke.yaml", overrides=overrides)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every job has made-up results at once. The list has the number of jobs of each run."""
    runs: list[int] = []

    def execute(driver: Driver, executor: str, pool: object) -> None:
        runs.append(0)
        with driver.observer.running():
            while (job := driver.next()) is not None:
                runs[-1] += 1
                job.folder.mkdir(parents=True, exist_ok=True)
                driver.finished(trained(job))

    monkeypatch.setattr("search.runner.launch.run_trials", execute)
    monkeypatch.setattr("search.benchmark.run.run_trials", execute)
    return runs


def test_launch_ends_with_finalists(untrained: list[int], tmp_path: Path) -> None:
    study = finals.launch(space_of(), options_for(tmp_path))

    assert untrained == [4, 8]  # four trials; two finalists and their twins on two seeds
    record = read_benchmark(finals_folder(tmp_path, "smoke", 1))
    assert {cell.seed for cell in record.header.cells} == {1, 2}  # the search had seed 0
    recipe = load_space(study.header.space_yaml).study.finals
    assert recipe is not None
    assert recipe.recipe == {"train.epochs": 3, "train.cnn_epochs": 2}
    found = compare_finalists(study)
    assert [len(each.record.trainings) for each in found] == [2, 2]
    assert found[0].accuracy >= found[1].accuracy
    assert "## Finalists" in (tmp_path / "smoke" / "report.md").read_text(encoding="utf-8")
    assert f"snnsearch export smoke-finalists {found[0].record.number} --format onnx" in markdown(study)


def test_progress_shows_the_epochs_of_twins_and_of_spiking_networks(
    untrained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = set()

    def execute(driver: Driver, executor: str, pool: object) -> None:
        while (job := driver.next()) is not None:
            shown.add((job.is_twin, driver.progress.running[job.number].epochs))
            job.folder.mkdir(parents=True, exist_ok=True)
            driver.finished(trained(job))

    monkeypatch.setattr("search.benchmark.run.run_trials", execute)
    finals.launch(space_of(), options_for(tmp_path))
    assert shown == {(True, 2), (False, 3)}


def test_longer_search_trains_new_finalists_only(untrained: list[int], tmp_path: Path) -> None:
    first = finals.launch(space_of(), options_for(tmp_path))
    again = finals.resume("smoke", options_for(tmp_path))
    assert untrained == [4, 8]  # nothing is left to do
    assert again.finalists == first.finalists

    more = finals.resume("smoke", options_for(tmp_path, trials=8))
    names = [(each.benchmark, each.label) for each in more.finalists]
    assert len(names) == len({label for _, label in names})
    assert all(each in more.finalists for each in first.finalists)
    assert {benchmark for benchmark, _ in names} <= {"smoke-finalists", "smoke-finalists-2"}


def test_resume_continues_interrupted_finals(
    untrained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(driver: Driver, executor: str, pool: object) -> None:
        for _ in range(3):
            job = driver.next()
            assert job is not None
            driver.finished(trained(job))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("search.benchmark.run.run_trials", interrupted)
        with pytest.raises(KeyboardInterrupt):
            finals.launch(space_of(), options_for(tmp_path))
    printed = io.StringIO()
    Console(file=printed, width=150).print(ending(load_study_folder(tmp_path / "smoke"), tmp_path / "smoke"))
    assert "continue  snnsearch resume smoke   5 trainings of the finals left" in printed.getvalue()
    study = finals.resume("smoke", options_for(tmp_path))
    assert untrained == [4, 5]
    assert [len(each.trainings) for each in study.finalists] == [2, 2]
    assert study.finals_left == 0


def test_finished_finals_are_not_followed_by_a_search(
    untrained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(driver: Driver, executor: str, pool: object) -> None:
        job = driver.next()
        assert job is not None
        driver.finished(trained(job))

    space = space_of(**{"study.budget": "{trials: 4, time: 1000s}"})
    with monkeypatch.context() as patch:
        patch.setattr("search.benchmark.run.run_trials", begun)
        finals.launch(space, options_for(tmp_path))
    limits: list[float | None] = []

    def train(benchmark: Benchmark, seconds: float | None, *rest: Any) -> None:
        limits.append(seconds)
        before(benchmark, seconds, *rest)

    before = finals._train
    monkeypatch.setattr(finals, "_train", train)
    finals.resume("smoke", options_for(tmp_path))
    assert untrained == [4, 7]  # the trainings that were left, and no trial
    assert limits == [400.0]
    assert "## Finalists" in (tmp_path / "smoke" / "report.md").read_text(encoding="utf-8")


def test_spent_search_leaves_the_finals_their_share(
    untrained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float | None] = []
    monkeypatch.setattr(finals, "_hold", lambda record, space, seconds, **_: held.append(seconds))
    finals.launch(space_of(**{"study.budget": "{trials: 4, time: 1000s}"}), options_for(tmp_path))
    finals.resume("smoke", options_for(tmp_path))
    assert held[1] == 400.0


def test_stopped_search_holds_no_finals(untrained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(driver: Driver, executor: str, pool: object) -> None:
        driver.stopped_by = "SIGINT"

    monkeypatch.setattr("search.runner.launch.run_trials", stopped)
    study = finals.launch(space_of(), options_for(tmp_path))
    assert not study.finalists
    assert not finals_folder(tmp_path, "smoke", 1).exists()


def test_search_leaves_the_share_of_the_finals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[float | None] = []
    monkeypatch.setattr(
        "search.runner.launch.run_trials", lambda driver, executor, pool: searched.append(driver.budget.seconds)
    )
    held: list[float | None] = []
    monkeypatch.setattr(finals, "_hold", lambda record, space, seconds, **_: held.append(seconds))
    finals.launch(space_of(**{"study.budget": "{time: 1000s}"}), options_for(tmp_path))
    finals.resume("smoke", options_for(tmp_path, seconds=500.0))
    assert searched == [600.0, 300.0]
    first, second = held
    assert first is not None
    assert second is not None
    assert second <= 500.0 < 600.0 < first <= 1000.0


def test_candidates_that_the_time_allows_come_first(
    untrained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = space_of("{best: 3}", **{"study.budget": "{trials: 9}"})
    study = finals.launch(replace(space, study=space.study.model_copy(update={"finals": None})), options_for(tmp_path))
    section = space.study.finals
    assert section is not None

    def labels(seconds: float | None) -> list[str]:
        plan = finals._choose("finals", study, space, section, seconds, options_for(tmp_path))
        return [each.label for each in plan.finalists]

    chosen = labels(None)
    slow = chosen[0]
    cost = {space.candidate(trial.params).network: trial.number for trial in study.trials}
    monkeypatch.setattr(estimate, "twin_work", lambda candidate: estimate.Work(images=1))
    monkeypatch.setattr(
        estimate,
        "network_work",
        lambda candidate: estimate.Work(images=99 if f"trial {cost[candidate.network]}" == slow else 1),
    )
    monkeypatch.setattr(estimate, "expected_s", lambda work, samples, pool: 4.0 * work.images)  # 8 s with the twin
    assert labels(1000.0) == chosen
    assert slow not in labels(30.0)[:2]
    assert sorted(labels(0.1)) == sorted(chosen)


@pytest.mark.parametrize(("seconds", "expected"), [(1000.0, 4), (450.0, 4), (250.0, 2), (120.0, 1)])
def test_workers_have_enough_threads_for_the_first_finalist(
    seconds: float, expected: int, untrained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = space_of("{best: 1}", **{"study.budget": "{trials: 9}"})
    study = finals.launch(replace(space, study=space.study.model_copy(update={"finals": None})), options_for(tmp_path))
    section = space.study.finals
    assert section is not None
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # it bounds the threads of a worker
    monkeypatch.setattr(environment, "cores", lambda: 4)
    monkeypatch.setattr(environment, "memory_bytes", lambda: 2**40)
    monkeypatch.setattr(estimate, "twin_work", lambda candidate: estimate.Work())
    monkeypatch.setattr(estimate, "network_work", lambda candidate: estimate.Work(images=360))

    def expected_s(work: estimate.Work, samples: object, pool: WorkerPool) -> float:
        return work.images / ((pool.workers or 1) * pool.placement.threads)

    monkeypatch.setattr(estimate, "expected_s", expected_s)

    def workers(**changes: object) -> int | None:
        options = options_for(tmp_path, executor="ray", **changes)
        plan = finals._choose("finals", study, space, section, seconds, options)
        return plan_workers(plan.options, RunFolder(tmp_path / "finals"), Resources()).workers

    assert workers(workers=None) == expected
    assert workers(workers=4) == 4  # the user's own number stays
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert workers(workers=None) == 4  # fewer workers would not be faster


def test_finals_train_the_next_finalist_while_it_fits(
    untrained: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def execute(driver: Driver, executor: str, pool: object) -> None:
        nonlocal now
        while (job := driver.next()) is not None:
            now += 10.0
            job.folder.mkdir(parents=True, exist_ok=True)
            driver.finished(trained(job))

    monkeypatch.setattr("search.benchmark.run.run_trials", execute)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(estimate, "expected_s", lambda work, samples, pool: 10.0 * work.epochs)
    monkeypatch.setattr(estimate, "network_work", lambda candidate: estimate.Work(epochs=1))
    monkeypatch.setattr(estimate, "twin_work", lambda candidate: estimate.Work(epochs=1))
    text = FINALS.replace("best: 2", "best: 3")
    study = finals.launch(space_of(text, **{"study.budget": "{trials: 6, time: 50s}"}), options_for(tmp_path))
    assert [len(each.trainings) for each in study.finalists] == [1, 1]  # two pairs of network and twin
    assert study.finals_left == 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{recipe: {train.epoch: 9}}", r"study.finals.recipe.train.epoch: .*cannot replace this.*mean train.epochs\?"),
        ("{recipe: {train.epochs: 0}}", r"study.finals.recipe.train.epochs: given 0"),
        ("{recipe: {data.name: digits}}", r"study.finals.recipe.data.name: .*cannot replace this"),
        ("{share: 1}", r"study.finals.share: given 1"),
        ("{best: 0}", r"study.finals.best: given 0"),
    ],
)
def test_broken_finals_are_refused_with_their_path(text: str, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        space_of(text)


def test_recipe_of_finals_is_laid_over_retrain() -> None:
    base = {"retrain": "{train.start: cnn, train.distill: 0.5}"}
    space_of("{recipe: {train.epochs: 4}}", **base)
    with pytest.raises(SpaceError, match=r"study.finals.recipe.train: given distill 0.5 with start scratch"):
        space_of("{recipe: {train.start: scratch}}", **base)


def test_interval_is_wilsons() -> None:
    assert wilson_interval(0.81, 10_000) == pytest.approx((0.80220, 0.81757), abs=1e-5)
    assert wilson_interval(0.0, 10)[0] == 0.0
    assert wilson_interval(1.0, 10) == pytest.approx((0.72247, 1.0), abs=1e-5)


def test_published_points_are_compared_with_means(untrained: list[int], tmp_path: Path) -> None:
    study = finals.launch(space_of(), options_for(tmp_path))
    best = compare_finalists(study)[0]
    point = {"energy_mj": 9.0, "params": 10**9, "price": "horowitz45/exact"}
    below, above = (
        {"label": label, "accuracy": best.accuracy + d, **point} for label, d in (("b", -0.01), ("a", 0.01))
    )
    with_points = _with_references(study, below, above)
    assert compare_finalists(with_points)[0].dominated == ("b",)
    assert not compare_finalists(load_study_folder(tmp_path / "smoke"))[0].dominated


def _with_references(study: StudyRecord, *points: Mapping[str, Any]) -> StudyRecord:
    references = tuple(ReferencePoint.model_validate(point) for point in points)
    return study.model_copy(update={"header": study.header.model_copy(update={"references": references})})


def test_search_that_trained_nothing_in_full_ends_with_finalists_too(untrained: list[int], tmp_path: Path) -> None:
    fidelities = {"study.sampler": "ehvi", "study.fidelities": "[{train.epochs: 1}, {train.epochs: 2}]"}
    space = space_of(**fidelities, **{"study.budget": "{trials: 3}"})
    study = finals.launch(space, options_for(tmp_path))
    assert {trial.status for trial in study.trials if trial.params} <= {"paused", "waiting"}
    assert len(study.finalists) == 2
    assert untrained == [3, 8]


def test_paused_candidates_follow_a_short_front(untrained: list[int], tmp_path: Path) -> None:
    text = FINALS.replace("best: 2", "best: 4").replace("seeds: 2", "seeds: 1")
    fidelities = {"study.sampler": "ehvi", "study.fidelities": "[{train.epochs: 1}]", "study.promote": "[baseline]"}
    study = finals.launch(space_of(text, **fidelities), options_for(tmp_path))
    assert [trial.status for trial in study.trials if trial.params][:3] == ["complete", "paused", "paused"]
    assert len(study.finalists) == 3
    assert "baseline" in {finalist.label for finalist in study.finalists}


def test_promoted_candidates_are_trained_like_the_finalists(untrained: list[int], tmp_path: Path) -> None:
    fidelities = {"study.sampler": "ehvi", "study.fidelities": "[{train.epochs: 1}]", "study.promote": "[no-fire3]"}
    text = FINALS.replace("best: 2", "best: 1").replace("seeds: 2", "seeds: 1")
    space = space_of(text, **fidelities)
    study = finals.launch(space, options_for(tmp_path))
    labels = [finalist.label for finalist in study.finalists]
    assert labels[1:] == ["no-fire3"]
    assert len(labels) == len(set(labels)) == 2
    benchmark = load_benchmark(read_benchmark(finals_folder(tmp_path, "smoke", 1)).header.benchmark_yaml)
    recipes = {candidate.train.epochs for row in benchmark.candidates.values() for candidate in row.values()}
    assert recipes == {3}
