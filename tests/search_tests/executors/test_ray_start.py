"""Ray on machines where it cannot start as it would: it starts elsewhere, or the message offers a way without it."""

import os
import tempfile
from pathlib import Path

import pytest
import ray

from search.errors import InputError
from search.executors import WorkerPool, ray_cluster
from search.executors.ray_cluster import MAX_SESSION_BYTES, session_folder


def temporary(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.fixture
def refused(monkeypatch):
    """Folders that this process may not write to, in addition to those that it really may not."""
    paths, access = set(), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) not in paths and access(path, mode))
    return paths


def test_session_lies_in_the_temporary_folder(monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as folder:
        temporary(folder, monkeypatch)
        assert session_folder() == f"{folder}/ray"


def test_long_temporary_folder_is_not_used(tmp_path, monkeypatch):
    """Batch systems make such folders for each job."""
    folder = tmp_path / ("t" * 90)
    folder.mkdir()
    temporary(folder, monkeypatch)
    found = session_folder()
    assert not found.startswith(str(folder))
    assert len(found) <= MAX_SESSION_BYTES


def test_temporary_folder_that_is_read_only_is_not_used(monkeypatch, refused):
    refused |= {"/tmp", "/tmp/ray", f"/tmp/ray-{os.getuid()}"}
    temporary("/tmp", monkeypatch)
    assert Path(session_folder()).parent in (Path("/var/tmp"), Path("/dev/shm"))


def test_session_folder_of_another_user_is_not_used(monkeypatch, refused):
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as folder:
        temporary(folder, monkeypatch)
        Path(folder, "ray").mkdir()
        refused.add(f"{folder}/ray")
        assert session_folder() == f"{folder}/ray-{os.getuid()}"


def test_machine_that_cannot_connect_to_itself_is_told_at_once(monkeypatch):
    """Ray waits for minutes there."""

    def unreachable(*_, **__):
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.create_connection", unreachable)
    monkeypatch.setattr(ray, "init", lambda *_, **__: pytest.fail("waits"))
    with pytest.raises(InputError, match=r"127\.0\.0\.1 \(Network is unreachable\)\. Start .*--executor inline"):
        ray_cluster.connect(WorkerPool(workers=1))


def test_machine_without_any_folder_for_ray_is_offered_a_way_without_it(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"export RAY_TMPDIR=DIR, or train without Ray.*--executor inline"):
        session_folder()


@pytest.mark.parametrize(
    "error", [OSError("no /dev/shm"), PermissionError(13, "Permission denied"), Exception("timed out"), SystemExit(1)]
)
def test_ray_that_cannot_start_is_one_message(error, monkeypatch):
    def fail(**settings):
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(InputError, match=r"Ray cannot start on this machine: .* --executor inline"):
        ray_cluster._start(WorkerPool())


@pytest.mark.parametrize(("home", "made"), [("nowhere", True), ("", False)])
def test_token_of_ray_needs_no_home_that_can_be_written_to(home, made, tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("RAY_AUTH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "undone after the test")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("HOME", str(tmp_path / home))
    ray_cluster._provide_token()
    assert ("RAY_AUTH_TOKEN" in os.environ) == made
