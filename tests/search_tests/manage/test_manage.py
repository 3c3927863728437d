"""Studies are copied, renamed, moved and deleted with all that belongs to them, whenever a process is killed."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from helpers.crashing import dies_at
from helpers.postgres import Server
from helpers.untrained import options_for

from reports.records.study import StudyRecord
from reports.storage.benchmarks import read_benchmark
from reports.storage.studies import find_study
from search.benchmark import finals
from search.errors import InputError
from search.manage import transfer
from search.manage.delete import delete_study
from search.manage.place import StudyPlace
from search.manage.transfer import Transfer, copy_study, move_study, rename_study
from search.storage.lock import StudyLock
from search.storage.postgresql import DriverConnection
from search.storage.rows import has_study, read_rows

STORED = Path(__file__).parents[2] / "golden" / "stored"
BEFORE = Path("trials/0/result.json")
SERVER_NOTICES_S = 60.0
Action = Callable[[StudyPlace], object]
Result = TypeVar("Result")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A study with a finished trial, an interrupted one and two finals."""
    folder = tmp_path / "runs"
    shutil.copytree(STORED / "old-study", folder / "old")
    for name in ("old-finalists", "old-finals"):
        shutil.copytree(STORED / "old-benchmark", folder / name)
    return folder


@pytest.fixture
def few_files(runs: Path) -> None:
    """Leave few files: a process is killed before each change of one."""
    for folder in runs.iterdir():
        for trial in (folder / "trials").iterdir():
            if trial.name not in ("0", "6"):
                shutil.rmtree(trial)
        for report in (*folder.glob("report.*"), *folder.glob("benchmark.[hmcs]*")):
            report.unlink()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def storage(request: pytest.FixtureRequest) -> str | None:
    if request.param == "sqlite":
        return None
    found: str = request.getfixturevalue("server").database()
    return found


@pytest.fixture
def old(runs: Path, storage: str | None) -> StudyPlace:
    place = StudyPlace(runs, "old", storage)
    if storage is not None:
        move_study(StudyPlace(runs, "old"), place, "snnsearch move old", ignore)
    return place


def ignore(text: str) -> None:
    return


def copied(old: StudyPlace) -> Transfer:
    return copy_study(old, StudyPlace(old.runs, "new", old.storage), "snnsearch copy old new", ignore)


def renamed(old: StudyPlace) -> Transfer:
    return rename_study(old, "new", "snnsearch rename old new")


def moved(old: StudyPlace) -> Transfer:
    other = StudyPlace(old.runs.parent / "other", "old", old.storage)
    return move_study(old, other, "snnsearch move old other", ignore)


def moved_by_copying(old: StudyPlace) -> Transfer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "_same_file_system", lambda one, other: False)
        return moved(old)


def stored(place: StudyPlace) -> StudyRecord:
    return find_study(place.name, place.runs, place.storage)


def files(folder: Path) -> dict[str, bytes]:
    """The files that no command writes again."""
    changed = ("study.db", "header.json", "driver.lock", "driver.holder", "benchmark.json", "benchmark.yaml")
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    reports = ("report.", "front.", "benchmark.")
    kept = (name for name in found if name not in changed and not name.startswith(reports))
    return {name: found[name] for name in kept if not name.endswith(".partial")}  # left by a process that was killed


def everything(runs: Path, name: str, storage: str | None) -> tuple[object, ...]:
    """All that belongs to a study, without its name."""
    place = StudyPlace(runs, name, storage)
    record = stored(place)
    header = record.header.model_dump(exclude={"name"})
    cells = [read_benchmark(folder).trials for folder in place.finals()]
    return header, record.trials, files(place.folder.path), cells, list(map(files, place.finals()))


def hidden(runs: Path) -> list[str]:
    return [path.name for path in runs.iterdir() if path.name.startswith(".")]


ACTIONS = {"copy": copied, "rename": renamed, "move": moved, "move by copying": moved_by_copying}


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_everything_arrives(action: Callable[[StudyPlace], Transfer], old: StudyPlace) -> None:
    before = everything(old.runs, "old", old.storage)
    done = action(old)
    place = done.place
    assert everything(place.runs, place.name, place.storage) == before
    assert stored(place).header.name == place.name
    assert done.finals == (f"{place.name}-finalists", f"{place.name}-finals")
    assert [read_benchmark(folder).header.name for folder in place.finals()] == list(done.finals)
    assert old.folder.path.exists() == (action is copied)
    assert hidden(place.runs) == hidden(old.runs) == []


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
@pytest.mark.usefixtures("few_files")
def test_kill_between_any_two_steps_loses_nothing(
    action: Callable[[StudyPlace], Transfer], every: int, old: StudyPlace
) -> None:
    before = everything(old.runs, "old", old.storage)
    for step in killed_steps(old, action, every):
        place = finished(action, old)
        assert everything(place.runs, place.name, place.storage) == before, f"killed before change {step}"
        assert hidden(place.runs) == []
        if action is copied:
            delete_study(place)
        else:  # and back, for the next step
            back = StudyPlace(old.runs, "old", old.storage)
            (rename_study(place, "old", "back") if action is renamed else move_study(place, back, "back", ignore))


def killed_steps(old: StudyPlace, action: Action, every: int = 1) -> Iterator[int]:
    """Yield steps before which a process that does ``action`` has been killed."""
    step = 0
    while dies_at(step, lambda: action(old)):
        yield step
        step += every
    assert step > 5


def unlocked(action: Callable[[], Result]) -> Result:
    """Return the result of ``action``. The server needs a moment to notice that a process was killed."""
    until = time.monotonic() + SERVER_NOTICES_S
    while True:
        try:
            return action()
        except InputError as error:
            if "already running" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.05)


def finished(action: Callable[[StudyPlace], Transfer], old: StudyPlace) -> StudyPlace:
    """Do ``action`` again if anything is left of it, and return where the study is then."""
    other = action in (moved, moved_by_copying)
    place = StudyPlace(old.runs.parent / "other", "old", old.storage) if other else replace(old, name="new")
    done = place.folder.path.exists() and not (place.runs / ".pending" / place.name / "change.json").exists()
    if not done:
        return unlocked(lambda: action(old)).place
    with pytest.raises(InputError, match="exists already"):  # and it cleans up
        unlocked(lambda: action(old))
    return place


@pytest.mark.usefixtures("few_files")
def test_kill_while_deleting_leaves_nothing_after_the_next_call(old: StudyPlace) -> None:
    kept = copied(old).place
    for _ in killed_steps(old, delete_study, every=3):
        if old.folder.path.exists() or (old.runs / ".deleted" / "old").exists():
            unlocked(lambda: delete_study(old))
        left = [path for path in old.runs.iterdir() if any(path.iterdir())]  # the next call removes an empty .deleted
        assert sorted(path.name for path in left) == ["new", "new-finalists", "new-finals"]
        unlocked(lambda: copy_study(kept, StudyPlace(old.runs, "old", old.storage), "again", ignore))


def test_renamed_study_continues_its_finals_and_its_search(old: StudyPlace) -> None:
    place = renamed(old).place
    result = place.runs / "new-finalists" / BEFORE
    (place.runs / "new-finalists" / "trials/1/result.json").unlink()  # one training is left
    kept = result.read_bytes()
    finals.resume("new", options_for(place.runs, data_root=None, storage=place.storage))
    assert result.read_bytes() == kept
    assert all(trial.status == "complete" for trial in read_benchmark(place.runs / "new-finalists").trials)
    complete = sum(trial.status == "complete" for trial in stored(place).trials)
    record = finals.resume("new", options_for(place.runs, trials=1, data_root=None, storage=place.storage))
    assert sum(trial.status == "complete" for trial in record.trials) == complete + 1


def test_copy_is_independent(old: StudyPlace) -> None:
    (old.folder.path / "exchange.txt").write_text("memory://cluster/old-1234\n")
    copied(old)
    before = everything(old.runs, "old", old.storage)
    finals.resume("new", options_for(old.runs, trials=1, data_root=None, storage=old.storage))
    assert everything(old.runs, "old", old.storage) == before
    assert not (old.runs / "new" / "exchange.txt").exists()


@pytest.mark.parametrize("action", [*ACTIONS.values(), delete_study], ids=[*ACTIONS, "delete"])
@pytest.mark.parametrize("locked", ["old", "old-finalists"])
def test_running_study_stays(action: Action, locked: str, old: StudyPlace) -> None:
    before = sorted(old.runs.rglob("*"))
    with StudyLock(old.runs / locked, locked, ""):
        child = os.fork()  # another process: this one holds the lock
        if child == 0:
            try:
                action(old)
            except InputError as error:
                os._exit(0 if "already running" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    after = [path for path in sorted(old.runs.rglob("*")) if not path.name.startswith("driver.")]
    assert after == [path for path in before if not path.name.startswith("driver.")]


@pytest.mark.parametrize("taken", ["new", "new-finalists"])
@pytest.mark.parametrize("action", [copied, renamed], ids=["copy", "rename"])
def test_taken_name_is_refused(action: Action, taken: str, old: StudyPlace) -> None:
    shutil.copytree(STORED / "old-benchmark", old.runs / taken)
    before = everything(old.runs, "old", old.storage)
    with pytest.raises(InputError, match="exists already"):
        action(old)
    assert everything(old.runs, "old", old.storage) == before
    assert hidden(old.runs) == []


@pytest.mark.usefixtures("few_files")
def test_another_command_to_the_same_name_waits_for_the_first(old: StudyPlace) -> None:
    steps = killed_steps(old, copied)
    while not (old.runs / ".pending/new/change.json").exists():
        next(steps)
    with pytest.raises(InputError, match="Finish it first: snnsearch copy old new"):
        rename_study(old, "new", "snnsearch rename old new")
    place = unlocked(lambda: copied(old)).place
    assert stored(place).trials == stored(old).trials


@pytest.mark.usefixtures("few_files")
def test_source_that_was_continued_after_it_was_copied_is_kept(old: StudyPlace) -> None:
    if old.storage is not None:
        pytest.skip("a move within one database copies no rows")
    steps = killed_steps(old, moved_by_copying)
    while not (old.runs.parent / "other/old/study.db").exists():
        next(steps)
    finals.resume("old", options_for(old.runs, trials=1, data_root=None))
    with pytest.raises(InputError, match="Both are kept"):
        moved_by_copying(old)
    assert find_study("old", old.runs).trials != find_study("old", old.runs.parent / "other").trials


def test_names_that_are_no_study_are_refused(old: StudyPlace) -> None:
    (old.runs / "holiday").mkdir()
    (old.runs / "holiday/photo.jpg").write_bytes(b"")
    for name in ("holiday", "missing", "old-finals"):
        with pytest.raises(InputError):
            delete_study(replace(old, name=name))
        if name != "holiday" or old.storage is None:  # with a server, any folder may be the one of a study
            with pytest.raises(InputError):
                rename_study(replace(old, name=name), "new", "")
    assert (old.runs / "holiday/photo.jpg").exists()
    assert hidden(old.runs) == []
    with pytest.raises(InputError, match="for example new-one"):
        rename_study(old, "New one", "")


@pytest.mark.slow
def test_rows_survive_the_way_to_postgresql_and_back(runs: Path, server: Server) -> None:
    here, there = StudyPlace(runs, "old"), StudyPlace(runs, "old", server.database())
    before, rows = everything(runs, "old", None), read_rows(here.url, "old-study")
    assert move_study(here, there, "", ignore).place == there
    assert not here.folder.database.exists()
    assert everything(runs, "old", there.storage) == before
    assert read_rows(there.url, "old").equal(rows)
    move_study(there, here, "", ignore)
    assert everything(runs, "old", None) == before
    assert read_rows(here.url, "old").equal(rows)
    assert not has_study(there.url, "old")


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True], ids=["to PostgreSQL", "to SQLite"])
@pytest.mark.usefixtures("few_files")
def test_kill_while_the_rows_move(back: bool, runs: Path, server: Server) -> None:
    here, there = StudyPlace(runs, "old"), StudyPlace(runs, "old", server.database())
    rows = read_rows(here.url, "old-study")
    source, target = (there, here) if back else (here, there)
    if back:
        move_study(here, there, "", ignore)
    step = 0
    while dies_at(step, lambda: move_study(source, target, "", ignore)):
        unlocked(lambda: move_study(source, target, "", ignore))
        assert read_rows(target.url, target.stored_name).equal(rows)
        assert not source.has_rows
        move_study(target, source, "", ignore)
        step += 1
    assert step > 3


@pytest.mark.slow
def test_study_that_another_machine_drives_stays(runs: Path, server: Server) -> None:
    place = StudyPlace(runs, "old", server.database())
    move_study(StudyPlace(runs, "old"), place, "", ignore)
    with closing(DriverConnection(place.url, "old", ignore, threading.Event())):
        for action in (copied, renamed, moved, delete_study):
            with pytest.raises(InputError, match="already running"):
                action(place)
    assert place.has_rows


@pytest.mark.slow
def test_taken_name_in_the_database_is_refused(runs: Path, server: Server) -> None:
    url = server.database()
    shutil.copytree(runs / "old", runs.parent / "two" / "old")
    move_study(StudyPlace(runs, "old"), StudyPlace(runs, "old", url), "", ignore)
    copied(StudyPlace(runs, "old", url))
    resumed = StudyPlace(runs.parent / "two", "old")
    rename_study(resumed, "new", "")
    finals.resume("new", options_for(resumed.runs, trials=1, data_root=None))
    with pytest.raises(InputError, match="another study 'new'"):
        move_study(replace(resumed, name="new"), StudyPlace(resumed.runs, "new", url), "", ignore)
    assert (resumed.runs / "new" / "study.db").exists()
