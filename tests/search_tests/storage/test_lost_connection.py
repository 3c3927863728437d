"""The connection to PostgreSQL is lost, and comes back, or does not, or another driver has been there meanwhile."""

import random
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import sqlalchemy
from helpers.postgres import Server
from helpers.proxy import Proxy
from helpers.untrained import header_for, trained
from helpers.waiting import PATIENCE_S

from reports.storage.studies import read_study
from search.errors import InputError
from search.space.space import Space
from search.storage import postgresql
from search.storage.lock import StudyLock
from search.storage.postgresql import LockLostError
from search.storage.url import StorageError
from search.study import create, study


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(postgresql, "RETRY_INTERVAL_S", 0.05)
    # before it says that a trial was not added Optuna tries five times, up to two seconds apart
    monkeypatch.setattr(optuna.storages._rdb.storage, "random", SimpleNamespace(random=lambda: 0.01))


@pytest.fixture
def proxy(server: Server):
    found = Proxy(server.port)
    yield found
    found.close()


def through(proxy: Proxy, url: str) -> str:
    return sqlalchemy.make_url(url).set(port=proxy.port, host="127.0.0.1").render_as_string(hide_password=False)


def ignore(record):
    return None


def opened(space: Space, folder: Path, url: str, lease: StudyLock) -> study.Study:
    return create.create_study(header_for(space, folder), space, folder, url, lease.connection)


def drive(work: study.Study, trials: int) -> None:
    for _ in range(trials):
        job = work.next(ignore)
        assert job is not None
        work.finish(trained(job))


def undisturbed(space: Space, server: Server, folder: Path, trials: int):
    url = server.database()
    folder.mkdir()
    with StudyLock(folder, space.study.name, url) as lease:
        drive(opened(space, folder, url, lease), trials)
    return read_study(url, space.study.name).trials


def test_outage_is_waited_for_and_changes_nothing(server, space, tmp_path):
    whole = undisturbed(space, server, tmp_path / "whole", 6)
    url, said = server.database(), []
    with StudyLock(tmp_path, space.study.name, url, said.append) as lease:
        work = opened(space, tmp_path, url, lease)
        drive(work, 2)
        for job in (work.next(ignore), None):  # before a trial is told, and before one is asked
            server.stop()
            threading.Timer(0.5, server.start).start()
            drive(work, 2) if job is None else work.finish(trained(job))
        drive(work, 1)
    assert read_study(url, space.study.name).trials == whole
    assert [line.split(":")[0].split(" after")[0] for line in said] == [
        "database  no connection", "database  connected again",
    ] * 2  # fmt: skip


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
def test_commit_without_an_answer_is_done_once(server, proxy, space, tmp_path, seed):
    whole = undisturbed(space, server, tmp_path / "whole", 8)
    url, rng = server.database(), random.Random(seed)
    with StudyLock(tmp_path, space.study.name, through(proxy, url)) as lease:
        proxy.cut_behind(lambda data: b"COMMIT" in data and rng.random() < 0.3)
        drive(opened(space, tmp_path, through(proxy, url), lease), 8)
        proxy.cut_behind(None)
    assert proxy.cuts > 8
    assert read_study(url, space.study.name).trials == whole


@pytest.mark.slow
def test_server_that_stays_away_ends_the_run_with_one_message(server, space, tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql, "MAX_OUTAGE_S", 0.5)
    url = server.database()
    with StudyLock(tmp_path, space.study.name, url) as lease:
        work = opened(space, tmp_path, url, lease)
        job = work.next(ignore)
        server.stop()
        try:
            with pytest.raises(StorageError, match=r"storing the record of trial 0.: .*refused.*snnsearch resume"):
                work.finish(trained(job))
        finally:
            server.start()
    with StudyLock(tmp_path, space.study.name, url) as lease:
        again = create.load_study(read_study(url, space.study.name).header, space, tmp_path, url, lease.connection)
        assert again.recover() == ([], [0])
        assert again.next(ignore) == job


@pytest.mark.slow
def test_run_that_is_to_stop_does_not_wait(server, space, tmp_path):
    url = server.database()
    with StudyLock(tmp_path, space.study.name, url) as lease:
        work = opened(space, tmp_path, url, lease)
        server.stop()
        threading.Timer(0.5, lease.stop.set).start()
        try:
            with pytest.raises(StorageError):
                work.next(ignore)
        finally:
            server.start()


def test_server_that_does_not_answer_is_not_waited_for_for_ever(server, proxy, space, tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql, "OPERATION_TIMEOUT_S", 0.5)
    monkeypatch.setitem(postgresql.CONNECT_OPTIONS, "connect_timeout", 2)
    url = server.database()
    with StudyLock(tmp_path, space.study.name, through(proxy, url)) as lease:
        work = opened(space, tmp_path, through(proxy, url), lease)
        proxy.swallowing = True
        threading.Timer(1.0, lambda: setattr(proxy, "swallowing", False)).start()
        drive(work, 2)
    assert [t.status for t in read_study(url, space.study.name).trials[:2]] == ["complete"] * 2


def test_own_session_that_the_server_still_has_is_no_other_driver(server, proxy, space, tmp_path):
    url = server.database()
    with StudyLock(tmp_path, space.study.name, through(proxy, url)) as lease:
        work = opened(space, tmp_path, through(proxy, url), lease)
        proxy.forget()
        drive(work, 1)
    assert read_study(url, space.study.name).trials[0].status == "complete"


def test_second_driver_is_told_of_the_first_and_of_its_place(server, space, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"  # folders that share no lock file
    here.mkdir()
    there.mkdir()
    url = server.database()
    with StudyLock(here, space.study.name, url), pytest.raises(InputError, match=r"by process \d+ on .*same database"):
        StudyLock(there, space.study.name, url)


@pytest.mark.parametrize("over", [False, True], ids=["still drives", "has come and gone"])
def test_driver_that_was_taken_over_writes_nothing(server, proxy, space, tmp_path, over):
    url, name = server.database(), space.study.name
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with StudyLock(here, name, through(proxy, url)) as lease:
        first = opened(space, here, through(proxy, url), lease)
        job = first.next(ignore)
        proxy.refusing = True
        proxy.cut()
        wait_until_free(url, name, there)
        other = StudyLock(there, name, url)
        second = create.load_study(read_study(url, name).header, space, there, url, other.connection)
        second.recover()
        drive(second, 2)
        before = read_study(url, name)
        if over:
            other.release()
        proxy.refusing = False
        for attempt in (lambda: first.finish(trained(job)), lambda: first.next(ignore)):
            with pytest.raises(LockLostError, match=r"another driver took .* over while .* lost: process \d+ on "):
                attempt()
        assert read_study(url, name) == before
        if not over:
            drive(second, 1)
            other.release()


def wait_until_free(url: str, name: str, folder: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            StudyLock(folder, name, url).release()
        except InputError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return
