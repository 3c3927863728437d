import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st

from reports.records.study import RECORD_VERSION, StudyRecord
from reports.storage.database import _TRIALS, Database, _Server
from reports.storage.studies import LedgerError, list_studies, load_study_folder, read_study, sqlite_url

Build = Callable[..., StudyRecord]
Store = Callable[[StudyRecord, Path], str]


@pytest.fixture(scope="module")
def stored(make_study: Build, store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyRecord, Path]:
    study, folder = make_study(5), tmp_path_factory.mktemp("runs") / "squeezenet-prune"
    folder.mkdir()
    store(study, folder / "study.db")
    return study, folder


def set_attribute(path: Path, table: str, owner: str, value: str) -> None:
    with sqlite3.connect(path) as connection:
        key = "header" if "study" in table else "record"
        connection.execute(f"UPDATE {table} SET value_json = ? WHERE key = ? AND {owner} = 1", (value, key))


def test_what_was_stored_is_read_back(stored: tuple[StudyRecord, Path]) -> None:
    study, folder = stored
    read = read_study(sqlite_url(folder / "study.db"), "squeezenet-prune")
    assert read.header == study.header
    with_record = [t for t in study.trials if t.status not in ("running", "waiting")]
    assert [t for t in read.trials if t.status not in ("running", "waiting")] == with_record
    assert read == load_study_folder(folder)


def test_running_trials_have_the_parameters_asked_for(stored: tuple[StudyRecord, Path]) -> None:
    (running,) = [t for t in load_study_folder(stored[1]).trials if t.status == "running"]
    asked = optuna.load_study(study_name="squeezenet-prune", storage=sqlite_url(stored[1] / "study.db"))
    trial = asked.trials[running.number]
    assert running.params == trial.params
    assert [type(v) for v in running.params.values()] == [bool, int, float]
    assert running.started_at == trial.datetime_start.timestamp()  # type: ignore[union-attr]


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The local time zone of this process."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"], indirect=True)
@pytest.mark.parametrize(
    "start",
    ["2026-07-01T12:00:00", "2026-10-25T00:59:59", "2026-10-25T01:30:00", "2026-11-01T05:30:00", "2026-11-01T06:30:00"],
)
@pytest.mark.usefixtures("zone")
def test_start_of_a_running_trial_is_right_in_every_time_zone(
    start: str, make_study: Build, store: Store, tmp_path: Path
) -> None:
    """Optuna stores UTC. On 2026-11-01, clocks of New York went back, so 01:30 came twice there."""
    store(make_study(1), tmp_path / "study.db")
    moment = datetime.fromisoformat(start).replace(tzinfo=UTC)
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("UPDATE trials SET datetime_start = ?", (moment.strftime("%Y-%m-%d %H:%M:%S.000000"),))
    (running,) = [trial for trial in load_study_folder(tmp_path).trials if trial.status == "running"]
    assert running.started_at == moment.timestamp()


PATHS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(name=PATHS)
def test_sqlite_url_names_the_file_whatever_its_characters(name: str) -> None:
    path = Path("/folder", name, "study.db").resolve()
    url = sqlite_url(path)
    assert url == sqlalchemy.URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)
    assert sqlalchemy.make_url(url).database == str(path)


@pytest.mark.parametrize("name", ["a?mode=memory", "a#b", "50%", "%41", "a&b;c", "späte läufe", "a:b@c", "' \""])
def test_study_in_a_folder_with_reserved_characters_is_stored_and_read_there(
    make_study: Build, store: Store, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    store(make_study(2), folder / "study.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert (folder / "study.db").is_file()
    assert len(load_study_folder(folder).trials) == len(make_study(2).trials)


def test_waiting_trials_have_their_name_and_fixed_parameters(stored: tuple[StudyRecord, Path]) -> None:
    (waiting,) = [t for t in load_study_folder(stored[1]).trials if t.status == "waiting"]
    assert (waiting.name, waiting.params) == ("ref-1", {"network.fire2.keep": False})


@pytest.mark.parametrize("state", ["COMPLETE", "FAIL", "PRUNED"])
def test_a_trial_that_ended_without_a_record_has_failed(
    make_study: Build, store: Store, tmp_path: Path, state: str
) -> None:
    url = store(make_study(0, others=False), tmp_path / "study.db")
    study = optuna.load_study(study_name="squeezenet-prune", storage=url)
    values = [0.5, 0.1, 10.0] if state == "COMPLETE" else None
    study.tell(study.ask(), values, state=optuna.trial.TrialState[state])
    (trial,) = read_study(url, "squeezenet-prune").trials
    assert (trial.status, trial.reason) == ("failed", f"ended as {state} without a record")


def test_a_damaged_record_fails_only_its_own_trial(make_study: Build, store: Store, tmp_path: Path) -> None:
    study = make_study(2, others=False)
    url = store(study, tmp_path / "study.db")
    spoilt = study.trials[0].model_dump(mode="json") | {"wall_s": float("nan")}
    set_attribute(tmp_path / "study.db", "trial_user_attributes", "trial_id", json.dumps(spoilt))
    read = read_study(url, "squeezenet-prune").trials
    assert read[0].status == "failed"
    assert "wall_s" in (read[0].reason or "")
    assert read[1] == study.trials[1]


@pytest.mark.parametrize(
    ("table", "owner"), [("study_user_attributes", "study_id"), ("trial_user_attributes", "trial_id")]
)
def test_a_newer_version_is_refused(make_study: Build, store: Store, tmp_path: Path, table: str, owner: str) -> None:
    url = store(make_study(1, others=False), tmp_path / "study.db")
    set_attribute(tmp_path / "study.db", table, owner, json.dumps({"version": RECORD_VERSION + 1, "unheard_of": 1}))
    with pytest.raises(LedgerError, match=f"version {RECORD_VERSION + 1} .* up to {RECORD_VERSION}"):
        read_study(url, "squeezenet-prune")


def test_an_unknown_study_is_named_with_those_that_exist(stored: tuple[StudyRecord, Path]) -> None:
    with pytest.raises(LedgerError, match=r"no study 'squeezenet-prun' .*Studies there: squeezenet-prune"):
        read_study(sqlite_url(stored[1] / "study.db"), "squeezenet-prun")
    with pytest.raises(LedgerError, match=r"it has no study.db.*: squeezenet-prune"):
        load_study_folder(stored[1].parent / "other")


def test_only_folders_with_a_database_are_studies(stored: tuple[StudyRecord, Path]) -> None:
    (stored[1].parent / "notes").mkdir()
    assert list_studies(stored[1].parent) == (stored[1],)
    assert list_studies(stored[1] / "nowhere") == ()


def test_reading_creates_no_database(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no file"):
        read_study(sqlite_url(tmp_path / "study.db"), "x")
    assert list(tmp_path.iterdir()) == []


def test_reading_creates_no_table(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "study.db").close()
    (tmp_path / "study.db").touch()
    with pytest.raises(LedgerError, match="Studies there: none"):
        read_study(sqlite_url(tmp_path / "study.db"), "x")
    assert (tmp_path / "study.db").stat().st_size == 0


def test_reading_leaves_the_file_as_it_was(stored: tuple[StudyRecord, Path]) -> None:
    before = (stored[1] / "study.db").read_bytes()
    load_study_folder(stored[1])
    assert (stored[1] / "study.db").read_bytes() == before
    assert [p.name for p in stored[1].iterdir()] == ["study.db"]


def test_a_study_is_read_while_a_writer_is_in_wal_mode(make_study: Build, store: Store, tmp_path: Path) -> None:
    study = make_study(2, others=False)
    url = store(study, tmp_path / "study.db")
    with sqlite3.connect(tmp_path / "study.db", isolation_level=None) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM trial_user_attributes")
        assert read_study(url, "squeezenet-prune") == study
        writer.execute("ROLLBACK")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("not a database, whatever its name says")
    with pytest.raises(LedgerError, match=r"cannot read .*not a database"):
        load_study_folder(tmp_path)


@pytest.mark.parametrize("url", ["study.db", "nosuch://host/x", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_read_says_what_to_write(url: str) -> None:
    with pytest.raises(LedgerError, match=r"write sqlite:///|in memory"):
        read_study(url, "x")


def test_a_server_answers_as_a_file_does(stored: tuple[StudyRecord, Path]) -> None:
    url = sqlite_url(stored[1] / "study.db")
    database = Database(url)
    file, server = database._source, _Server(url)
    study = database.study("squeezenet-prune")["study_id"]
    for query in (_TRIALS, "SELECT * FROM studies WHERE study_id = :study"):
        assert [dict(row) for row in file.rows(query, study=study)] == list(server.rows(query, study=study))
    assert file.has_studies()
    assert server.has_studies()
    with pytest.raises(LedgerError, match="no such table"):
        server.rows("SELECT * FROM nowhere")


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(LedgerError) as caught:
        read_study("postgresql+psycopg://user:secret@127.0.0.1:1/none", "x")
    assert "secret" not in str(caught.value)


def test_another_schema_is_refused(make_study: Build, store: Store, tmp_path: Path) -> None:
    url = store(make_study(0, others=False), tmp_path / "study.db")
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("UPDATE version_info SET schema_version = 13")
    with pytest.raises(LedgerError, match="schema 13"):
        read_study(url, "squeezenet-prune")


def test_reading_a_study_imports_no_heavy_package(stored: tuple[StudyRecord, Path]) -> None:
    code = (
        "import sys, pathlib; from reports.storage.studies import load_study_folder;"
        "from reports.analysis.front import status_summary;"
        f"status_summary(load_study_folder(pathlib.Path({str(stored[1])!r})));"
        "print([m for m in ('torch', 'ray', 'optuna', 'numpy', 'pandas') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert run.stdout.strip() == "[]"


def test_address_with_a_port_that_is_no_number_gets_one_message_without_its_password():
    with pytest.raises(LedgerError, match="no URL that can be read") as caught:
        read_study("postgresql+psycopg://user:se:cr:et@host:port:7/name", "study")
    assert caught.value.__cause__ is None
    assert "cr" not in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("/".join(["long" * 50] * 3), "this path has 6.. bytes, and SQLite opens 504 at most"),
        ("\udcff", "is not UTF-8"),
    ],
)
def test_path_that_sqlite_cannot_open_is_refused(folder: str, said: str) -> None:
    with pytest.raises(LedgerError, match=f"{said}.*; choose another folder with --runs DIR"):
        sqlite_url(Path("/", folder, "study.db"))


def test_longest_path_that_sqlite_opens_is_accepted(stored: tuple[StudyRecord, Path], tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 200)
    for length in (504, 505):
        path = folder / ("b" * (length - len(f"{folder}//study.db"))) / "study.db"
        path.parent.mkdir(parents=True)
        shutil.copy(stored[1] / "study.db", path)
        if length == 504:
            assert len(load_study_folder(path.parent).trials) == len(stored[0].trials)
        else:
            with pytest.raises(sqlite3.OperationalError):
                sqlite3.connect(path).execute("PRAGMA schema_version")
