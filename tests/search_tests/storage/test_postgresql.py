"""A study in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy
from helpers.untrained import header_for, trained

from reports.storage.studies import read_study
from search.errors import InputError
from search.storage.lock import StudyLock
from search.storage.retrying import connect
from search.study import create


def test_study_is_stored_read_and_resumed(url, space, tmp_path):
    name = space.study.name
    opened = create.create_study(header_for(space, tmp_path), space, tmp_path, url)
    for _ in range(4):
        opened.finish(trained(opened.next(lambda record: None)))
    interrupted = opened.next(lambda record: None)
    again = create.load_study(read_study(url, name).header, space, tmp_path, url)
    assert again.recover() == ([], [interrupted.number])
    assert again.next(lambda record: None) == interrupted
    again.finish(trained(interrupted))
    assert [t.status for t in read_study(url, name).trials] == ["complete"] * 5


def test_second_driver_on_another_machine_is_refused(url, space, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"  # folders that share no lock file
    here.mkdir()
    there.mkdir()
    with StudyLock(here, space.study.name, url), pytest.raises(InputError, match="same database"):
        StudyLock(there, space.study.name, url)
    with StudyLock(there, space.study.name, url):
        pass


def test_released_study_is_free_before_the_server_notices_the_closed_connection(url, space, tmp_path):
    class KeptOpen:
        def __init__(self, connection):
            self.connection = connection

        def __getattr__(self, name):
            return getattr(self.connection, name)

        def close(self):
            pass

    first, second = (tmp_path / name for name in ("first", "second"))
    first.mkdir()
    second.mkdir()
    lock = StudyLock(first, space.study.name, url)
    kept = lock.connection._current = KeptOpen(lock.connection._current)
    try:
        lock.release()
        with StudyLock(second, space.study.name, url):
            pass
    finally:
        kept.connection.close()


def test_unreachable_server_gives_one_message_without_the_password(url, space, tmp_path):
    nobody = sqlalchemy.make_url(url).set(port=1, host="127.0.0.1", password="secret")
    address = nobody.render_as_string(hide_password=False)
    with pytest.raises(InputError, match=r"study database \(connecting\)") as caught:
        StudyLock(tmp_path, space.study.name, address)
    assert "secret" not in str(caught.value)


def test_parallel_launches_on_an_empty_database_all_succeed(server, tmp_path):
    url = server.database()
    locks = [StudyLock(_made(tmp_path / str(number)), str(number), url) for number in range(4)]
    with ThreadPoolExecutor(len(locks)) as pool:
        storages = list(pool.map(lambda lock: connect(url, lock.connection), locks))
    assert [storage.get_all_studies() for storage in storages] == [[]] * 4
    for lock in locks:
        lock.release()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
