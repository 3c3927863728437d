"""Several studies on one page: common terms, dominance, equal compute, and what keeps figures from being compared."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.html_page import Page
from helpers.small_studies import OBJECTIVES, build_study, complete_trial

from reports.analysis.front import finished, losses
from reports.analysis.pareto import dominates
from reports.comparison.comparison import Comparison, Entry, compare
from reports.comparison.report import comparison_json, markdown, page
from reports.comparison.warnings import warnings
from reports.comparison.write import write_comparison
from reports.errors import ReportError
from reports.records.study import EpochRecord, StudyRecord

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def study(name: str, draw: int = 0, trials: int = 10, macs: float = 1e9, **header: object) -> StudyRecord:
    """A study whose trials each train with ``macs`` operations."""
    found = build_study(trials, name=name)
    epoch = EpochRecord(
        epoch=1, train_loss=1, train_accuracy=0, val_loss=1, val_accuracy=0, learning_rate=1, wall_s=1, macs=macs
    )
    records = (complete_trial(number, seed=draw) for number in range(trials))
    done = tuple(record.model_copy(update={"history": (epoch,), "seed": 7}) for record in records)
    own = found.header.model_copy(update={"created_at": 1e9 + draw, **header})
    return found.model_copy(update={"header": own, "trials": done})


def entry(record: StudyRecord, **settings: str) -> Entry:
    """An entry: the dials of a candidate identify its training, and all but the neuron's leak identify its network."""
    keys = {trial.number: str(sorted(trial.params.items())) for trial in record.trials}
    networks = {
        trial.number: str(sorted((path, v) for path, v in trial.params.items() if path != "neuron.leak"))
        for trial in record.trials
    }
    return Entry(record, keys, networks, settings)


@pytest.fixture
def comparison() -> Comparison:
    one, other = study("one"), study("other", draw=1, trials=6, macs=3e9)
    return compare([entry(one, epochs="3", batch="64"), entry(other, epochs="4", batch="64", lr="0.1")])


def test_joint_front_is_what_nothing_dominates(comparison: Comparison) -> None:
    every = [(e.name, t.number, losses(e.study, t)) for e in comparison.entries for t in finished(e.study)]
    wanted = {(name, number) for name, number, point in every if not any(dominates(p, point) for *_, p in every)}
    assert {(e.name, t.number) for e, t in comparison.joint_front()} == wanted


def test_dominated_candidates_are_dominated() -> None:
    one, other = compare([entry(study("one", trials=30)), entry(study("other", draw=1, trials=30))]).entries
    comparison = compare([one, other])
    found = {
        (a.name, t.number, w.number)
        for a, b in ((one, other), (other, one))
        for t, by in comparison.dominated(a, b)
        for w in by
    }
    wanted = {
        (a.name, t.number, w.number)
        for a, b in ((one, other), (other, one))
        for t in b.front
        for w in a.front
        if dominates(losses(a.study, w), losses(b.study, t))
    }
    assert found == wanted
    assert found


def test_hypervolume_at_equal_compute_is_taken_where_both_have_spent_as_much(comparison: Comparison) -> None:
    macs, values = comparison.at_equal_macs()
    assert macs == 10 * 1e9
    one, other = (e.curve.steps for e in comparison.entries)
    assert values == [one[-1].value, other[2].value]  # 3 of 6 trials of 3e9
    assert other[2].value < other[-1].value
    seconds, _ = comparison.at_equal_time()
    assert seconds == 6 * 45.0


def test_common_networks_are_side_by_side(comparison: Comparison) -> None:
    rows = comparison.common()
    named = [row for row in rows if row[0].name]
    names = [trial.name for trial in comparison.entries[0].study.trials[:4]]
    assert [[trial.name for trial in row] for row in named] == [[name, name] for name in names]
    assert not any(map(comparison.trained_equally, named))  # another leak
    again = compare([entry(study("one")), entry(study("two"))])
    assert all(map(again.trained_equally, again.common()))
    assert len(again.common()) == len(set(again.entries[0].networks.values()))
    other_seed = study("two")
    moved = tuple(trial.model_copy(update={"seed": 8}) for trial in other_seed.trials)
    third = compare([entry(study("one")), entry(other_seed.model_copy(update={"trials": moved}))])
    assert not any(map(third.trained_equally, third.common()))


def test_settings_that_differ(comparison: Comparison) -> None:
    assert comparison.differing_settings() == [("epochs", ["3", "4"]), ("lr", ["-", "0.1"])]


def test_energy_is_by_one_model_for_all() -> None:
    found = compare([entry(study("one")), entry(study("two", draw=1, price="lemaire2022/exact"))])
    assert found.price == "horowitz45/exact"
    for each in found.entries:
        assert all(t.values["energy_mj"] == t.metrics.energy_mj["horowitz45/exact"] for t in each.study.trials)
    assert any("Energies of two are shown by horowitz45/exact" in text for text in warnings(found))


def test_only_common_objectives_are_compared() -> None:
    found = compare([entry(study("one")), entry(study("two", objectives=OBJECTIVES[:2]))])
    assert [each.name for each in found.objectives] == ["accuracy", "energy_mj"]
    assert found.notes == ("Only common objectives are compared. Left out: params.",)
    with pytest.raises(ReportError, match="share no objective"):
        compare([entry(study("one", objectives=OBJECTIVES[:1])), entry(study("two", objectives=OBJECTIVES[1:]))])


@pytest.mark.parametrize(
    "names", [["one"], ["one", "one"], ["one", "two", "one"], [f"s{n}" for n in range(7)]], ids=len
)
def test_number_of_studies(names: list[str]) -> None:
    with pytest.raises(ReportError, match="2 to 6 different studies"):
        compare([entry(study(name, trials=1)) for name in names])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": "cifar100"}, "The data differ"),
        ({"validation_images": 17}, "numbers of validation images differ"),
        ({"seed": 8}, "The seeds differ: one: 7; two: 8"),
        ({"training": "90 epochs"}, "trained in different ways"),
        ({"energy_rules": {"horowitz45/exact": "another rule"}}, "The rule of energy by horowitz45/exact changed"),
        ({"machine": "another"}, "The machines differ"),
        ({"created_at": 1e9}, "one is a copy of the other"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_warning_where_figures_are_not_comparable(change: dict[str, object], text: str) -> None:
    first = study("one")
    assert warnings(compare([entry(first), entry(study("two", draw=1))])) == ()
    found = warnings(compare([entry(first), entry(study("two", draw=1, **change))]))
    assert len(found) == 1
    assert text in found[0]


def test_page_markdown_and_json_hold_the_same(comparison: Comparison, tmp_path: Path) -> None:
    paths = write_comparison(comparison, tmp_path)
    assert [path.name for path in paths] == ["comparison.html", "comparison.md", "comparison.json"]
    parsed, text, values = Page(page(comparison)), markdown(comparison), json.loads(comparison_json(comparison))
    for title in ("Studies", "Which front dominates which", "Common candidates", "Settings that differ"):
        assert title in parsed.text
        assert f"## {title}" in text
    assert len(values["joint_front"]) == len(comparison.joint_front())
    assert [each["study"] for each in values["studies"]] == ["one", "other"]
    assert len(parsed.data["trials"]) == 16
    assert sum(trial["joint"] for trial in parsed.data["trials"]) == len(values["joint_front"])


def test_study_without_a_finished_trial() -> None:
    empty = study("two", trials=1)
    empty = empty.model_copy(update={"trials": ()})
    for pair in ([entry(study("one")), entry(empty)], [entry(empty), entry(study("one"))]):
        found = compare(pair)
        assert found.at_equal_macs() is None
        assert "Which front" not in markdown(found)
        page(found)
    nothing = compare([entry(empty), entry(study("three", trials=1).model_copy(update={"trials": ()}))])
    assert "no front to show" in markdown(nothing)
    page(nothing)


def test_hostile_text_is_escaped() -> None:
    bad = "<script>alert(1)</script>|`*"
    found = compare([entry(study("one", data=bad), **{bad: bad}), entry(study("two", draw=1))])
    assert "<script>alert" not in page(found)
    assert "<script>alert" not in markdown(found)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("trials", [6, 1])
def test_the_script_draws_the_page_without_an_error(trials: int, tmp_path: Path) -> None:
    found = compare([entry(study("one", trials=trials)), entry(study("two", draw=1, trials=trials))])
    (tmp_path / "page.html").write_text(page(found), encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom")
    words = [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "page.html").as_uri()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=True)
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    parsed = Page(done.stdout)
    stairs = [path for path in parsed.of("path") if (path.get("class") or "").startswith("stair")]
    assert {path["class"] for path in stairs} == {"stair group g0", "stair group g1"}
    assert "Hypervolume against training time" in parsed.text
