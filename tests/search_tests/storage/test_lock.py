"""The lock that allows one driver per study."""

import errno
import os
import subprocess
import sys

import pytest
from filelock import FileLock

from reports.storage.studies import sqlite_url
from search.errors import InputError
from search.storage.lock import StudyLock

HOLD = """
import sys
from pathlib import Path
from search.storage.lock import StudyLock
lock = StudyLock(Path(sys.argv[1]), "prune", "sqlite:///unused")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_second_driver_is_refused_with_the_pid_of_the_first(holder, tmp_path):
    with pytest.raises(InputError, match=rf"'prune' is already running, in .*{holder.pid}.*snnsearch status prune"):
        StudyLock(tmp_path, "prune", sqlite_url(tmp_path / "study.db"))


def test_lock_ends_with_the_killed_driver(holder, tmp_path):
    holder.kill()
    holder.wait()
    with StudyLock(tmp_path, "prune", sqlite_url(tmp_path / "study.db")):
        pass


def test_lock_file_that_cannot_be_written_gives_one_message(tmp_path):
    (tmp_path / "driver.lock").mkdir()
    with pytest.raises(InputError, match="--runs DIR"):
        StudyLock(tmp_path, "prune", sqlite_url(tmp_path / "study.db"))


def test_released_study_can_be_locked_again(tmp_path):
    for _ in range(2):
        with StudyLock(tmp_path, "prune", sqlite_url(tmp_path / "study.db")):
            pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_file_system_without_locks_is_named(number, tmp_path, monkeypatch):
    def acquire(lock):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with pytest.raises(InputError, match=r"Its file system has no locks.*--runs DIR.*-o flock"):
        StudyLock(tmp_path, "prune", sqlite_url(tmp_path / "study.db"))
