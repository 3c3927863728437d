"""Early stopping by the median: which trials are stopped, and how a space chooses the rule."""

import pytest
from helpers.untrained import SPACES

from search.errors import SpaceError
from search.space.loading.loader import load_space
from search.space.sections import EarlyStopping
from search.study.pruners import describe_pruner, make_pruner
from search.study.pruners.median import MedianPruner
from search.study.pruners.pareto import ParetoPruner

OBJECTIVES = {"accuracy": "maximize", "params": "minimize"}


def pruner_of(accuracies, objectives=OBJECTIVES, **rule):
    pruner = MedianPruner(EarlyStopping(rule="median", **({"first": 1, "margin": 0.0} | rule)), objectives)
    for trial, accuracy in enumerate(accuracies):
        pruner.add(1, trial, (accuracy, 10))
    return pruner


def stopped(accuracies, objectives=OBJECTIVES, **rule):
    pruner = pruner_of(accuracies, objectives, **rule)
    return [trial for trial in range(len(accuracies)) if pruner.prune_reason(1, trial) is not None]


def with_rule(rule):
    source = (SPACES / "smoke.yaml").read_text()
    source = source.replace("  budget:", f"  stopping: {{{rule}first: 3, margin: 0}}\n  budget:")
    return load_space(source.replace("  epochs: 4", "  epochs: 4\n  rungs: [1, 2]"))


def test_trials_below_the_median_of_the_others_are_stopped():
    assert stopped([0.125, 0.25, 0.375, 0.5, 0.625]) == [0, 1]


def test_trial_at_the_median_continues():
    assert stopped([0.3, 0.3, 0.3]) == []


def test_a_minimised_objective_is_stopped_above_the_median():
    assert stopped([0.125, 0.25, 0.375, 0.5, 0.625], {"energy_mj": "minimize"}) == [3, 4]


def test_margin_is_granted_on_accuracy_alone():
    assert stopped([0.38, 0.39, 0.4, 0.4, 0.4], margin=0.015) == [0]
    assert stopped([0.42, 0.41, 0.4, 0.4, 0.4], {"energy_mj": "minimize"}, margin=0.015) == [0, 1]


def test_first_trials_at_a_rung_are_not_stopped():
    assert stopped([0.1, 0.5, 0.5], first=4) == []
    assert stopped([0.1]) == []


def test_a_rung_that_is_reported_again_changes_nothing():
    pruner = pruner_of([0.5, 0.5, 0.1])
    before = pruner.prune_reason(1, 2)
    pruner.add(1, 2, (0.9, 10))
    assert (
        pruner.prune_reason(1, 2)
        == before
        == "early: after epoch 1 accuracy 0.100, worse than the median 0.500 of 2 trials"
    )


def test_the_rule_of_the_space_chooses_the_pruner():
    assert isinstance(make_pruner(EarlyStopping(), OBJECTIVES), ParetoPruner)
    assert isinstance(make_pruner(EarlyStopping(rule="median"), OBJECTIVES), MedianPruner)
    assert describe_pruner(EarlyStopping()) == "by rank (1 in 3, margin 0.02)"
    assert "median" in describe_pruner(EarlyStopping(rule="median"))


def test_the_default_rule_leaves_the_fingerprint_and_another_one_changes_it():
    default, named, other = (with_rule(rule).fingerprint for rule in ("", "rule: pareto, ", "rule: median, "))
    assert default == named != other


def test_an_unknown_rule_lists_the_allowed_ones():
    with pytest.raises(SpaceError, match=r"given 'medain'; allowed are pareto, median; did you mean median\?"):
        with_rule("rule: medain, ")
