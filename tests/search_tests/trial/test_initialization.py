"""Sources of a trial's first weights: a parent that the study chose, its own twin, or a draw with its reason."""

import io
import itertools
import shutil
from pathlib import Path

import pytest
import torch
from helpers.untrained import SPACES, header_for
from rich.console import Console

from reports.document.wording import initialization_phrase
from reports.records.study import EpochRecord, StudyRecord, TrialRecord
from reports.storage.results import read_result
from reports.storage.studies import sqlite_url
from search.cli.tables import trial_view
from search.runner.progress import RunningTrial, RunProgress
from search.space.loading.loader import load_space
from search.space.space import Space
from search.study import create, study
from search.study.warm_start import distance
from search.trial.job import FromParent, Job, Parent, Placement, TwinFromScratch, initialization_without_parent
from search.trial.run import run
from snnkit.architecture.plan import PASSES
from snnkit.export import pytorch
from snnkit.training.recipe import Recipe

HERE = Placement(threads=1)
QUICK = {"data.subset": 300, "train.epochs": 2, "train.batch": 48, "train.chance_patience": 0}


def space_for(**overrides: object) -> Space:
    return load_space(SPACES / "smoke.yaml", overrides=QUICK | overrides)


def job_for(folder: Path, name: str, number: int, **overrides: object) -> Job:
    space = space_for(**overrides)
    candidate = space.candidate(space.candidates[name])
    return Job(
        number=number, name=name, params=space.candidates[name], candidate=candidate, modules=(),
        static=candidate.static(), folder=folder / "trials" / str(number), seed=0,
        initialization=initialization_without_parent(candidate),
    )  # fmt: skip


def events_of(job: Job) -> tuple[list[EpochRecord], TrialRecord]:
    *epochs, record = run(job, HERE)
    assert isinstance(record, TrialRecord)
    assert record.status == "complete", record.traceback
    return epochs, record  # type: ignore[return-value]  # all but the last are epochs


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, TrialRecord]:
    job = job_for(tmp_path_factory.mktemp("parent"), "baseline", 0)
    return job, events_of(job)[1]


def child_of(trained: tuple[Job, TrialRecord], folder: Path, name: str = "no-fire3") -> Job:
    job, record = trained
    parent = Parent(
        number=0, candidate=job.candidate, weights=job.folder / "weights.pt", images=record.training_images,
        macs=record.training_macs,
    )  # fmt: skip
    return with_parent(job_for(folder, name, 1, **{"train.start": "inherit"}), parent)


def with_parent(job: Job, parent: Parent) -> Job:
    return job.model_copy(update={"initialization": FromParent(parent=parent)})


def parent_of(job: Job) -> Parent | None:
    return job.parents[0] if job.parents else None


def weights_of(job: Job) -> dict[str, torch.Tensor]:
    return pytorch.read(job.folder / "weights.pt")[0]


def test_child_says_what_it_took_and_how_much_training_stands_behind_it(trained, tmp_path):
    job = child_of(trained, tmp_path)
    _, record = events_of(job)
    start = record.start
    assert (start.kind, start.parent, start.reason) == ("inherit", 0, None)
    assert sum(start.layers.values()) == len(job.candidate.plan().convs)
    assert start.layers == {"copied": len(job.candidate.plan().convs) - 1, "rewired": 1}
    assert start.refitted == 1
    assert start.inherited_images == trained[1].training_images
    assert record.training_images == 2 * 240  # its own alone: a fifth of 300 is for validation
    assert read_result(job.folder) == record


def test_show_says_what_a_child_began_with(trained, tmp_path):
    _, record = events_of(child_of(trained, tmp_path))
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(trial_view(StudyRecord(header=header_for(space_for(), tmp_path), trials=(record,)), record))
    assert initialization_phrase(record) in console.export_text()
    assert "from the weights of trial 0" in initialization_phrase(record)


def test_child_begins_with_what_its_parent_knows(trained, tmp_path):
    job = child_of(trained, tmp_path)
    (first, *_), _ = events_of(job)
    drawn = job_for(tmp_path, "no-fire3", 2)
    (other, *_), _ = events_of(drawn)
    assert first.train_loss < other.train_loss


def test_child_that_was_interrupted_ends_with_the_same_weights_though_its_parent_is_gone(trained, tmp_path):
    whole, cut = child_of(trained, tmp_path / "whole"), child_of(trained, tmp_path / "cut")
    _, expected = events_of(whole)
    next(run(cut, HERE))  # one epoch, then the process is gone
    moved = parent_of(cut).model_copy(update={"weights": tmp_path / "gone.pt"})
    _, record = events_of(with_parent(cut, moved))
    assert record.restarts == 1
    assert record.start == expected.start
    assert record.metrics == expected.metrics
    assert all(torch.equal(value, weights_of(whole)[name]) for name, value in weights_of(cut).items())


def test_checkpoint_of_a_child_of_another_parent_is_put_aside(trained, tmp_path):
    job = child_of(trained, tmp_path)
    next(run(job, HERE))
    other = with_parent(job, parent_of(job).model_copy(update={"number": 7}))
    _, record = events_of(other)
    assert (job.folder / "checkpoint.pt.corrupt").exists()
    assert record.start.parent == 7


@pytest.mark.parametrize("content", [None, b"torn"])
def test_weights_that_cannot_be_read_are_said_and_the_trial_draws_its_own(trained, tmp_path, content):
    job = child_of(trained, tmp_path)
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    _, record = events_of(with_parent(job, parent_of(job).model_copy(update={"weights": path})))
    assert (record.start.kind, record.start.parent) == ("scratch", 0)
    assert "weights of trial 0" in record.start.reason
    assert "event=parent_unusable" in (job.folder / "log.txt").read_text()
    _, drawn = events_of(job_for(tmp_path, "no-fire3", 2))
    assert record.metrics == drawn.metrics


def test_first_trial_has_no_parent_and_says_so(tmp_path):
    _, record = events_of(job_for(tmp_path, "baseline", 0, **{"train.start": "inherit"}))
    assert (record.start.kind, record.start.parent) == ("scratch", None)
    assert "no relative" in record.start.reason


def test_trial_from_scratch_has_nothing_to_say(trained):
    assert trained[1].start is None


# -- from the twin --------------------------------------------------------------------------------------------------

CNN = {"train.start": "cnn", "train.cnn_epochs": 3}


def test_work_on_the_twin_is_in_the_ledger(tmp_path):
    job = job_for(tmp_path, "no-fire3", 0, **CNN)
    epochs, record = events_of(job)
    assert [epoch.twin for epoch in epochs] == [True] * 3 + [False] * 2
    start = record.start
    assert (start.kind, start.layers) == ("cnn", {"copied": len(job.candidate.plan().convs)})
    assert start.history == tuple(epochs[:3])
    assert [epoch.macs for epoch in start.history] == [240 * PASSES * job.candidate.plan().dense_macs] * 3
    assert record.training_images == 5 * 240
    assert record.training_macs == sum(epoch.macs for epoch in epochs)
    assert record.wall_s >= sum(epoch.wall_s for epoch in epochs)
    assert not (job.folder / "twin.pt").exists()


@pytest.fixture(scope="module")
def from_twin(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[EpochRecord], TrialRecord]:
    return events_of(job_for(tmp_path_factory.mktemp("twin"), "no-fire3", 0, **CNN))


@pytest.mark.parametrize("done", [1, 3, 4])
def test_trial_from_a_twin_that_was_interrupted_is_the_same(done, from_twin, tmp_path):
    cut = job_for(tmp_path, "no-fire3", 0, **CNN)
    expected, record = from_twin
    before = list(itertools.islice(run(cut, HERE), done))  # the twin's first epochs, all, or one of its own too
    again, resumed = events_of(cut)
    assert again[:done] == before  # with their wall time: none is trained again
    figures = {"wall_s": 0.0}
    assert [e.model_copy(update=figures) for e in again] == [e.model_copy(update=figures) for e in expected]
    assert resumed.metrics == record.metrics
    assert (resumed.training_images, resumed.training_macs) == (record.training_images, record.training_macs)


def test_a_twin_is_trained_once_for_all_trials_that_differ_in_neurons(from_twin, tmp_path):
    settings = CNN | {"neuron.leak": 0.9, "encoding.timesteps": 1}
    first, second = job_for(tmp_path, "no-fire3", 0, **CNN), job_for(tmp_path, "no-fire3", 1, **settings)
    _, trainer = events_of(first)
    epochs, record = events_of(second)
    assert [epoch.twin for epoch in epochs] == [False] * 2
    start = record.start
    assert (start.kind, start.parent, start.history) == ("cnn", 0, ())
    assert (start.inherited_images, start.inherited_macs) == (3 * 240, sum(e.macs for e in trainer.start.history))
    assert record.training_images == 2 * 240
    _, alone = events_of(job_for(tmp_path / "alone", "no-fire3", 1, **settings))
    assert record.metrics == alone.metrics
    assert alone.start.parent is None


def test_a_benchmarks_twin_is_that_which_its_network_starts_from(from_twin, tmp_path):
    snn = job_for(tmp_path, "no-fire3", 0, **CNN)
    cell = snn.model_copy(
        update={"initialization": TwinFromScratch(), "number": 1, "folder": snn.folder.with_name("1")}
    )
    _, trained = events_of(cell)
    epochs, record = events_of(snn)
    assert [epoch.twin for epoch in epochs] == [False] * 2
    assert record.metrics == from_twin[1].metrics
    assert [e.val_accuracy for e in trained.history] == [e.val_accuracy for e in from_twin[1].start.history]


@pytest.mark.parametrize("damage", ["torn", "other"])
def test_a_twin_that_cannot_be_read_is_trained_anew(damage, from_twin, tmp_path):
    first, second = job_for(tmp_path, "no-fire3", 0, **CNN), job_for(tmp_path, "no-fire3", 1, **CNN)
    events_of(first)
    (kept,) = (tmp_path / "twins").iterdir()
    kept.write_bytes(kept.read_bytes()[:1000] if damage == "torn" else b"another file")
    epochs, record = events_of(second)
    assert record.start.history == tuple(epochs[:3])
    assert record.metrics == from_twin[1].metrics
    assert "event=twin_unusable" in (second.folder / "log.txt").read_text()


def test_twin_that_cannot_learn_stops_the_trial_and_its_work_counts(tmp_path):
    job = job_for(tmp_path, "no-fire3", 0, **CNN | {"train.lr": 1e-12, "train.chance_patience": 2})
    *_, record = run(job, HERE)
    assert record.status == "stopped"
    assert record.reason.startswith("the CNN twin: ")
    assert record.history == ()
    assert record.training_images == sum(epoch.images for epoch in record.start.history) > 0


def test_driver_counts_the_epochs_of_a_twin_once():
    def epoch(number: int, *, twin: bool) -> EpochRecord:
        return EpochRecord(
            epoch=number, train_loss=1.0, train_accuracy=0.1, val_loss=1.0, val_accuracy=0.1, learning_rate=0.1,
            wall_s=1.0, macs=1.0 if twin else 10.0, twin=twin,
        )  # fmt: skip

    progress = RunProgress().started(RunningTrial(0, None, 0.0, 2))
    seen = [(1, True), (2, True), (1, True), (2, True), (1, False), (1, True), (2, True), (1, False), (2, False)]
    for number, twin in seen:  # its worker was replaced twice
        progress = progress.epoch(0, epoch(number, twin=twin))
    assert progress.training_macs == 2 * 1.0 + 2 * 10.0


def test_twin_is_trained_for_as_many_epochs_as_its_network_unless_told():
    assert Recipe(epochs=4, rungs=(1, 2), start="cnn").for_cnn_twin == Recipe(epochs=4)
    assert Recipe(epochs=4, cnn_epochs=7, start="cnn").for_cnn_twin.epochs == 7


# -- the study ------------------------------------------------------------------------------------------------------


def opened_in(folder: Path, space: Space) -> study.Study:
    folder.mkdir(parents=True, exist_ok=True)
    return create.create_study(header_for(space, folder.parent), space, folder, sqlite_url(folder / "study.db"))


def reopened(folder: Path, space: Space) -> study.Study:
    opened = create.load_study(header_for(space, folder.parent), space, folder, sqlite_url(folder / "study.db"))
    opened.recover()
    return opened


def finish(opened: study.Study, job: Job, *, weights: bool = True) -> None:
    from helpers.untrained import trained as outcome

    job.folder.mkdir(parents=True)
    if weights:
        (job.folder / "weights.pt").write_bytes(b"")
    opened.finish(outcome(job))


def ignore(record: TrialRecord) -> None:
    return None


def test_parent_is_the_nearest_finished_trial_whose_weights_are_there(tmp_path):
    space = space_for(**{"train.start": "inherit", "study.sampler": "random"})
    opened, done = opened_in(tmp_path / "s", space), {}
    for _ in range(8):
        job = opened.next(ignore)
        near = [(distance(job.params, params), number) for number, params in done.items()]
        assert (None if parent_of(job) is None else parent_of(job).number) == min(near, default=(0, None))[1]
        if parent_of(job) is not None:
            assert parent_of(job).candidate == space.candidate(done[parent_of(job).number])
            assert parent_of(job).weights == opened.trial_folder(parent_of(job).number).weights
        kept = job.number % 3 != 1
        finish(opened, job, weights=kept)
        if kept:
            done[job.number] = job.params
    assert done


def test_interrupted_trial_keeps_its_parent_though_a_nearer_one_has_finished_since(tmp_path):
    space = space_for(**{"train.start": "inherit", "study.sampler": "random"})
    opened = opened_in(tmp_path / "s", space)
    first = opened.next(ignore)
    finish(opened, first)
    cut, other = opened.next(ignore), opened.next(ignore)
    assert parent_of(cut).number == first.number
    finish(opened, other)
    shutil.rmtree(first.folder)  # its weights too: that is the worker's to say
    again = reopened(tmp_path / "s", space).next(ignore)
    assert again == cut


def test_trial_that_had_no_parent_gets_none_when_it_is_taken_up_again(tmp_path):
    space = space_for(**{"train.start": "inherit"})
    opened = opened_in(tmp_path / "s", space)
    first, second = opened.next(ignore), opened.next(ignore)
    assert parent_of(first) is parent_of(second) is None
    finish(opened, second)
    assert reopened(tmp_path / "s", space).next(ignore) == first


def test_images_behind_a_child_of_a_child_add_up(tmp_path):
    from helpers.untrained import trained as outcome

    space = space_for(**{"train.start": "inherit"})
    opened, behind = opened_in(tmp_path / "s", space), []
    for _ in range(3):
        job = opened.next(ignore)
        behind.append((parent_of(job).images, parent_of(job).macs) if parent_of(job) else (0, 0.0))
        job.folder.mkdir(parents=True)
        (job.folder / "weights.pt").write_bytes(b"")
        epoch = EpochRecord(
            epoch=1, train_loss=1.0, train_accuracy=0.1, val_loss=1.0, val_accuracy=0.1, learning_rate=0.1, wall_s=1.0,
            images=10, macs=5.0,
        )  # fmt: skip
        start = {"kind": "inherit", "inherited_images": behind[-1][0], "inherited_macs": behind[-1][1]}
        record = outcome(job).model_copy(update={"history": (epoch,)})
        opened.finish(TrialRecord.model_validate(record.model_dump() | {"start": start}))
        if parent_of(job) is not None:
            parent = behind[parent_of(job).number]
            assert behind[-1] == (parent[0] + 10, parent[1] + 5.0)


def test_trials_that_are_to_be_validated_on_other_images_are_no_relatives(tmp_path):
    subset = "{choices: [250, 300], default: 300}"
    space = space_for(**{"train.start": "inherit", "data.subset": subset, "study.sampler": "random"})
    opened, done = opened_in(tmp_path / "s", space), {}
    for _ in range(8):
        job = opened.next(ignore)
        if parent_of(job) is not None:
            assert done[parent_of(job).number].data == job.candidate.data
        done[job.number] = job.candidate
        finish(opened, job)
    assert len({candidate.data for candidate in done.values()}) == 2


def test_distance_counts_dials_that_both_have():
    one = {"a": 1, "b": True, "train.start": "inherit"}
    assert distance(one, {"a": 2, "b": True, "c": 3, "train.start": "scratch"}) == 1
    assert distance(one, one) == 0
