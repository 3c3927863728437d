"""Files of trials where the machines of a cluster share no folder."""

import os
import re
from dataclasses import replace

import pytest
from helpers.small_trials import HERE, job_for, record_of
from helpers.untrained import header_for, options_for

from benchmarks.search.outcomes import figures
from reports.records.study import EpochRecord
from reports.storage.studies import sqlite_url
from search.errors import InputError
from search.runner.files import save_exchange
from search.runner.launch import launch
from search.runner.resources import plan_workers
from search.space.limits import Resources
from search.study import create
from search.trial import sync
from search.trial.folder import RunFolder
from search.trial.job import AverageOf, FromParent, Job, Parent
from search.trial.run import run
from search.trial.sync import ExchangeError, RemoteFolder, connect_worker

NEVER = 3600.0  # seconds until the next sign of life


@pytest.fixture
def url(tmp_path):
    (tmp_path / "meeting").mkdir()
    return (tmp_path / "meeting" / "study").as_uri()


def machine(tmp_path, name, monkeypatch) -> None:
    """Make this process act as another machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))


def started(job: Job, url: str):
    """Return the job on this machine, and its events, each after its files were handed over."""
    remote = connect_worker(url)
    there = remote.localize(job)
    return there, remote.deliver(there, run(there, HERE, remote), NEVER)


def written(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_folder_is_found_by_another_machine_as_it_was_left(url, tmp_path):
    one, two = (RemoteFolder(url, RunFolder(tmp_path / name)) for name in ("one", "two"))
    folder = written(tmp_path / "one" / "trials" / "3", log="a", checkpoint="b")
    one.hand_over_folder(folder)
    (folder / "checkpoint").unlink()
    written(folder, log="aa", result="c")
    one.hand_over_folder(folder)
    there = tmp_path / "two" / "trials" / "3"
    assert two.fetch_folder(there)
    assert contents(there) == {"log": "aa", "result": "c"}
    assert not two.fetch_folder(tmp_path / "two" / "trials" / "4")
    assert not two.fetch(there / "checkpoint")


def test_only_what_has_changed_is_sent(url, tmp_path, monkeypatch):
    one, sent = RemoteFolder(url, RunFolder(tmp_path / "one")), []
    folder = written(tmp_path / "one" / "trials" / "3", log="a", weights="b")
    monkeypatch.setattr(one, "_put", lambda path: sent.append(path.name))
    one.hand_over_folder(folder)
    written(folder, log="aa")
    one.hand_over_folder(folder)
    assert sent == ["log", "weights", "log"]


def test_nothing_is_there_in_part(url, tmp_path, monkeypatch):
    """A machine that dies as it sends leaves what was there before."""
    one = RemoteFolder(url, RunFolder(tmp_path / "one"))
    folder = written(tmp_path / "one" / "trials" / "3", checkpoint="first")
    one.hand_over_folder(folder)
    put = one._files.put_file

    def torn(here, there):
        put(here, there)
        os.truncate(there, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(one._files, "put_file", torn)
    written(folder, checkpoint="second")
    with pytest.raises(KeyboardInterrupt):
        one.hand_over_folder(folder)
    two = RemoteFolder(url, RunFolder(tmp_path / "two"))
    assert two.fetch_folder(tmp_path / "two" / "trials" / "3")
    assert contents(tmp_path / "two" / "trials" / "3") == {"checkpoint": "first"}


def test_a_transfer_that_fails_is_tried_again_and_then_given_up(url, tmp_path, monkeypatch):
    monkeypatch.setattr(sync, "PAUSE_S", 0.0)
    one, failures = RemoteFolder(url, RunFolder(tmp_path / "one")), []
    folder = written(tmp_path / "one" / "trials" / "3", log="a")
    put = one._put

    def flaky(path):
        if len(failures) < sync.TRIES - 1:
            failures.append(path)
            raise RuntimeError("the network is down")
        put(path)

    monkeypatch.setattr(one, "_put", flaky)
    one.hand_over_folder(folder)
    failures.clear()
    written(folder, log="aa")
    monkeypatch.setattr(sync, "TRIES", 1)
    monkeypatch.setattr(one, "_put", lambda path: 1 / 0)
    with pytest.raises(ExchangeError, match="ZeroDivisionError"):
        one.hand_over_folder(folder)


def test_a_trial_goes_on_on_another_machine_as_if_it_had_never_left(url, tmp_path, monkeypatch):
    expected = record_of(job_for(tmp_path / "whole"))
    job = job_for(tmp_path / "driver")
    machine(tmp_path, "first", monkeypatch)
    _, first = started(job, url)
    assert isinstance(next(first), EpochRecord)  # one epoch, then the machine is gone

    machine(tmp_path, "second", monkeypatch)
    there, second = started(job, url)
    assert there.files.checkpoint.exists()
    *_, record = second
    assert record.restarts == 1
    assert figures(record) == figures(expected)
    assert not there.folder.exists()

    driver = RemoteFolder(url, RunFolder(tmp_path / "driver"))
    assert driver.fetch_folder(job.folder)
    assert {"weights.pt", "result.json", "log.txt"} <= {path.name for path in job.folder.iterdir()}
    assert not job.files.checkpoint.exists()


def test_starts_that_get_no_further_count_on_whatever_machine(url, tmp_path, monkeypatch):
    for name in ("first", "second", "third"):
        machine(tmp_path, name, monkeypatch)
        there, events = started(job_for(tmp_path / "driver"), url)
        next(events)  # the second and third repeat what the first did
    assert there.files.read_attempts().idle == 1


def test_a_trial_starts_from_weights_and_twins_of_other_machines(url, tmp_path, monkeypatch):
    twinned = {"train.start": "cnn", "train.cnn_epochs": 1, "train.epochs": 1}
    machine(tmp_path, "first", monkeypatch)
    list(started(job_for(tmp_path / "driver", **twinned), url)[1])

    machine(tmp_path, "second", monkeypatch)
    other = job_for(tmp_path / "driver", **twinned, **{"neuron.threshold": 0.5})
    *_, record = started(other.model_copy(update={"number": 1}), url)[1]
    assert record.status == "complete"
    assert record.start.parent == 0  # it trained no twin


def test_a_mean_is_of_weights_of_other_machines(url, tmp_path, monkeypatch):
    machine(tmp_path, "first", monkeypatch)
    here, parents = job_for(tmp_path / "driver", **{"train.epochs": 1}), []
    for number in (0, 1):
        folder = here.folder.with_name(str(number))
        job = here.model_copy(update={"number": number, "seed": number, "folder": folder})
        list(started(job, url)[1])
        parents.append(Parent(number=number, candidate=job.candidate, weights=job.files.weights))

    machine(tmp_path, "second", monkeypatch)
    folder = here.folder.with_name("2")
    average = AverageOf(parents=tuple(parents))
    mean = here.model_copy(update={"number": 2, "initialization": average, "folder": folder})
    *_, record = started(mean, url)[1]
    assert (record.status, record.start.parents) == ("complete", (0, 1))
    assert not parents[0].weights.exists()  # the driver's machine had not fetched them


def test_weights_of_an_older_study_reach_another_machine(url, tmp_path, monkeypatch):
    driver = RunFolder(tmp_path / "driver")
    written(driver.path / "evidence", **{"5.pt": "older", "6.pt": "other"})
    RemoteFolder(url, driver).hand_over(driver.older_weights(5))
    job = job_for(driver.path)
    parent = Parent(number=5, study="old", candidate=job.candidate, weights=driver.older_weights(5))
    machine(tmp_path, "first", monkeypatch)
    there = connect_worker(url).localize(job.model_copy(update={"initialization": FromParent(parent=parent)}))
    (found,) = there.parents
    assert (found.study, found.number, found.weights.read_text()) == ("old", 5, "older")
    assert tmp_path / "first" in found.weights.parents


def test_training_goes_on_while_nothing_can_be_handed_over(url, tmp_path, monkeypatch):
    monkeypatch.setattr(sync, "TRIES", 1)
    remote = connect_worker(url)
    there = remote.localize(job_for(tmp_path / "driver"))
    monkeypatch.setattr(remote, "_put", lambda path: 1 / 0)
    events = remote.deliver(there, run(there, HERE, remote), NEVER)
    next(events)
    assert "event=not_handed_over" in (there.folder / "log.txt").read_text()
    monkeypatch.undo()
    *_, record = events
    assert record.status == "complete"
    assert RemoteFolder(url, RunFolder(tmp_path / "driver")).fetch_folder(tmp_path / "driver" / "trials" / "0")


def test_a_driver_catches_up_with_what_is_not_over(url, tmp_path):
    worker, run = RemoteFolder(url, RunFolder(tmp_path / "worker")), tmp_path / "run"
    for number in (0, 1):
        worker.hand_over_folder(written(tmp_path / "worker" / "trials" / str(number), log=f"new {number}"))
    worker.hand_over_folder(written(tmp_path / "worker" / "twins", twin="t"))
    written(run / "trials" / "0", log="old")
    (run / "trials" / "0" / "result.json").write_text("{}")
    RunFolder(run).exchange.write_text(url)
    sync.catch_up(RunFolder(run))
    assert (run / "trials" / "0" / "log").read_text() == "old"
    assert (run / "trials" / "1" / "log").read_text() == "new 1"
    assert (run / "twins" / "twin").read_text() == "t"
    sync.catch_up(RunFolder(tmp_path))  # a run without a URL


def test_storage_that_does_not_answer_is_told(url, tmp_path, monkeypatch):
    monkeypatch.setattr(sync, "TRIES", 1)
    run = RunFolder(written(tmp_path / "run", **{"exchange.txt": url}))
    monkeypatch.setattr(RemoteFolder(url, run)._files, "find", lambda root: 1 / 0)  # fsspec has one for each URL
    with pytest.raises(InputError, match=r"cannot be fetched from .*ZeroDivisionError.*run the same command again"):
        sync.catch_up(run)


def test_a_launch_that_is_refused_leaves_the_url_of_the_study_that_is_there(url, smoke, tmp_path):
    folder = written(tmp_path / "runs" / "smoke", **{"exchange.txt": "file:///noted"})
    create.create_study(header_for(smoke, tmp_path), smoke, folder, sqlite_url(folder / "study.db"))
    options = options_for(tmp_path / "runs", address="127.0.0.1:9", exchange=url)
    with pytest.raises(InputError, match="--exchange works only with a cluster: add its address, --address"):
        launch(smoke, replace(options, runs=tmp_path / "other", address=None))
    assert not (tmp_path / "other").exists()
    with pytest.raises(InputError, match="exists"):
        launch(smoke, options)
    assert RunFolder(folder).read_exchange() == "file:///noted"


def test_on_one_machine_files_are_where_they_are(url, tmp_path):
    """What the storage has may be older than what a run without the cluster has left here."""
    written(tmp_path, **{"exchange.txt": url})
    assert plan_workers(options_for(tmp_path), RunFolder(tmp_path), Resources()).exchange is None
    assert plan_workers(options_for(tmp_path, address="auto"), RunFolder(tmp_path), Resources()).exchange == url


def test_signs_of_life_are_handed_over_between_epochs(url, tmp_path):
    remote = connect_worker(url)
    there = remote.localize(job_for(tmp_path / "driver"))
    driver = RemoteFolder(url, RunFolder(tmp_path / "driver"))

    def events():
        there.files.heartbeat.write_text('{"count": 7}')
        for _ in range(1000):
            if driver.fetch(RunFolder(tmp_path / "driver").trial(0).heartbeat):
                break
        else:
            pytest.fail("no sign of life was handed over")
        yield from ()

    assert list(remote.deliver(there, events(), 0.001)) == []


def test_each_run_has_a_folder_of_its_own(url, tmp_path):
    """A study of a name that was there before does not take the other one's results for its own."""
    first, second = sync.new_url(url, "smoke"), sync.new_url(url, "smoke")
    assert first != second
    save_exchange(RunFolder(tmp_path), second)
    assert RunFolder(tmp_path).read_exchange() == second
    assert re.fullmatch(re.escape(url) + "/smoke-[0-9a-f]{8}", second)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sftp://me:s3cret@host/x", "without a password"),
        ("runs/shared", "write a URL that fsspec knows"),
        ("nosuch://bucket/x", "nosuch"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url, said, tmp_path):
    with pytest.raises(InputError, match=said) as raised:
        sync.new_url(url, "smoke")
    assert "s3cret" not in str(raised.value)
