"""A damaged database is reported on or refused with a message, and a damaged trial does not hide the others.

SNNSEARCH_FUZZ=2000 tries 2,000 databases instead of 20.
"""

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.small_studies import build_study, write_study
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.analysis.front import status_summary
from reports.storage.studies import LedgerError, load_study_folder
from reports.study.report import markdown, page
from reports.study.tables import front_csv, front_json

EXAMPLES = int(os.environ.get("SNNSEARCH_FUZZ", "20"))
pytestmark = pytest.mark.timeout(1800 + EXAMPLES)
PLACES = (
    *[("trial_user_attributes", "value_json")] * 3,
    *(("study_user_attributes", "value_json"), ("trial_system_attributes", "value_json"), ("trials", "state")),
    *(("trial_params", "distribution_json"), ("trial_params", "param_value"), ("trials", "number")),
    *(("trials", "datetime_start"), ("version_info", "schema_version"), ("studies", "study_name")),
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        10**30,
        10**400,
        1e308,
        -1e308,
        5e-324,
        float("nan"),
        float("inf"),
        "",
        "x",
        "é\ud800",
        "9" * 5000,
    ),
    *([], {}, [1], {"a": 1}, "complete", "failed", "accuracy", "</script>", "\x1b[2J"),
)
TEXTS = ("", "nul", "[", "{}", "[]", "1", '"x"', "[" * 3000 + "]" * 3000, "9" * 5000, "NaN", "\x00", '{"version": 9}')
CELLS = (None, -1, 3, "x", 1e300, 2**62, b"\xff", "2026-11-26 08:00:00.000000", "2026-99-99")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "study.db"
    write_study(build_study(3, epochs=2), path)
    return path


def places(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from places(tree[key])


def changed(text: str, rng: random.Random) -> str:
    """JSON with one value exchanged, or no JSON at all."""
    found = list(places(tree := json.loads(text)))
    if not found or rng.random() < 0.2:
        return rng.choice(TEXTS)
    inside, key = rng.choice(found)
    inside[key] = rng.choice(VALUES)
    return json.dumps(tree)


def spoil(path: Path, rng: random.Random) -> None:
    with sqlite3.connect(path) as database:
        for _ in range(rng.randint(1, 2)):
            table, column = rng.choice(PLACES)
            row, value = rng.choice(database.execute(f"SELECT rowid, {column} FROM {table}").fetchall())
            try:
                new = changed(value, rng) if column.endswith("json") else rng.choice(CELLS)
                database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, row))
            except (sqlite3.IntegrityError, ValueError, RecursionError):  # refused by the table; spoilt already
                continue
    database.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(st.randoms(use_true_random=False))
def test_any_database_is_reported_on_or_refused(whole: Path, rng: random.Random) -> None:
    folder = whole.parent / "spoilt"
    folder.mkdir(exist_ok=True)
    shutil.copy(whole, folder)
    spoil(folder / "study.db", rng)
    try:
        study = load_study_folder(folder)
    except LedgerError:
        return
    assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
    for render in (page, markdown, front_csv, front_json):
        assert render(study)
    json.dumps(status_summary(study).to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("statement", "number", "reason"),
    [
        ("UPDATE trial_user_attributes SET value_json = '[' WHERE key = 'record'", 0, "cannot be read"),
        (
            f"UPDATE trial_user_attributes SET value_json = json_replace(value_json, '$.seed', json('1{'0' * 400}')) "
            "WHERE key = 'record'",
            0,
            "seed: ",
        ),
        (
            "UPDATE trial_user_attributes SET value_json = json_replace(value_json, '$.started_at', 1e300) "
            "WHERE key = 'record'",
            0,
            "started_at: ",
        ),
        ("UPDATE trial_user_attributes SET value_json = '[1]' WHERE key = 'name'", 0, "cannot be read"),
        ("UPDATE trial_params SET distribution_json = 'x'", 7, "cannot be read"),
        ("UPDATE trial_params SET param_value = 99", 7, "cannot be read"),
        ("UPDATE trials SET datetime_start = 'x' WHERE number = 7", 7, "Invalid isoformat string"),
        (
            "UPDATE trial_user_attributes SET value_json = json_set(value_json, '$.number', 99) WHERE key = 'record'",
            0,
            "it belongs to trial 99",
        ),
    ],
)
def test_damaged_value_fails_its_trial(whole: Path, tmp_path: Path, statement: str, number: int, reason: str) -> None:
    shutil.copy(whole, tmp_path / "study.db")
    with sqlite3.connect(tmp_path / "study.db") as database:
        assert database.execute(statement).rowcount
    database.close()
    trials = load_study_folder(tmp_path).trials
    assert trials[number].status == "failed"
    assert reason in str(trials[number].reason)


def test_trials_that_are_not_numbered_from_0_are_refused(whole: Path, tmp_path: Path) -> None:
    shutil.copy(whole, tmp_path / "study.db")
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("UPDATE trials SET number = 77 WHERE number = 1")
    database.close()
    with pytest.raises(LedgerError, match="not numbered from 0"):
        load_study_folder(tmp_path)
