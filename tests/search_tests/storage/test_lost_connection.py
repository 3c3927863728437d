"""The connection to PostgreSQL is lost: it returns, or it does not, or another driver took the study over meanwhile."""

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
    # Optuna tries five times to add a trial, up to two seconds apart
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


def opened(space: Space, folder: Path, url: str, lock: StudyLock) -> study.Study:
    return create.create_study(header_for(space, folder), space, folder, url, lock.connection)


def drive(work: study.Study, trials: int) -> None:
    for _ in range(trials):
        job = work.next(ignore)
        assert job is not None
        work.finish(trained(job))


def undisturbed(space: Space, server: Server, folder: Path, trials: int):
    url = server.database()
    folder.mkdir()
    with StudyLock(folder, space.study.name, url) as lock:
        drive(opened(space, folder, url, lock), trials)
    return read_study(url, space.study.name).trials


@pytest.mark.slow
def test_driver_waits_for_an_outage_and_stores_the_same_trials(server, space, tmp_path):
    whole = undisturbed(space, server, tmp_path / "whole", 6)
    url, said = server.database(), []
    with StudyLock(tmp_path, space.study.name, url, said.append) as lock:
        work = opened(space, tmp_path, url, lock)
        drive(work, 2)
        for job in (work.next(ignore), None):  # before a result is stored, and before a candidate is asked for
            server.stop()
            threading.Timer(0.5, server.start).start()
            drive(work, 2) if job is None else work.finish(trained(job))
        drive(work, 1)
    assert read_study(url, space.study.name).trials == whole
    assert [line.split(":")[0].split(" after")[0] for line in said] == [
        "database  no connection", "database  connected again",
    ] * 2  # fmt: skip


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
def test_commit_without_an_answer_takes_effect_once(server, proxy, space, tmp_path, seed):
    whole = undisturbed(space, server, tmp_path / "whole", 8)
    url, rng = server.database(), random.Random(seed)
    with StudyLock(tmp_path, space.study.name, through(proxy, url)) as lock:
        proxy.cut_behind(lambda data: b"COMMIT" in data and rng.random() < 0.3)
        drive(opened(space, tmp_path, through(proxy, url), lock), 8)
        proxy.cut_behind(None)
    assert proxy.cuts > 8
    assert read_study(url, space.study.name).trials == whole


@pytest.mark.slow
def test_server_that_does_not_return_ends_the_run_with_one_message(server, space, tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql, "MAX_OUTAGE_S", 0.5)
    url = server.database()
    with StudyLock(tmp_path, space.study.name, url) as lock:
        work = opened(space, tmp_path, url, lock)
        job = work.next(ignore)
        server.stop()
        try:
            with pytest.raises(StorageError, match=r"storing the record of trial 0.: .*refused.*snnsearch resume"):
                work.finish(trained(job))
        finally:
            server.start()
    with StudyLock(tmp_path, space.study.name, url) as lock:
        again = create.load_study(read_study(url, space.study.name).header, space, tmp_path, url, lock.connection)
        assert again.recover() == ([], [0])
        assert again.next(ignore) == job


@pytest.mark.slow
def test_stopping_driver_does_not_wait_for_the_server(server, space, tmp_path):
    url = server.database()
    with StudyLock(tmp_path, space.study.name, url) as lock:
        work = opened(space, tmp_path, url, lock)
        server.stop()
        threading.Timer(0.5, lock.stop.set).start()
        try:
            with pytest.raises(StorageError):
                work.next(ignore)
        finally:
            server.start()


def test_connection_to_a_server_that_does_not_answer_is_cut(server, proxy, space, tmp_path, monkeypatch):
    monkeypatch.setattr(postgresql, "OPERATION_TIMEOUT_S", 0.5)
    monkeypatch.setitem(postgresql.CONNECT_OPTIONS, "connect_timeout", 2)
    url = server.database()
    with StudyLock(tmp_path, space.study.name, through(proxy, url)) as lock:
        work = opened(space, tmp_path, through(proxy, url), lock)
        proxy.swallowing = True
        threading.Timer(1.0, lambda: setattr(proxy, "swallowing", False)).start()
        drive(work, 2)
    assert [t.status for t in read_study(url, space.study.name).trials[:2]] == ["complete"] * 2


def test_own_lost_session_is_not_taken_for_another_driver(server, proxy, space, tmp_path):
    url = server.database()
    with StudyLock(tmp_path, space.study.name, through(proxy, url)) as lock:
        work = opened(space, tmp_path, through(proxy, url), lock)
        proxy.forget()
        drive(work, 1)
    assert read_study(url, space.study.name).trials[0].status == "complete"


def test_message_to_a_second_driver_names_process_and_host_of_the_first(server, space, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"  # folders that share no lock file
    here.mkdir()
    there.mkdir()
    url = server.database()
    with StudyLock(here, space.study.name, url), pytest.raises(InputError, match=r"in process \d+ on .*same database"):
        StudyLock(there, space.study.name, url)


@pytest.mark.parametrize("over", [False, True], ids=["other driver still runs", "other driver has ended"])
def test_driver_whose_study_was_taken_over_writes_nothing(server, proxy, space, tmp_path, over):
    url, name = server.database(), space.study.name
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with StudyLock(here, name, through(proxy, url)) as lock:
        first = opened(space, here, through(proxy, url), lock)
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
