import csv
import io
import json
import re
import shlex
from collections.abc import Callable

import pytest
import yaml

from reports.analysis.front import front_trials
from reports.records.study import ObjectiveRecord, StudyRecord
from reports.study.report import markdown
from reports.study.reproduce import train_again
from reports.study.tables import candidates_table, front_csv, front_json

Build = Callable[..., StudyRecord]


def renamed(study: StudyRecord, name: str) -> StudyRecord:
    trials = tuple(t.model_copy(update={"name": name, "reason": name if t.reason else None}) for t in study.trials)
    return study.model_copy(update={"trials": trials})


def test_the_csv_has_the_front_with_objectives_and_dials(make_study: Build) -> None:
    study = make_study(20)
    rows = list(csv.DictReader(io.StringIO(front_csv(study))))
    front = front_trials(study)
    assert [int(row["number"]) for row in rows] == [t.number for t in front]
    for row, trial in zip(rows, front, strict=True):
        assert {o: float(row[o]) for o in trial.values} == trial.values
        assert {path: row[path] for path in trial.params} == {path: str(value) for path, value in trial.params.items()}
        assert trial.metrics is not None
        assert float(row["test_accuracy"]) == trial.metrics.test_accuracy


def test_a_dial_that_was_not_active_is_an_empty_cell(make_study: Build) -> None:
    study = make_study(1)
    first = study.trials[0].model_copy(update={"params": {"neuron.leak": 0.5}})
    (row,) = csv.DictReader(io.StringIO(front_csv(study.model_copy(update={"trials": (first,)}))))
    assert (row["neuron.leak"], row["network.fire2.keep"]) == ("0.5", "")


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\t=x", "\r\n@x"])
def test_text_that_a_spreadsheet_would_run_is_quoted(make_study: Build, name: str) -> None:
    rows = list(csv.DictReader(io.StringIO(front_csv(renamed(make_study(3), name)))))
    assert {row["name"] for row in rows} == {f"'{name.strip()}"}


def test_the_json_lists_the_candidates_that_dominate_each_published_point(make_study: Build) -> None:
    study = make_study(20)
    found = json.loads(front_json(study))
    assert [c["number"] for c in found["front"]] == [t.number for t in front_trials(study)]
    assert [r["label"] for r in found["references"]] == [r.label for r in study.header.references]
    assert all(isinstance(r["dominated_by"], list) for r in found["references"])


def test_every_row_of_a_table_has_every_column(make_study: Build) -> None:
    study = make_study(10)
    table = candidates_table(study, front_trials(study))
    assert {len(row) for row in table.rows} == {len(table.columns)} == {len(table.numeric)}


@pytest.mark.parametrize("complete", [0, 1, 15])
@pytest.mark.parametrize("objectives", [("accuracy",), ("accuracy", "params"), ("accuracy", "energy_mj", "params")])
def test_markdown_tables_are_rectangular(make_study: Build, complete: int, objectives: tuple[str, ...]) -> None:
    records = tuple(
        ObjectiveRecord(name=o, direction="maximize" if o == "accuracy" else "minimize") for o in objectives
    )
    text = markdown(renamed(make_study(complete, objectives=records), "a|b\n`c`*<b>"))
    for block in text.split("\n\n"):
        if block.startswith("| "):
            bars = {line.replace("\\|", "").count("|") for line in block.splitlines()}
            assert len(bars) == 1
    assert "<b>" not in re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def test_a_line_break_in_a_name_is_no_line_of_a_script(make_study: Build) -> None:
    assert "\nrm -rf" not in markdown(renamed(make_study(3), "x\nrm -rf ~"))


def test_a_fence_holds_whatever_the_space_holds(make_study: Build) -> None:
    study = make_study(0)
    header = study.header.model_copy(update={"space_yaml": "a: |\n  ```\n  ````\n"})
    assert "`````yaml\na: |\n  ```\n  ````\n`````" in markdown(study.model_copy(update={"header": header}))


def test_the_command_trains_the_same_dials(make_study: Build) -> None:
    study = make_study(6)
    trial = study.trials[5].model_copy(update={"params": {"a.b": "it's", "c": True, "d": 0.1, "e": 3}})
    command = shlex.split(train_again(study, trial))
    assert command[:3] == ["snnsearch", "launch", "runs/squeezenet-prune/space.yaml"]
    key, _, value = command[command.index("--set") + 1].partition("=")
    assert key == "candidates"
    assert yaml.safe_load(value) == {"trial-5": trial.params}
