from collections.abc import Callable
from typing import Any

import pytest

from reports.analysis.comparisons import compare_references, dominated_names, rank_reversals
from reports.analysis.front import front_trials
from reports.document.energy_models import RULES, describe
from reports.document.wording import number
from reports.records.study import ReferencePoint, StudyRecord, TrialRecord
from reports.study.sections.findings import findings
from reports.study.summary import summary
from reports.study.tables import candidates_table

Build = Callable[..., StudyRecord]
EXACT, PAPER = "horowitz45/exact", "horowitz45/paper2602"


def trial(base: TrialRecord, number: int, name: str | None = None, **measured: Any) -> TrialRecord:
    """``base`` with other measures; the objectives' values follow them."""
    assert base.metrics is not None
    metrics = base.metrics.model_copy(update=measured)
    values = {"accuracy": metrics.accuracy, "energy_mj": metrics.energy_mj[EXACT], "params": float(metrics.params)}
    return base.model_copy(update={"number": number, "name": name, "metrics": metrics, "values": values})


def study_of(make_study: Build, *measured: dict[str, Any], reference: ReferencePoint | None = None) -> StudyRecord:
    study = make_study(1, others=False)
    trials = tuple(trial(study.trials[0], n, **each) for n, each in enumerate(measured))
    header = study.header.model_copy(update={"references": (reference,) if reference else ()})
    return StudyRecord(header=header, trials=trials)


def measures(accuracy: float, test: float, exact: float, paper: float, params: int) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "test_accuracy": test,
        "energy_mj": {EXACT: exact, PAPER: paper},
        "params": params,
    }


POINT = ReferencePoint(label="P", accuracy=0.8, energy_mj=0.03, params=1000, price=PAPER)


def test_a_published_point_is_compared_in_test_accuracy_and_by_its_own_energy_model(make_study: Build) -> None:
    study = study_of(
        make_study,
        measures(0.9, 0.79, 0.01, 0.02, 900),  # better on validation only
        measures(0.7, 0.81, 0.09, 0.02, 900),  # more energy by another price
        measures(0.7, 0.80, 0.01, 0.03, 1000),  # equal in all three
        measures(0.7, 0.90, 0.01, 0.03, 1001),  # one parameter too many
        reference=POINT,
    )
    (found,) = compare_references(study)
    assert [t.number for t in found.dominated_by] == [1]
    assert found.within is not None
    assert found.within.number == 1


def test_without_a_dominating_candidate_the_nearest_is_the_most_accurate_within_energy_and_size(
    make_study: Build,
) -> None:
    study = study_of(
        make_study,
        measures(0.5, 0.5, 0.01, 0.02, 900),
        measures(0.6, 0.6, 0.01, 0.03, 1000),
        measures(0.7, 0.7, 0.01, 0.04, 900),
        reference=POINT,
    )
    (found,) = compare_references(study)
    assert not found.dominated_by
    assert found.within is not None
    assert found.within.number == 1
    assert any("No candidate dominates the published point P" in line for line in findings(study))


def test_a_point_with_another_energy_model_is_not_compared(make_study: Build) -> None:
    other = POINT.model_copy(update={"price": "loihi/exact"})
    study = study_of(make_study, measures(0.9, 0.9, 0.001, 0.001, 1), reference=other)
    (found,) = compare_references(study)
    assert not found.comparable
    assert any(line.startswith("Not compared") and "P" in line for line in findings(study))


def test_named_candidates_are_compared_with_found_ones_in_the_objectives_of_the_study(make_study: Build) -> None:
    study = study_of(
        make_study,
        measures(0.7, 0.9, 0.02, 0.01, 900) | {"name": "by-hand"},
        measures(0.8, 0.1, 0.01, 0.99, 800),  # dominates on validation and by the study's price
        measures(0.9, 0.1, 0.03, 0.01, 800) | {"name": "other"},
    )
    assert {n: [t.number for t in by] for n, by in dominated_names(study).items()} == {0: [1], 2: []}
    assert any("1 of 2 named candidates is dominated" in line and "by-hand by 1" in line for line in findings(study))


def test_a_rank_reversal_is_a_pair_that_two_energy_models_order_differently(make_study: Build) -> None:
    study = study_of(
        make_study,
        measures(0.5, 0.5, 0.01, 0.01, 900),
        measures(0.6, 0.6, 0.02, 0.05, 900),
        measures(0.7, 0.7, 0.03, 0.04, 900),  # less than the one before by the paper's price
    )
    (found,) = rank_reversals(study)
    assert (found.model, found.pairs, found.reversed_pairs) == (PAPER, 3, 1)
    assert found.example is not None
    assert [t.number for t in found.example] == [1, 2]
    assert any("1 of 3 pairs of front candidates change places" in line for line in findings(study))


def test_a_network_without_a_spike_needs_no_energy_and_can_be_compared(make_study: Build) -> None:
    study = study_of(make_study, measures(0.5, 0.5, 0.0, 0.01, 900), measures(0.6, 0.6, 0.02, 0.0, 900))
    (found,) = rank_reversals(study)
    assert found.example is not None
    assert [t.number for t in found.example] == [0, 1]


def test_an_equal_ranking_is_reported(make_study: Build) -> None:
    study = study_of(make_study, measures(0.5, 0.5, 0.01, 0.01, 900), measures(0.6, 0.6, 0.02, 0.05, 900))
    assert f"The front candidates rank the same in energy by {EXACT} and by {PAPER}." in findings(study)


def test_a_single_front_candidate_has_no_ranking(make_study: Build) -> None:
    study = study_of(make_study, measures(0.5, 0.5, 0.01, 0.01, 900))
    assert len(front_trials(study)) == 1
    assert not any("rank the same" in line or "energy model" in line for line in findings(study))


@pytest.mark.parametrize(("complete", "others"), [(0, False), (0, True), (1, False), (25, True)])
def test_the_summary_names_data_machine_and_number_of_trials(make_study: Build, complete: int, others: bool) -> None:
    study = make_study(complete, others=others)
    text = summary(study)
    assert study.header.data in text
    assert study.header.machine in text
    assert (f"{len(study.trials)} trial" if study.trials else "No trial yet") in text
    assert (findings(study) == ()) == (complete == 0)


def test_rules_of_records_before_version_7_are_described_with_their_constants() -> None:
    assert set(RULES) == {EXACT, PAPER, "lemaire2022/exact"}
    assert "4.6 pJ x MACs + 0.9 pJ x ACs" in RULES[EXACT]


def test_rule_that_a_record_stores_is_the_one_described() -> None:
    assert describe(EXACT, {EXACT: "as launched"}) == "as launched"
    assert describe(EXACT, {}) == RULES[EXACT]
    assert "Unknown to this snnsearch" in describe("new/exact", {})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3.0, "3"), (1234567.6, "1,234,568"), (12.345, "12.3"), (0.5, "0.500"), (8.28e-5, "0.0000828")],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def with_images(study: StudyRecord, validation: int, test: int) -> StudyRecord:
    header = study.header.model_copy(update={"validation_images": validation, "test_images": test})
    return study.model_copy(update={"header": header})


def test_candidates_of_equal_accuracy_up_to_chance_are_named(make_study: Build) -> None:
    study = study_of(
        make_study,
        measures(0.80, 0.8, 0.03, 0.03, 900),
        measures(0.79, 0.8, 0.02, 0.03, 900),
        measures(0.50, 0.5, 0.01, 0.03, 900),
    )
    assert not any("Wilson" in line for line in findings(study))  # older studies do not say how many images
    (few,) = (line for line in findings(with_images(study, 500, 500)) if "Wilson" in line)
    assert "0.800 of candidate 0, has a 95 % interval of 0.763 to 0.833 (Wilson)." in few
    assert few.endswith("In accuracy, it cannot be told apart from 1.")
    (many,) = (line for line in findings(with_images(study, 50_000, 500)) if "Wilson" in line)
    assert many.endswith("no other interval on the front reaches it.")


def test_test_accuracy_has_its_interval(make_study: Build) -> None:
    study = study_of(make_study, measures(0.8, 0.8, 0.03, 0.03, 900))
    column = candidates_table(study, study.trials).columns.index("test accuracy")
    assert candidates_table(study, study.trials).rows[0][column] == "0.800"
    known = with_images(study, 500, 2000)
    assert candidates_table(known, known.trials).rows[0][column] == "0.800 ± 0.018"
