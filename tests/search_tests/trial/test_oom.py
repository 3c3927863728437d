"""Trials that run out of memory are tried once more with less at a time."""

import pytest
import torch
from helpers.small_trials import HERE, job_for, record_of

from reports.records.study import TrialRecord
from search.trial import oom
from search.trial.run import run
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.data import DataChoice, load_dataset, split_dataset
from snnkit.families import FAMILIES
from snnkit.nn.network import Network
from snnkit.training.recipe import Recipe
from snnkit.training.step import TrainStep


def room_for(monkeypatch, most: int, after: int = 0) -> list[int]:
    """Steps on more than ``most`` images at once run out of memory as CUDA's do, all but the first ``after``; returns
    the sizes that were tried."""
    sizes = []
    backward = TrainStep._backward

    def limited(self, network, batch):
        sizes.append(len(batch.labels))
        if len(batch.labels) > most and len(sizes) > after:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return backward(self, network, batch)

    monkeypatch.setattr(TrainStep, "_backward", limited)
    return sizes


def test_trial_goes_on_with_batches_in_parts_and_the_record_says_so(tmp_path, monkeypatch):
    job = job_for(tmp_path, **{"train.batch": 64})
    sizes = room_for(monkeypatch, 16)
    record = record_of(job)
    assert (record.status, record.accumulate) == ("complete", 4)
    assert sizes[0] == 64
    assert set(sizes[1:]) == {16}
    assert "event=out_of_memory accumulate=4" in (job.folder / "log.txt").read_text()


def test_trial_that_never_ran_out_has_whole_batches(tmp_path):
    assert record_of(job_for(tmp_path)).accumulate == 1


def test_memory_that_runs_out_later_costs_no_finished_epoch(tmp_path, monkeypatch):
    job = job_for(tmp_path, **{"train.batch": 64})
    steps = 7  # an epoch
    sizes = room_for(monkeypatch, 16, after=steps + 1)
    record = record_of(job)
    assert record.status == "complete"
    assert record.history[0].images == steps * 64
    assert sizes[: steps + 2] == [64] * (steps + 2)
    assert len(sizes) == steps + 2 + 4 * steps  # the second epoch again, in parts; not the first


def test_trial_resumed_elsewhere_keeps_its_parts(tmp_path, monkeypatch):
    job = job_for(tmp_path, **{"train.batch": 64})
    sizes = room_for(monkeypatch, 16)
    events = run(job, HERE)
    next(events)
    events.close()  # type: ignore[attr-defined]
    tried = len(sizes)
    record = record_of(job)
    assert record.accumulate == 4
    assert set(sizes[tried:]) == {16}


def test_twin_has_its_batches_in_parts_too(tmp_path, monkeypatch):
    job = job_for(tmp_path, **{"train.batch": 64, "train.start": "cnn"})
    sizes = room_for(monkeypatch, 16)
    assert record_of(job).status == "complete"
    assert set(sizes[1:]) == {16}


def test_trial_that_fits_in_no_parts_is_stopped_with_the_reason(tmp_path, monkeypatch):
    job = job_for(tmp_path, **{"train.batch": 64})
    sizes = room_for(monkeypatch, 0)
    record = record_of(job)
    assert sizes == [64, 16]
    assert record.status == "stopped"  # a sampler learns from it; it is no failure that stops a study
    assert record.reason.startswith(
        "out of memory, with each batch in 4 parts too: OutOfMemoryError: CUDA out of memory"
    )
    assert "_backward" in record.traceback


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"),
    ],
)
def test_what_is_out_of_memory(error):
    assert oom.is_out_of_memory(error)
    assert not oom.is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_allocator_of_this_machine_is_understood():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58, dtype=torch.uint8)
    assert oom.is_out_of_memory(caught.value)


def test_gradients_in_parts_are_those_of_the_batch():
    """Use no BatchNorm, since it would make an image depend on its batch."""
    data = DataChoice(name="digits", subset=100, validation=20)
    parts = split_dataset(load_dataset("digits"), data, seed=0)
    design = FAMILIES["squeezenet"].design.model_validate({"batchnorm": False})
    plan = FAMILIES["squeezenet"].plan(design, 10, data.shape)
    found = []
    for accumulate in (1, 3):
        network = Network(plan, NeuronConfig(threshold=0.1), EncodingConfig(timesteps=2), seed=0)
        recipe = Recipe(batch=32, augment="none", precision="fp32")
        step = TrainStep(network, parts, recipe, seed=0, device="cpu", accumulate=accumulate)
        loss, correct = step._compute_gradients(step.batches.load(0, 0), 0, 0)
        found.append((loss, correct, [p.grad.clone() for p in network.parameters()]))
    (whole_loss, whole_correct, whole), (split_loss, split_correct, split) = found
    assert split_loss == pytest.approx(whole_loss, rel=1e-5)
    assert split_correct == whole_correct
    assert any(gradient.abs().sum() > 0 for gradient in whole)
    for a, b in zip(whole, split, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6)


def test_driver_hears_epochs_again_after_a_retry_and_stores_them_once(tmp_path, monkeypatch):
    job = job_for(tmp_path, **{"train.batch": 64})
    room_for(monkeypatch, 16, after=9)
    *epochs, record = run(job, HERE)
    assert isinstance(record, TrialRecord)
    assert [epoch.epoch for epoch in epochs] == [1, 1, 2]
    assert [epoch.epoch for epoch in record.history] == [1, 2]
