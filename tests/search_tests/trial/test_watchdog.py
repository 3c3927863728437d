"""Trials that hang, stand still, or take too long."""

import subprocess
import sys
import textwrap

import pytest
from helpers.small_trials import HERE, job_for, record_of
from helpers.untrained import SPACES
from helpers.waiting import PATIENCE_S

from reports.records.study import TrialRecord
from search.errors import SpaceError
from search.executors.heartbeats import Heartbeats
from search.space.limits import Limits
from search.space.loading.loader import load_space
from search.trial.folder import TrialFolder
from search.trial.job import Job
from search.trial.run import run
from search.trial.watchdog import MAX_INTERVAL_S, Watchdog, where_it_hung


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def job(tmp_path) -> Job:
    job = job_for(tmp_path).model_copy(update={"limits": Limits(stall_timeout="60s")})
    job.folder.mkdir(parents=True)
    return job


def test_limits_are_read_from_the_space():
    space = load_space(SPACES / "smoke.yaml", overrides={"study.limits": "{time: 30m, stall_timeout: 2m}"})
    assert space.study.limits == Limits(time="30m", stall_timeout="2m")
    assert (space.study.limits.time_s, space.study.limits.stall_timeout_s) == (1800, 120)
    with pytest.raises(SpaceError, match=r"study.limits.time.*is not a duration; write it as 90s"):
        load_space(SPACES / "smoke.yaml", overrides={"study.limits": "{time: soon}"})


def test_trial_whose_time_is_up_is_stopped_with_what_it_has(tmp_path, monkeypatch):
    clock = Clock()
    job = job_for(tmp_path, **{"train.epochs": 4}).model_copy(update={"limits": Limits(time="90m")})
    monkeypatch.setattr("search.trial.run.Watchdog", lambda files, limits: Watchdog(files, limits, clock))
    found = []
    for event in run(job, HERE):
        clock.now += 3600  # an epoch takes an hour
        found.append(event)
    *epochs, record = found
    assert (record.status, len(epochs), len(record.history)) == ("stopped", 2, 2)
    assert record.reason == "its time is up: 2 h spent, 1 h 30 min allowed (limits.time)"


def test_time_of_earlier_starts_counts(job, clock):
    limits = Limits(time="90m")
    for spent_s in (3000, 6000):
        watchdog = Watchdog(job.files, limits, clock)
        clock.now += 3000
        reason = watchdog.beat()
        assert job.files.read_heartbeat().spent_s == spent_s
        assert (reason is not None) == (spent_s > 5400)


HANGS = """
    import sys, time
    from pathlib import Path
    from search.space.limits import Limits
    from search.trial.folder import TrialFolder
    from search.trial.watchdog import Watchdog

    def step():
        {how}

    watchdog = Watchdog(TrialFolder(Path(sys.argv[1])), Limits(stall_timeout="1s"))
    with watchdog.watching():
        step()
    print("came back")
"""


@pytest.mark.parametrize("how", ["time.sleep(600)", "sum(range(10**12))"])  # the second one keeps the interpreter
def test_worker_that_hangs_ends_and_says_where(tmp_path, how):
    code = textwrap.dedent(HANGS).format(how=how)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert where_it_hung(TrialFolder(tmp_path)) == '"<string>", line 9 in step'


def test_of_several_threads_the_one_that_trains_is_told(tmp_path):
    others = "import threading; threading.Thread(target=time.sleep, args=(600,), daemon=True).start(); time.sleep(600)"
    code = textwrap.dedent(HANGS).format(how=others)
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], timeout=PATIENCE_S, check=False)
    assert TrialFolder(tmp_path).hang_trace.read_text().count("(most recent call first)") == 2
    assert where_it_hung(TrialFolder(tmp_path)) == '"<string>", line 9 in step'


def test_trial_that_gets_on_leaves_no_word_of_hanging(tmp_path):
    job = job_for(tmp_path)
    assert record_of(job).status == "complete"
    assert not job.files.hang_trace.exists()
    assert where_it_hung(job.files) is None


def test_driver_sees_a_worker_that_stands_still_and_one_that_gets_on(job, clock):
    heartbeats = Heartbeats(clock)
    watchdog = Watchdog(job.files, job.limits, clock)
    assert not heartbeats.stands_still(job)
    for _ in range(10):  # five minutes, with signs
        clock.now += 30
        watchdog.beat()
        assert not heartbeats.stands_still(job)
    still = 0
    while not heartbeats.stands_still(job):
        clock.now += MAX_INTERVAL_S
        still += MAX_INTERVAL_S
    assert still == 90  # one and a half times what is allowed
    assert "event=worker_ended" in (job.folder / "log.txt").read_text()
    assert not heartbeats.stands_still(job)  # of the next worker


def test_worker_in_the_place_of_one_that_ended_itself_has_all_its_time(job, clock):
    heartbeats = Heartbeats(clock)
    assert not heartbeats.stands_still(job)
    clock.now += 80
    assert not heartbeats.stands_still(job)
    heartbeats.restart(job)
    for _ in range(3):
        assert not heartbeats.stands_still(job)
        clock.now += 40
    assert heartbeats.stands_still(job)


def test_no_limit_on_silence_watches_nothing(job, clock):
    free = job.model_copy(update={"limits": Limits(stall_timeout=None)})
    heartbeats = Heartbeats(clock)
    for _ in range(100):
        assert not heartbeats.stands_still(free)
        clock.now += 3600


def test_interrupted_trial_that_was_out_of_time_says_so_after_resume(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("search.trial.run.Watchdog", lambda files, limits: Watchdog(files, limits, clock))
    job = job_for(tmp_path, **{"train.epochs": 4}).model_copy(update={"limits": Limits(time="90m")})
    events = run(job, HERE)
    next(events)
    clock.now += 3600
    next(events)
    events.close()  # type: ignore[attr-defined]  # killed after two epochs and an hour
    clock.now += 10 * 3600  # nobody worked in this time
    events = run(job, HERE)
    for _ in range(3):
        event = next(events)
    assert not isinstance(event, TrialRecord)
    clock.now += 3600
    record = next(events)
    assert record.status == "stopped"
    assert record.reason.startswith("its time is up: 2 h spent")
