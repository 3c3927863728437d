"""One candidate from job to record, well or badly: nothing escapes, nothing is silent."""

import errno
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.recordings import bin_file, random_events
from helpers.small_trials import HERE, job_for, record_of

import search
from reports.records.study import EpochRecord, Metrics
from reports.storage.results import read_result
from search.space.candidate import Candidate
from search.trial.initialization import trained_network
from search.trial.job import Job, Placement, TwinFromScratch
from search.trial.run import MAX_IDLE_STARTS, _count_start, _data, run, useful_threads
from snnkit.data import DataError
from snnkit.export import pytorch
from snnkit.training import checkpoint as checkpoints
from snnkit.training.loop import Epoch, TrainingStopped


def test_record_holds_what_was_trained_counted_and_priced(tmp_path):
    job = job_for(tmp_path)
    record = record_of(job)
    assert (record.status, record.device, record.threads) == ("complete", "cpu (1 thread)", 1)
    metrics = record.metrics
    assert metrics.accuracy == record.history[-1].val_accuracy
    assert metrics.params == job.static["params"]
    assert [layer.name for layer in record.layers] == [conv.name for conv in job.candidate.plan().convs]
    assert metrics.acs == pytest.approx(sum(layer.acs for layer in record.layers))
    exact = metrics.energy_mj["horowitz45/exact"]
    assert exact == pytest.approx((4.6 * metrics.macs + 0.9 * metrics.acs) * 1e-9)  # pJ to mJ
    assert exact == pytest.approx(sum(layer.energy_mj["horowitz45/exact"] for layer in record.layers))
    assert read_result(job.folder) == record
    assert not (job.folder / "checkpoint.pt").exists()
    weights, metadata = pytorch.read(job.folder / "weights.pt")
    assert Metrics.model_validate_json(metadata["metrics"]) == metrics
    assert Candidate.model_validate_json(metadata["candidate"]) == job.candidate
    counted = sum(w.numel() for name, w in weights.items() if "running" not in name and "tracked" not in name)
    assert counted == metrics.params


def test_small_networks_get_one_thread_and_large_ones_all_that_are_allowed(tmp_path):
    """Threads of a small network wait for each other longer than they compute."""
    small = job_for(tmp_path)
    assert useful_threads(small, 2) == 1
    large = job_for(tmp_path, **{"train.batch": 512})
    assert useful_threads(large, 2) == 2
    assert useful_threads(large, 1) == 1
    *_, record = run(small, Placement(threads=2))
    assert (record.device, record.threads) == ("cpu (1 thread)", 1)


@pytest.mark.parametrize(
    ("given", "policy"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active"), ({"GOMP_SPINCOUNT": "9"}, None)]
)
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(given, policy):
    others = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))}
    command = [sys.executable, "-c", "import os, search; print(os.environ.get('OMP_WAIT_POLICY'))"]
    environment = others | given | {"PYTHONPATH": str(Path(search.__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(policy)


def test_leaks_that_are_learned_are_kept_and_logged(tmp_path):
    job = job_for(tmp_path, **{"neuron.leak": 0.5, "neuron.learn_leak": True, "train.start": "cnn", "train.epochs": 3})
    record = record_of(job)
    assert record.status == "complete", record.traceback
    assert record.metrics.params == job.static["params"]
    network = trained_network(job.candidate, job.folder / "weights.pt")
    learned = {op.name: f"{network.lif(op).current_neuron.leak:.3f}" for op in network.spiking_ops}
    assert len(set(learned.values())) > 1
    (line,) = (line for line in (job.folder / "log.txt").read_text().splitlines() if "event=leaks" in line)
    assert dict(each.split("=") for each in line.split()[2:]) == learned


@pytest.mark.parametrize("timesteps", [3, 2])
def test_trial_on_events_has_a_frame_for_each_time_step(tmp_path, timesteps):
    rng = np.random.default_rng(0)
    for part, count in (("Train", 12), ("Test", 4)):
        for number, digit in itertools.product(range(count), (1, 4)):
            bin_file(tmp_path / "NMNIST" / part / str(digit) / f"{number}.bin", random_events(rng))
    job = job_for(
        tmp_path,
        **{"data.name": "nmnist", "encoding.kind": "frames"},
        **{"encoding.timesteps": f"{{choices: [1, 2, 3], default: {timesteps}}}"},
        **{"data.classes": "[4, 1]", "data.subset": "null", "train.augment": "flip_crop", "train.epochs": 1},
    )
    *_, record = run(job, HERE.model_copy(update={"data_root": tmp_path}))
    assert record.status == "complete", record.traceback
    assert record.metrics.timesteps == timesteps
    stem = record.layers[0]
    assert stem.macs == 0  # it reads spikes
    assert 0 < stem.spikes_in <= 200


def test_twin_is_trained_counted_and_priced_as_a_network_without_spikes_or_time(tmp_path):
    snn, cnn = (
        record_of(job_for(tmp_path / "snn")),
        record_of(job_for(tmp_path / "cnn").model_copy(update={"initialization": TwinFromScratch()})),
    )
    metrics = cnn.metrics
    assert (metrics.timesteps, metrics.acs, metrics.spikes, metrics.firing_rate) == (1, 0, 0, 0)
    assert metrics.params == snn.metrics.params
    assert metrics.energy_mj == metrics.twin_energy_mj == snn.metrics.twin_energy_mj
    assert metrics.operations["exact"].macs == metrics.macs
    assert 0 < metrics.nonzero_macs < metrics.macs  # ReLU makes zeros
    assert {layer.firing_rate for layer in cnn.layers} == {None}
    assert metrics.test_accuracy != snn.metrics.test_accuracy


def test_record_has_operations_by_the_paper_rule(tmp_path):
    metrics = record_of(job_for(tmp_path)).metrics
    paper = metrics.operations["paper2602"]
    assert metrics.energy_mj["horowitz45/paper2602"] == pytest.approx((4.6 * paper.macs + 0.9 * paper.acs) * 1e-9)
    assert (metrics.operations["exact"].macs, metrics.operations["exact"].acs) == (metrics.macs, metrics.acs)


def test_interrupted_trial_ends_with_the_same_figures(tmp_path):
    whole, cut = job_for(tmp_path / "whole"), job_for(tmp_path / "cut")
    expected = record_of(whole)
    next(run(cut, HERE))  # one epoch, then the process is gone
    record = record_of(cut)
    assert record.restarts == 1
    assert (record.metrics, record.layers) == (expected.metrics, expected.layers)


def test_trial_that_was_finished_is_not_trained_again(tmp_path, monkeypatch):
    job = job_for(tmp_path)
    record = record_of(job)
    monkeypatch.setattr("search.trial.run.train", lambda *_, **__: 1 / 0)
    assert record_of(job) == record


def test_what_training_took_is_in_the_record(tmp_path):
    job = job_for(tmp_path)
    record = record_of(job)
    assert [epoch.images for epoch in record.history] == [480, 480]  # a fifth of 600 is for validation
    once, *rest = job.candidate.plan().convs  # the stem's current is the same at every step
    timesteps = job.candidate.encoding.timesteps
    an_image = 3 * (once.dense_macs + timesteps * sum(conv.dense_macs for conv in rest))
    assert record.training_macs == an_image * record.training_images


def with_rung(folder) -> Job:
    """A job of three epochs, measured after the first."""
    job = job_for(folder, **{"train.epochs": 3})
    recipe = job.candidate.train.model_copy(update={"rungs": (1,)})
    return job.model_copy(update={"candidate": job.candidate.model_copy(update={"train": recipe})})


def killed_after(job: Job, count: int) -> list[EpochRecord]:
    """The epochs that a trial had finished when it was killed."""
    return list(itertools.islice(run(job, HERE), count))


def test_a_rung_is_measured_as_the_trial_is_there_and_not_on_test_images(tmp_path):
    record = record_of(with_rung(tmp_path))
    measured = record.history[0].measured
    assert measured.accuracy == record.history[0].val_accuracy
    assert measured.params == record.metrics.params
    assert measured.energy_mj != record.metrics.energy_mj
    assert not hasattr(measured, "test_accuracy")
    assert [epoch.measured for epoch in record.history[1:]] == [None, None]


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_rung_is_the_same_after_an_interruption(tmp_path, epochs):
    whole = record_of(with_rung(tmp_path / "whole"))
    job = with_rung(tmp_path / "killed")
    killed_after(job, epochs)
    assert [epoch.measured for epoch in record_of(job).history] == [epoch.measured for epoch in whole.history]


def test_a_rung_of_a_training_that_is_not_continued_is_measured_anew(tmp_path):
    job = with_rung(tmp_path)
    first, _ = killed_after(job, 2)
    (job.folder / "checkpoint.pt").write_bytes(b"torn")
    other = record_of(job.model_copy(update={"seed": 1}))
    assert other.history[0].measured.energy_mj != first.measured.energy_mj


def test_corrupt_checkpoint_is_put_aside_and_training_starts_anew(tmp_path):
    job = job_for(tmp_path)
    next(run(job, HERE))
    path = job.folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])
    record = record_of(job)
    assert record.status == "complete"
    assert (job.folder / "checkpoint.pt.corrupt").exists()
    assert "event=checkpoint_unusable" in (job.folder / "log.txt").read_text()


def test_loss_that_is_no_number_stops_the_trial_with_the_reason(tmp_path):
    record = record_of(job_for(tmp_path, **{"train.lr": 1e30}))
    assert (record.status, record.metrics) == ("stopped", None)
    assert "loss is" in record.reason


def test_loss_that_is_no_number_is_left_out_of_the_history(tmp_path, monkeypatch):
    good = Epoch(1, 1.0, 0.5, 1.0, 0.5, 0.1, 64, 1.0)
    bad = Epoch(2, 1.0, 0.5, float("nan"), 0.1, 0.1, 64, 1.0)

    def stopped(*_, **__):
        raise TrainingStopped("validation loss is nan after epoch 2", (good, bad))

    monkeypatch.setattr("search.trial.run.train", stopped)
    record = record_of(job_for(tmp_path))
    assert record.status == "stopped"
    assert [epoch.epoch for epoch in record.history] == [1]


def test_checkpoint_of_another_training_is_put_aside(tmp_path):
    next(run(job_for(tmp_path, **{"train.weight_decay": 0.5}), HERE))
    job = job_for(tmp_path)
    assert record_of(job).status == "complete"
    assert (job.folder / "checkpoint.pt.corrupt").exists()


def test_one_cause_reads_the_same_in_every_trial(tmp_path, monkeypatch):
    def full(job):
        raise OSError(errno.ENOSPC, "No space left on device", str(job.folder / "starts.json"))

    monkeypatch.setattr("search.trial.run._count_start", full)
    reasons = {record_of(job_for(tmp_path / name)).reason for name in ("a", "b")}
    assert len(reasons) == 1
    assert "No space left" in reasons.pop()


def test_failure_is_a_record_with_its_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr("search.trial.run.evaluate_and_count", lambda *_, **__: 1 / 0)
    record = record_of(job_for(tmp_path))
    assert (record.status, record.reason) == ("failed", "ZeroDivisionError: division by zero")
    assert "in measure" in record.traceback


def test_missing_data_is_a_failed_trial_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("search.trial.run.load_dataset", _absent)
    _data.cache_clear()
    record = record_of(job_for(tmp_path, **{"data.subset": 599}))
    assert record.status == "failed"
    assert "put it there" in record.reason


def _absent(name, root, side):
    raise DataError("digits is not here: put it there")


def test_full_disk_is_a_failed_trial_and_the_checkpoint_before_it_stays(tmp_path, monkeypatch):
    job = job_for(tmp_path)
    next(run(job, HERE))
    before = (job.folder / "checkpoint.pt").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("snnkit.base.files.os.fsync", full)
        record = record_of(job)
    assert record.status == "failed"
    assert "No space left on device" in record.reason
    assert (job.folder / "checkpoint.pt").read_bytes() == before


def test_folder_that_cannot_be_written_is_a_failed_trial(tmp_path):
    (tmp_path / "trials").write_text("a file where the folder should be")
    record = record_of(job_for(tmp_path))
    assert record.status == "failed"


def test_trial_that_keeps_killing_its_worker_is_given_up(tmp_path):
    job = job_for(tmp_path)
    for _ in range(MAX_IDLE_STARTS):
        _start_and_die(job)
    record = record_of(job)
    assert record.status == "failed"
    assert "without getting any further" in record.reason


def _start_and_die(job: Job) -> None:
    """Run until the start is counted, and no further."""
    job.folder.mkdir(parents=True, exist_ok=True)
    _count_start(job)


def test_starts_that_get_further_are_not_counted_against_a_trial(tmp_path):
    job = job_for(tmp_path, **{"train.epochs": MAX_IDLE_STARTS + 3})
    for _ in range(MAX_IDLE_STARTS + 2):
        events = run(job, HERE)
        done = len(finished_epochs(job))
        for _ in range(done + 1):
            next(events)
    assert record_of(job).status == "complete"


def finished_epochs(job: Job) -> list:
    path = job.folder / "checkpoint.pt"
    return checkpoints.load_checkpoint(path)["progress"]["history"] if path.exists() else []
