"""The loop keeps to its budget, stops when asked, and loses nothing when something fails."""

import math
import os
import signal
import sqlite3
import threading

import optuna
import pytest
from helpers.untrained import header_for, trained

from reports.records.study import EpochRecord
from reports.storage.studies import read_study, sqlite_url
from search.runner.budget import Budget
from search.runner.loop import MAX_EQUAL_FAILURES, OVERTIME, Driver
from search.runner.observer import SILENT
from search.runner.progress import RunProgress
from search.storage.url import StorageError
from search.study import create
from search.trial.job import outline

optuna.logging.set_verbosity(optuna.logging.ERROR)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(smoke, tmp_path):
    folder = tmp_path / "smoke"
    folder.mkdir()
    return create.create_study(header_for(smoke, tmp_path), smoke, folder, sqlite_url(folder / "study.db"))


def driver_of(opened, clock, *, trials=None, seconds=None, macs=None, before=None):
    return Driver(opened, Budget(trials, seconds, macs), before or RunProgress(), SILENT, clock=clock)


def run_one(driver, clock, seconds=10.0):
    job = driver.next()
    if job is not None:
        clock.now += seconds
        driver.finished(trained(job).model_copy(update={"wall_s": seconds}))
    return job


def test_trials_of_earlier_runs_count_against_the_budget(opened, clock):
    first = driver_of(opened, clock, trials=2)
    while run_one(first, clock):
        pass
    assert first.progress.trained == 2
    second = driver_of(opened, clock, trials=5, before=first.progress)
    while run_one(second, clock):
        pass
    assert second.progress.trained == 5


def test_running_trials_count_against_the_budget(opened, clock):
    driver = driver_of(opened, clock, trials=2)
    assert driver.next() is not None
    assert driver.next() is not None
    assert driver.next() is None


def test_no_trial_starts_unless_half_of_it_fits_into_the_time(opened, clock):
    driver = driver_of(opened, clock, seconds=34.0)
    while run_one(driver, clock):
        pass
    assert (driver.progress.trained, clock.now) == (3, 30.0)  # a fourth would have had 4 s of its 10


def epoch(number, macs):
    return EpochRecord(
        epoch=number, train_loss=1.0, train_accuracy=0.1, val_loss=1.0, val_accuracy=0.1, learning_rate=0.1, wall_s=1.0,
        images=10, macs=macs,
    )  # fmt: skip


def test_no_trial_starts_unless_half_of_it_fits_into_the_operations(opened, clock):
    driver = driver_of(opened, clock, macs=34.0)
    while (job := driver.next()) is not None:
        driver.epoch(job.number, epoch(1, 10.0))
        driver.finished(trained(job).model_copy(update={"history": (epoch(1, 10.0),)}))
    assert (driver.progress.trained, driver.progress.training_macs) == (3, 30.0)
    assert not driver.stopping()


def test_trials_above_the_operation_budget_are_left_to_resume(opened, clock):
    driver = driver_of(opened, clock, macs=25.0)
    number = driver.next().number
    for at, stops in ((1, False), (2, False), (2, False), (3, True)):  # the second comes twice: a worker was replaced
        driver.epoch(number, epoch(at, 10.0))
        assert driver.stopping() == stops
    assert driver.next() is None


def test_operations_of_earlier_runs_count_against_the_budget(opened, clock):
    first = driver_of(opened, clock, macs=1e9)
    job = first.next()
    first.finished(trained(job).model_copy(update={"history": (epoch(1, 20.0),)}))
    assert driver_of(opened, clock, macs=20.0, before=first.progress).stopping()


def test_trials_over_time_are_left_to_resume(opened, clock):
    driver = driver_of(opened, clock, seconds=100.0)
    driver.next()
    clock.now = 100.0 * (1 + OVERTIME)
    assert not driver.stopping()
    clock.now += 1
    assert driver.stopping()


def test_equal_failures_in_a_row_stop_the_run_and_say_so(opened, clock):
    driver = driver_of(opened, clock, trials=12)
    for _ in range(MAX_EQUAL_FAILURES):
        assert not driver.stopping()
        driver.finished(outline(driver.next(), status="failed", reason="OSError: No space left on device"))
    assert driver.stopping()
    assert "No space left" in str(driver.failure)
    assert "snnsearch resume smoke" in str(driver.failure)


def fail(driver, reason, kind):
    record = outline(driver.next(), status="failed", reason=reason)
    driver.finished(record.model_copy(update={"failure_kind": kind}))


def test_failures_of_one_kind_stop_the_run_although_their_reasons_differ(opened, clock):
    driver = driver_of(opened, clock, trials=12)
    for at in range(MAX_EQUAL_FAILURES):
        assert not driver.stopping()
        fail(driver, f"its worker died, at last since it hung for {at} s", "worker died")
    assert driver.stopping()


def test_failures_of_different_kinds_do_not_stop_the_run(opened, clock):
    driver = driver_of(opened, clock, trials=12)
    for at in range(MAX_EQUAL_FAILURES):
        fail(driver, "given up", f"RuntimeError in function_{at}")
    assert not driver.stopping()


def test_trials_that_were_not_trained_do_not_hide_equal_failures(opened, clock):
    driver = driver_of(opened, clock, trials=12)
    for _ in range(MAX_EQUAL_FAILURES):
        assert not driver.stopping()
        driver.finished(outline(driver.next(), status="failed", reason="OSError: No space left on device"))
        if not driver.stopping():
            driver.finished(outline(driver.next(), status="duplicate", reason="equal to trial 0", duplicate_of=0))
    assert driver.stopping()


def test_full_disk_under_the_database_stops_the_run_and_loses_nothing(opened, clock, monkeypatch, smoke, tmp_path):
    driver = driver_of(opened, clock, trials=12)
    run_one(driver, clock)
    job = driver.next()

    def full(*args, **kwargs):
        raise optuna.exceptions.StorageInternalError from sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(optuna.study.Study, "tell", full)
        driver.finished(trained(job))
    assert driver.stopping()
    assert isinstance(driver.failure, StorageError)
    assert "disk is full" in str(driver.failure)
    url = sqlite_url(tmp_path / "smoke" / "study.db")
    again = create.load_study(read_study(url, "smoke").header, smoke, tmp_path / "smoke", url)
    assert again.recover() == ([job.number], [])  # its record had been stored before
    assert [t.status for t in read_study(url, "smoke").trials] == ["complete", "complete", "waiting"]


def test_interrupted_trials_are_finished_whatever_the_budget(opened, clock, smoke, tmp_path):
    first = driver_of(opened, clock)
    jobs = [first.next(), first.next()]
    url = sqlite_url(tmp_path / "smoke" / "study.db")
    again = create.load_study(opened.header, smoke, tmp_path / "smoke", url)
    again.recover()
    second = driver_of(again, clock, trials=1)
    assert [second.next(), second.next(), second.next()] == [*jobs, None]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_run_at_the_next_event_and_a_second_one_at_once(signum, opened, clock):
    driver = driver_of(opened, clock)
    before = signal.getsignal(signum)
    with driver.interruptible():
        os.kill(os.getpid(), signum)
        assert driver.stopping()
        assert driver.progress.stopping
        assert driver.next() is None
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signum)
    assert signal.getsignal(signum) == before


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGUSR1])
def test_closed_terminal_or_end_of_a_batch_job_stops_the_run_however_often_it_is_announced(signum, opened, clock):
    driver = driver_of(opened, clock)
    with driver.interruptible():
        for _ in range(3):
            os.kill(os.getpid(), signum)
        assert driver.stopping()
    assert driver.stopped_by == signum.name


def test_signal_that_is_ignored_stays_ignored(opened, clock):
    """nohup ignores SIGHUP."""
    driver = driver_of(opened, clock)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with driver.interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not driver.stopping()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_run_in_a_thread_receives_no_signals(opened, clock):
    """A notebook or a server may start it there."""
    driver, ended = driver_of(opened, clock), []

    def run():
        with driver.interruptible():
            ended.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ended


def test_work_learns_what_is_left_of_the_budget(clock):
    """One worker trained 1,000 operations in 10 s. Of 40 s, 30 are left; of four trainings, three."""
    asked = []

    class Recorder:
        interrupted = False

        def next(self, record, macs_left, share_left):
            asked.append((macs_left, share_left))

    clock.now = 0.0
    before = RunProgress(trained=1, wall_s=(10.0,), macs=(1000.0,), finished_macs=1000.0)
    driver = Driver(Recorder(), Budget(4, 40.0, 1e6), before, SILENT, clock=clock)
    clock.now = 10.0
    driver.next()
    Driver(Recorder(), Budget(None, None), RunProgress(), SILENT, clock=clock).next()
    assert asked == [(3000.0, 0.75), (math.inf, 1.0)]
