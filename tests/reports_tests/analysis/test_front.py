import json
from collections.abc import Callable

from reports.analysis.front import dominators, finished, front_trials, status_summary, trial_ranks
from reports.records.study import ObjectiveRecord, StudyRecord

Build = Callable[..., StudyRecord]


def test_the_front_has_the_trials_that_no_finished_trial_dominates(make_study: Build) -> None:
    study = make_study(30)
    trials, front = finished(study), front_trials(study)
    assert {t.number for t in front} == {t.number for t in trials if not dominators(study, t, trials)}
    assert {n for n, rank in trial_ranks(study).items() if rank == 0} == {t.number for t in front}


def test_the_front_is_ordered_by_the_first_objective(make_study: Build) -> None:
    accuracies = [t.values["accuracy"] for t in front_trials(make_study(30))]
    assert accuracies == sorted(accuracies, reverse=True)


def test_directions_come_from_the_header(make_study: Build) -> None:
    worst = make_study(20, objectives=(ObjectiveRecord(name="params", direction="maximize"),))
    largest = max(t.values["params"] for t in finished(worst))
    assert {t.values["params"] for t in front_trials(worst)} == {largest}


def test_only_complete_trials_reach_the_front(make_study: Build) -> None:
    study = make_study(3)
    assert {t.status for t in study.trials} > {"complete"}
    assert {t.status for t in finished(study)} == {"complete"}


def test_the_summary_counts_every_trial_once(make_study: Build) -> None:
    study = make_study(9)
    summary = status_summary(study)
    assert sum(summary.counts.values()) == summary.total == len(study.trials)
    assert summary.counts["complete"] == 9
    assert summary.training_s == 9 * 45.0 + 3.0 + 9.0
    best = {b.objective: b.value for b in summary.best}
    assert best["accuracy"] == max(t.values["accuracy"] for t in finished(study))
    assert best["energy_mj"] == min(t.values["energy_mj"] for t in finished(study))


def test_the_summary_of_an_empty_study_is_json(make_study: Build) -> None:
    summary = status_summary(make_study(0, others=False))
    assert json.loads(json.dumps(summary.to_dict()))["total"] == 0
    assert summary.best == summary.front == ()
