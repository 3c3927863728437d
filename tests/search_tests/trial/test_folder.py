"""The files of a run keep their names, and a file that is torn counts as missing."""

import pytest

from reports.records.study import StartRecord
from search.trial.folder import Attempts, Heartbeat, RunFolder

RUN_FILES = {
    "database": "study.db",
    "space": "space.yaml",
    "header": "header.json",
    "benchmark": "benchmark.yaml",
    "benchmark_header": "benchmark.json",
    "exchange": "exchange.txt",
    "supernet_checkpoint": "supernet/checkpoint.pt",
    "supernet_ranking": "supernet/ranking.jsonl",
    "trials": "trials",
}
TRIAL_FILES = {
    "checkpoint": "checkpoint.pt",
    "twin_checkpoint": "twin.pt",
    "weights": "weights.pt",
    "result": "result.json",
    "start": "start.json",
    "attempts": "starts.json",
    "heartbeat": "beat.json",
    "log_file": "log.txt",
    "hang_trace": "hung.txt",
    "batch_parts": "accumulate.txt",
}


@pytest.fixture
def trial(tmp_path):
    folder = RunFolder(tmp_path).trial(7)
    folder.create()
    return folder


def test_files_of_stored_runs_are_found_under_their_names(tmp_path, trial):
    run = RunFolder(tmp_path)
    assert {name: getattr(run, name).relative_to(tmp_path).as_posix() for name in RUN_FILES} == RUN_FILES
    assert {name: getattr(trial, name).name for name in TRIAL_FILES} == TRIAL_FILES
    assert (trial.path, trial.rung(3).name) == (tmp_path / "trials" / "7", "rung-3.json")
    assert run.twin("0123456789abcdef-and-more").relative_to(tmp_path).as_posix() == "twins/0123456789abcdef.pt"
    assert trial.run == run


def test_what_is_written_is_read_again(trial):
    start, attempts = StartRecord(kind="inherit", parent=3), Attempts(starts=2, params={"network.fire2.keep": True})
    trial.write_start(start)
    trial.write_attempts(attempts)
    trial.write_heartbeat(Heartbeat(count=4, spent_s=1.5))
    trial.write_batch_parts(4)
    assert (trial.read_start(), trial.read_attempts()) == (start, attempts)
    assert (trial.read_heartbeat(), trial.read_batch_parts()) == (Heartbeat(count=4, spent_s=1.5), 4)


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"])
def test_missing_and_torn_files_read_as_nothing(trial, content):
    if content is not None:
        for path in (trial.result, trial.start, trial.attempts, trial.heartbeat, trial.batch_parts, trial.rung(1)):
            path.write_bytes(content)
    assert (trial.read_result(), trial.read_start(), trial.read_attempts(), trial.read_rung(1)) == (None,) * 4
    assert (trial.read_heartbeat(), trial.read_batch_parts()) == (Heartbeat(), 1)


def test_digest_changes_with_either_checkpoint_and_is_0_without(trial):
    digests = [trial.checkpoint_digest()]
    for path, content in ((trial.checkpoint, b"a"), (trial.checkpoint, b"b"), (trial.twin_checkpoint, b"c")):
        path.write_bytes(content)
        digests.append(trial.checkpoint_digest())
    assert digests[0] == 0
    assert len(set(digests)) == 4


def test_only_numbered_folders_are_trials(tmp_path, trial):
    run = RunFolder(tmp_path)
    (run.trials / "7-lost-1").mkdir()
    assert dict(run.trial_folders()) == {7: trial}
    assert run.has_trials()
    assert not RunFolder(tmp_path / "other").has_trials()
