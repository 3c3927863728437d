"""Modules of the user that are called like ours: neither the driver nor a worker may import them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.untrained import SPACES

import search
from search.executors import ray_private
from search.executors.ray_cluster import code_folder, import_path
from search.executors.ray_worker import Worker

ROOT = Path(search.__file__).parents[1]
SMALL = ["--set", "data.subset=60", "--set", "data.validation=20", "--set", "train.chance_patience=0"]


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """A current folder with modules that note their own import in ``imported``."""
    folder = tmp_path / "theirs"
    (folder / "snnkit").mkdir(parents=True)
    for name in ("search.py", "reports.py", "torch.py", "snnkit/__init__.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name}')\n")
    monkeypatch.chdir(folder)
    return folder


def test_workers_search_the_drivers_folders_in_its_order_and_not_the_current_one(theirs):
    config = ray_private.import_from(["/a", "/b"])
    config._py_driver_sys_path.extend([str(theirs)])  # as ray.init does
    assert list(config._get_proto_job_config().py_driver_sys_path) == ["/b", "/a"]  # each is put before the last one


@pytest.mark.parametrize("first", ["", "elsewhere"])
def test_path_of_workers_is_absolute_and_holds_our_code(theirs, monkeypatch, first):
    """An interactive session or a notebook looks in the current folder, whichever that is."""
    monkeypatch.setattr(sys, "path", [first, "/usr/lib"])
    found = import_path()
    assert found[0] == code_folder() == str(ROOT.resolve())
    assert str(theirs) not in found
    assert all(map(os.path.isabs, found))


def test_path_of_workers_is_the_drivers_if_that_holds_our_code(monkeypatch):
    monkeypatch.setattr(sys, "path", ["/first", str(ROOT), "/last"])
    assert import_path() == ["/first", str(ROOT), "/last"]


def test_worker_with_another_code_stops_the_run_and_says_which(tmp_path):
    from helpers.small_trials import job_for

    config = {"job": job_for(tmp_path).model_dump_json(), "placement": {}, "source": "/driver's"}
    worker = Worker.__new__(Worker)
    worker.reset_config(config)
    found = worker.step()
    assert found["done"]
    assert found["unfit"].startswith(f"workers import snnsearch from {ROOT}, the driver from /driver's")


def test_module_command_leaves_the_current_folder_alone(theirs, tmp_path):
    """``search`` itself is found by Python, before any code of ours runs."""
    (theirs / "search.py").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "search", "validate", str(SPACES / "smoke.yaml")],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()


def test_script_beside_a_module_that_hides_ours_learns_which_one(theirs):
    (theirs / "search.py").unlink()
    (theirs / "script.py").write_text("from search import launch\n")
    done = subprocess.run(
        [sys.executable, "script.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"'reports' is hidden by {theirs / 'reports.py'}: rename that" in done.stderr


@pytest.mark.slow
def test_study_in_a_folder_with_modules_of_the_same_names_uses_none_of_them(theirs, tmp_path):
    script = tmp_path / "bin" / "snnsearch"
    script.parent.mkdir()
    script.write_text("from search.cli import main\nmain()\n")
    command = ["launch", str(SPACES / "smoke.yaml"), "--trials", "1", "--workers", "1", "--runs", str(tmp_path), *SMALL]
    done = subprocess.run(
        [sys.executable, str(script), *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "imported").exists()
