import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from reports.analysis.finalists import wilson_interval
from reports.analysis.front import finished, front_trials, status_summary
from reports.analysis.hypervolume import HypervolumeCurve, hypervolume_over_time, hypervolume_subset
from reports.records.objectives import OBJECTIVES, Scale
from reports.records.study import EpochRecord, ObjectiveRecord, StudyRecord, TrialRecord

Build = Callable[..., StudyRecord]


def curve(study: StudyRecord) -> HypervolumeCurve:
    progress = hypervolume_over_time(study)
    assert isinstance(progress, HypervolumeCurve)
    return progress


def test_a_log_scale_spans_its_decades_evenly() -> None:
    scale = Scale(1e-4, 1e2)
    assert scale.loss(0.1, "minimize") == pytest.approx(0.5)
    assert scale.loss(0.1, "maximize") == pytest.approx(0.5)
    assert (scale.loss(1e-9, "minimize"), scale.loss(1e9, "minimize")) == (0.0, 1.0)


def test_the_last_step_is_the_hypervolume_of_all_finished_trials(make_study: Build) -> None:
    study = make_study(40)
    points = [
        [OBJECTIVES[o.name].box.loss(t.values[o.name], o.direction) for o in study.header.objectives]
        for t in finished(study)
    ]
    expected = compute_hypervolume(np.array(points), np.ones(3))
    assert curve(study).steps[-1].value == pytest.approx(expected, rel=1e-9)


def test_subset_begins_with_the_most_accurate_and_adds_what_contributes_most(
    make_study: Build,
) -> None:
    study = make_study(40)
    whole = front_trials(study)
    front = sorted(whole, key=lambda trial: -trial.values["accuracy"])[: math.ceil(len(whole) / 2)]
    assert len(front) > 3
    objectives = study.header.objectives
    points = {t.number: [OBJECTIVES[o.name].box.loss(t.values[o.name], o.direction) for o in objectives] for t in front}

    def volume(numbers: Iterable[int]) -> float:
        return float(compute_hypervolume(np.array([points[number] for number in numbers]), np.ones(3)))

    (best,), _ = hypervolume_subset(study, 1)
    assert best == front[0]
    before = {best.number}
    for most in range(2, len(front)):
        chosen, share = hypervolume_subset(study, most)
        numbers = {trial.number for trial in chosen}
        assert len(numbers) == most
        assert numbers > before
        reached = max(volume({*before, number}) for number in points if number not in before)
        assert volume(numbers) == pytest.approx(reached)
        assert share == pytest.approx(volume(numbers) / volume(points))
        before = numbers
    assert hypervolume_subset(study, len(whole)) == (whole, 1.0)


def test_subset_keeps_within_a_limit_of_cost(make_study: Build) -> None:
    study = make_study(40)

    def cost(trial: TrialRecord) -> float:
        return trial.values["params"]

    (dearest, *_), _ = hypervolume_subset(study, 1)
    some, _ = hypervolume_subset(study, 4)
    costs = sorted(map(cost, some))
    for size in (2, 3):
        limit = sum(costs[:size]) * 1.01
        chosen, _ = hypervolume_subset(study, size, cost=cost, limit=limit)
        assert len(chosen) == size
        assert sum(map(cost, chosen)) <= limit
    assert hypervolume_subset(study, 1, cost=cost, limit=cost(dearest))[0] == (dearest,)
    (cheapest,), _ = hypervolume_subset(study, 1, cost=cost, limit=0.0)
    assert cost(cheapest) <= costs[0]


def test_the_dearest_of_the_equally_accurate_comes_first(make_study: Build) -> None:
    study = make_study(40)
    study = study.model_copy(update={"header": study.header.model_copy(update={"validation_images": 100})})
    best = max(trial.values["accuracy"] for trial in finished(study))
    low, _ = wilson_interval(best, 100)
    same = [trial for trial in finished(study) if wilson_interval(trial.values["accuracy"], 100)[1] >= low]
    assert 1 < len(same) < len(finished(study))

    def cost(trial: TrialRecord) -> float:
        return trial.values["params"]

    costs = sorted({cost(trial) for trial in same})
    assert cost(hypervolume_subset(study, 3, cost=cost)[0][0]) == costs[-1]
    for limit in costs[-2:]:
        assert cost(hypervolume_subset(study, 1, cost=cost, limit=limit)[0][0]) == limit
    assert hypervolume_subset(study, 3)[0][0].values["accuracy"] == best  # without costs


def test_candidates_of_infinite_cost_are_not_chosen(make_study: Build) -> None:
    study = make_study(40)
    front = front_trials(study)
    half = {trial.number for trial in front[: len(front) // 2]}  # the most accurate ones

    def cost(trial: TrialRecord) -> float:
        return math.inf if trial.number in half or trial not in front else 1.0

    for size in (1, 2, 3):
        for limit in (math.inf, 3.0):
            chosen, _ = hypervolume_subset(study, size, cost=cost, limit=limit)
            assert len(chosen) == size
            assert not half & {trial.number for trial in chosen}
    assert chosen[0] == front[len(front) // 2]  # the most accurate of the others
    assert len(hypervolume_subset(study, 2, cost=lambda _: math.inf)[0]) == 2


def test_the_past_of_the_curve_does_not_change_when_a_trial_is_added(make_study: Build) -> None:
    assert curve(make_study(30, others=False)).steps[:29] == curve(make_study(29, others=False)).steps


def test_steps_follow_the_order_of_finishing_and_never_fall(make_study: Build) -> None:
    study = make_study(20, others=False)
    times = [1000.0 - t.number for t in study.trials]  # the last was finished first
    late = [t.model_copy(update={"finished_at": time}) for t, time in zip(study.trials, times, strict=True)]
    steps = curve(study.model_copy(update={"trials": tuple(late)})).steps
    assert [s.trial for s in steps] == list(range(19, -1, -1))
    assert [s.value for s in steps] == sorted(s.value for s in steps)


def test_training_time_includes_all_trials(make_study: Build) -> None:
    study = make_study(3)
    early = tuple(t.model_copy(update={"finished_at": 0.0}) if t.status == "failed" else t for t in study.trials)
    steps = curve(study.model_copy(update={"trials": early})).steps
    assert [s.training_s for s in steps] == [3.0 + 45.0 * n for n in (1, 2, 3)]


def test_operations_of_training_include_all_trials(make_study: Build) -> None:
    study = make_study(2)
    trials = [t.model_copy(update={"history": (epoch(10.0 + t.number),) * 2}) for t in study.trials]
    spent = study.model_copy(update={"trials": tuple(trials)})
    last = curve(spent).steps[-1]
    until = next(t.finished_at for t in trials if t.number == last.trial)
    assert last.training_macs == sum(
        2 * (10.0 + t.number) for t in trials if t.finished_at is not None and t.finished_at <= until
    )
    assert status_summary(spent).training_macs == sum(2 * (10.0 + t.number) for t in trials)
    assert status_summary(spent).training_images == 2 * 7 * len(trials)


def epoch(macs: float) -> EpochRecord:
    return EpochRecord(
        epoch=1, train_loss=1.0, train_accuracy=0.1, val_loss=1.0, val_accuracy=0.1, learning_rate=0.1, wall_s=1.0,
        images=7, macs=macs,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("complete", "objectives", "reason"),
    [(0, ("params",), "no trial"), (2, ("magic",), "no fixed range"), (2, tuple(OBJECTIVES)[:5], "more than 4")],
)
def test_a_missing_curve_has_a_reason(
    make_study: Build, complete: int, objectives: tuple[str, ...], reason: str
) -> None:
    records = tuple(ObjectiveRecord(name=name, direction="minimize") for name in objectives)
    progress = hypervolume_over_time(make_study(complete, objectives=records))
    assert isinstance(progress, str)
    assert reason in progress
