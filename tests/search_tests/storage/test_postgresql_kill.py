"""Real drivers with PostgreSQL: they are killed, stopped or lose their server, and the password appears nowhere."""

import contextlib
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.killing import finish, kill_after, start_until_trial
from helpers.postgres import PASSWORD, Server
from helpers.untrained import SPACES
from helpers.waiting import wait_for

from benchmarks.reliability.chaos.processes import descendants, snnsearch
from benchmarks.search.outcomes import figures
from reports.analysis.front import front_trials
from reports.records.study import StudyRecord, TrialRecord
from reports.storage.studies import LedgerError, load_study_folder, read_study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

SECRET = PASSWORD.split("/")[0]  # the part that escaping does not change
TRIALS = 6


def words(runs: Path, executor: str, name: str, *, launch: bool) -> list[str]:
    common = ["--runs", str(runs), "--executor", executor, "--workers", "1"]
    if not launch:
        return ["resume", name, *common]
    sets = ["data.subset=600", "train.epochs=2", f"study.budget={{trials: {TRIALS}}}"]
    return ["launch", str(SPACES / "smoke.yaml"), "--name", name, *common, *(w for s in sets for w in ("--set", s))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> StudyRecord:
    """The same study, undisturbed, in an SQLite file."""
    runs = tmp_path_factory.mktemp("whole")
    finish(words(runs, "inline", "whole", launch=True))
    return load_study_folder(runs / "whole")


@pytest.fixture
def url(server: Server, monkeypatch) -> str:
    found = server.database()
    monkeypatch.setenv("SNNSEARCH_STORAGE", found)
    return found


def seen(url: str, name: str) -> StudyRecord | None:
    try:
        return read_study(url, name)
    except LedgerError:
        return None  # killed before the study was made


def check_equal(study: StudyRecord, whole: StudyRecord) -> None:
    assert [t.number for t in study.trials] == list(range(len(study.trials)))
    assert not [t for t in study.trials if t.status in ("running", "waiting")]
    assert [figures(t) for t in study.trials] == [figures(t) for t in whole.trials]
    assert [t.number for t in front_trials(study)] == [t.number for t in front_trials(whole)]


def check_secret(*places: Path) -> None:
    files = [file for place in places for file in place.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]


def with_secret(driver: int) -> list[int]:
    """Return the pids, of the driver and its workers, that show the password in their command line or environment."""
    found = []
    for pid in (driver, *descendants(driver)):
        with contextlib.suppress(OSError):
            shown = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
            found += [pid] if SECRET.encode() in b"".join(shown) else []
    return found


def kill_and_resume(url: str, runs: Path, name: str, executor: str, signals: list[signal.Signals], seed: int) -> None:
    rng = random.Random(seed)
    finished: dict[int, TrialRecord] = {}
    for number in signals:
        launch = seen(url, name) is None
        said = kill_after(words(runs, executor, name, launch=launch), runs / name / "trials", rng.uniform(0, 4), number)
        assert SECRET not in said
        if (study := seen(url, name)) is not None:
            now = {t.number: t for t in study.trials if t.status == "complete"}
            assert {n: now.get(n) for n in finished} == finished  # neither lost nor run again
            finished = now
    said = finish(words(runs, executor, name, launch=seen(url, name) is None))
    assert SECRET not in said
    assert {n: t for n, t in enumerate(read_study(url, name).trials) if n in finished} == finished


ALL = [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT]


@pytest.mark.parametrize("seed", range(3))
def test_two_killed_studies_in_one_database_end_like_undisturbed_ones(url, tmp_path, whole, seed):
    with ThreadPoolExecutor() as pool:
        signals = random.Random(seed).sample(ALL, len(ALL))
        for done in [
            pool.submit(kill_and_resume, url, tmp_path, name, "inline", signals, seed + i)
            for i, name in enumerate(("one", "two"))
        ]:
            done.result()
    for name in ("one", "two"):
        check_equal(read_study(url, name), whole)
    check_secret(tmp_path)


def test_killed_ray_study_ends_like_an_undisturbed_one(url, tmp_path, whole):
    sessions = set(Path("/tmp/ray").glob("session_2*"))
    kill_and_resume(url, tmp_path, "rayed", "ray", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], 7)
    check_equal(read_study(url, "rayed"), whole)
    check_secret(tmp_path, *(set(Path("/tmp/ray").glob("session_2*")) - sessions))


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_driver_waits_for_a_server_that_is_gone_for_half_a_minute(server, url, tmp_path, whole, executor):
    driver = start_until_trial(words(tmp_path, executor, "outage", launch=True), tmp_path / "outage" / "trials")
    assert with_secret(driver.pid) == [driver.pid]  # only the driver, in its environment
    server.stop()
    time.sleep(30)
    server.start()
    said, _ = driver.communicate()
    assert driver.returncode == 0, said
    assert "database  no connection" in said
    assert "database  connected again after" in said
    assert SECRET not in said
    check_equal(read_study(url, "outage"), whole)


def test_server_that_does_not_return_ends_the_run_and_resume_completes_it(server, url, tmp_path, whole):
    short = "import search.storage.postgresql as p; p.MAX_OUTAGE_S = 5.0; "
    launch = snnsearch(*words(tmp_path, "inline", "away", launch=True))
    driver = subprocess.Popen(
        [launch[0], launch[1], short + launch[2], *launch[3:], "--storage", url],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_for(lambda: (tmp_path / "away" / "trials" / "0" / "log.txt").exists())
    server.stop()
    said, _ = driver.communicate()
    server.start()
    assert driver.returncode == 2
    assert "No results are lost" in said
    assert "Traceback" not in said
    assert SECRET not in said
    finish(words(tmp_path, "inline", "away", launch=False))
    check_equal(read_study(url, "away"), whole)
    check_secret(tmp_path)


def test_second_driver_is_refused_until_the_first_has_died(url, tmp_path, whole):
    first = start_until_trial(words(tmp_path / "here", "inline", "twice", launch=True), tmp_path / "here/twice/trials")
    first.send_signal(signal.SIGSTOP)
    (tmp_path / "there" / "twice").mkdir(parents=True)  # like another machine: no common lock file
    resume = snnsearch(*words(tmp_path / "there", "inline", "twice", launch=False))
    done = subprocess.run(resume, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"already running, in process {first.pid} on " in done.stderr.replace("\n", " ")
    first.kill()
    first.wait()
    finish(words(tmp_path / "there", "inline", "twice", launch=False))
    check_equal(read_study(url, "twice"), whole)


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_no_message_shows_the_password(server, tmp_path, debug):
    wrong = server.address("nowhere").render_as_string(hide_password=False)
    elsewhere = server.address(port=1).render_as_string(hide_password=False)
    for url in (
        wrong,
        elsewhere,
        wrong.replace("+psycopg", "+nothing"),
        f"{wrong} x",
        wrong.replace("127.0.0.1", "a:b"),
    ):
        for command in (words(tmp_path, "inline", "no", launch=True), ["status", "no"], ["report", "no"]):
            line = snnsearch(*debug, *command, "--storage", url)
            done = subprocess.run(
                line, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"}
            )
            assert done.returncode in (1, 2)
            assert SECRET not in done.stdout + done.stderr, (url, command)
            assert debug or "Traceback" not in done.stderr
