"""A report says where the first weights of each candidate came from, unless all candidates train from scratch."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from helpers.html_page import Page

from reports.analysis.front import front_trials, status_summary
from reports.document.wording import initialization_label, initialization_phrase
from reports.records.study import EpochRecord, StartRecord, StudyRecord, TrialRecord
from reports.study.report import markdown, page
from reports.study.reproduce import circumstances
from reports.study.sections.findings import findings
from reports.study.tables import candidates_table, front_csv, front_json

Build = Callable[..., StudyRecord]
EPOCH = EpochRecord(
    epoch=1, train_loss=1.0, train_accuracy=0.1, val_loss=1.0, val_accuracy=0.1, learning_rate=0.1, wall_s=30.0,
    images=100, macs=1e9, twin=True,
)  # fmt: skip
INHERITED = StartRecord(
    kind="inherit", parent=0, layers={"copied": 20, "rewired": 1}, refitted=1, inherited_images=5000
)
CONVERTED = StartRecord(kind="cnn", history=(EPOCH, EPOCH.model_copy(update={"epoch": 2})))
AVERAGED = StartRecord(kind="mean", parents=(3, 5), inherited_images=7000)
ALONE = StartRecord(kind="scratch", reason="no relative was finished yet")


def mixed(study: StudyRecord, starts: tuple[StartRecord | None, ...]) -> StudyRecord:
    """Return ``study`` with these starts of its candidates, the front first."""
    numbers = [t.number for t in front_trials(study)]
    found = dict(zip(numbers, starts, strict=False))
    trials = tuple(t.model_copy(update={"start": found.get(t.number)}) for t in study.trials)
    return study.model_copy(update={"trials": trials})


@pytest.fixture
def study(make_study: Build) -> StudyRecord:
    made = mixed(make_study(12), (INHERITED, CONVERTED, ALONE))
    assert len(front_trials(made)) > 3
    return made


def of_kind(study: StudyRecord, start: StartRecord) -> TrialRecord:
    return next(t for t in study.trials if t.start == start)


def test_a_study_from_scratch_does_not_mention_initialization(make_study: Build) -> None:
    plain = make_study(12)
    assert "started from" not in candidates_table(plain, front_trials(plain)).columns
    assert "started_from" not in front_csv(plain)
    assert not [line for line in findings(plain) if "scratch" in line or "weights" in line]
    assert "start" not in json.loads(front_json(plain))["front"][0]


def test_the_tables_name_the_initialization_of_each_candidate(study: StudyRecord) -> None:
    table = candidates_table(study, front_trials(study))
    said = [row[table.columns.index("started from")] for row in table.rows]
    assert said[:4] == ["trial 0", "CNN twin", "scratch", "scratch"]
    rows = csv.DictReader(io.StringIO(front_csv(study)))
    assert [row["started_from"] for row in rows] == said
    assert "| trial 0 |" in markdown(study)


def test_the_findings_count_the_initializations_on_the_front_and_warn(study: StudyRecord) -> None:
    text = " ".join(findings(study))
    rest = len(front_trials(study)) - 2
    assert (
        f"First weights of the candidates on the front: {rest} from scratch, 1 from the weights of another trial and "
        "1 from the weights of a CNN twin that was trained first." in text
    )
    assert "were not trained equally" in text
    assert "were trained on 5,000 images in other trials" in text
    assert text.split("on the front: ")[-1].split(".")[0] in " ".join(markdown(study).split())


def test_no_warning_if_the_front_has_one_kind_of_initialization(make_study: Build) -> None:
    plain = make_study(12)
    text = " ".join(findings(mixed(plain, (CONVERTED,) * 12)))
    assert "CNN twin" in text
    assert "trained equally" not in text


def test_the_page_has_the_initialization_of_each_candidate(study: StudyRecord) -> None:
    trials = {t["number"]: t for t in Page(page(study)).data["trials"]}
    child, plain = of_kind(study, INHERITED), next(t for t in study.trials if t.start is None and t.metrics)
    assert trials[child.number]["origin"] == initialization_label(child) == "trial 0"
    assert trials[child.number]["start"] == initialization_phrase(child)
    assert (trials[plain.number]["start"], trials[plain.number]["origin"]) == ("", "scratch")


def test_the_json_has_the_initialization(study: StudyRecord) -> None:
    found = {c["number"]: c for c in json.loads(front_json(study))["front"]}
    start = found[of_kind(study, INHERITED).number]["start"]
    assert (start["kind"], start["parent"], start["inherited_images"]) == ("inherit", 0, 5000)


def test_an_initialization_is_described_in_words(study: StudyRecord) -> None:
    phrases = [initialization_phrase(of_kind(study, start)) for start in (INHERITED, CONVERTED, ALONE)]
    assert phrases == [
        "from the weights of trial 0, layers 20 copied and 1 rewired, 1 fitted to its outputs; trained on "
        "5,000 images before",
        "from its CNN twin, trained for 2 epochs in 60 s",
        "from scratch: no relative was finished yet",
    ]


def test_training_of_twins_counts_in_the_total_of_the_study(study: StudyRecord, make_study: Build) -> None:
    more, plain = status_summary(study), status_summary(make_study(12))
    assert more.training_images - plain.training_images == 2 * EPOCH.images
    assert more.training_macs - plain.training_macs == 2 * EPOCH.macs


def test_circumstances_name_the_weights_that_a_second_training_needs(study: StudyRecord) -> None:
    assert "the weights of trial 0" in circumstances(study.header, of_kind(study, INHERITED))
    assert "weights" not in circumstances(study.header, of_kind(study, CONVERTED))


def test_the_mean_of_other_trials_weights_is_named_by_its_trials(make_study: Build) -> None:
    study = mixed(make_study(12), (AVERAGED,))
    trial = of_kind(study, AVERAGED)
    assert initialization_label(trial) == "mean of trials 3 and 5"
    assert (
        initialization_phrase(trial) == "from the mean of the weights of trials 3 and 5; trained on 7,000 images before"
    )
    assert "1 from the mean of other trials' weights" in " ".join(findings(study))
    assert "the weights of trials 3 and 5" in circumstances(study.header, trial)


def test_weights_of_an_older_study_are_named_by_trial_and_study(make_study: Build) -> None:
    of_older = INHERITED.model_copy(update={"study": "resize-1"})
    study = mixed(make_study(12), (of_older, INHERITED))
    older, own = (of_kind(study, start) for start in (of_older, INHERITED))
    assert initialization_label(older) == "trial 0 of resize-1"
    assert "from the weights of trial 0 of resize-1, layers" in initialization_phrase(older)
    assert "the weights of trial 0 of resize-1" in circumstances(study.header, older)
    found = {c["number"]: c for c in json.loads(front_json(study))["front"]}
    assert found[older.number]["start"]["study"] == "resize-1"
    assert "study" not in found[own.number]["start"]
