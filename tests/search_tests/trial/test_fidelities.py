"""Real trainings of one trial at rising fidelities: what continues from what."""

from pathlib import Path

import pytest
import torch
from helpers.small_trials import HERE
from helpers.untrained import SPACES

from reports.records.study import TrialRecord
from search.space.loading.loader import load_space
from search.trial.folder import RunFolder
from search.trial.initialization import trained_network
from search.trial.job import Job, first_initialization
from search.trial.run import run
from search.trial.sync import RemoteFolder, connect_worker
from snnkit.training.checkpoint import load_checkpoint
from snnkit.training.evaluation import evaluate

FIDELITIES = "[{data.subset: 400, train.epochs: 1, train.cnn_epochs: 1}, {train.cnn_epochs: 2, train.epochs: 1}]"


def jobs(folder: Path, start: str) -> list[Job]:
    """The trainings of one trial, the cheapest first."""
    overrides = {
        "study.sampler": "ehvi",
        "study.fidelities": FIDELITIES,
        "data.subset": 700,
        "data.validation": 200,
        "train.epochs": 1,
        "train.cnn_epochs": 1,
        "train.chance_patience": 0,
        "train.start": start,
    }
    space = load_space(SPACES / "smoke.yaml", overrides=overrides)
    params = space.candidates["no-fire3"]
    full = space.candidate(params)
    every, trial = space.fidelities(full), RunFolder(folder).trial(0)
    found = []
    for at in range(1, len(every) + 1):
        *below, candidate = every[:at]
        weights = trial.at(at - 1).weights if below else None
        fidelity = None if at == len(every) else at
        found.append(
            Job(
                number=0, name=None, params=params, candidate=candidate, modules=(), static=full.static(), seed=0,
                fidelity=fidelity, fidelities=len(every), below=tuple(below), folder=trial.at(fidelity).path,
                initialization=first_initialization(0, candidate, below, weights),
            )
        )  # fmt: skip
    return found


def record_of(job: Job) -> TrialRecord:
    *_, record = run(job, HERE)
    assert isinstance(record, TrialRecord)
    return record


def test_cnn_twin_continues_from_the_twin_of_the_fidelity_below(tmp_path: Path) -> None:
    cheap, middle, full = jobs(tmp_path, "cnn")
    first, second, third = record_of(cheap), record_of(middle), record_of(full)
    assert (first.status, second.status, third.status) == ("paused", "paused", "complete")
    assert [len(record.fidelities[0].start.history) for record in (first, second)] == [1, 2]
    assert third.start is not None
    assert len(third.start.history) == 1
    twins = [RunFolder(tmp_path).twins / job.files.twin_name.read_text() for job in (cheap, middle)]
    assert len({*twins}) == 2
    assert len(list(RunFolder(tmp_path).twins.iterdir())) == 3
    losses = [load_checkpoint(twin)["history"][0]["train_loss"] for twin in twins]
    assert losses[1] < losses[0]  # it continued: with random weights it would start as high


def test_twins_that_are_missing_below_are_trained_again(tmp_path: Path) -> None:
    """A study may be continued elsewhere, from its database and its results alone."""
    cheap, middle, full = jobs(tmp_path / "whole", "cnn")
    record_of(cheap)
    record_of(middle)
    whole = record_of(full)
    *_, moved = jobs(tmp_path / "moved", "cnn")
    record = record_of(moved)
    assert record.metrics == whole.metrics
    assert [epoch.train_loss for epoch in record.epochs] == [epoch.train_loss for epoch in whole.epochs]
    assert "event=twin_below_missing fidelity=2" in moved.files.log_file.read_text()
    assert not list(tmp_path.glob("moved/trials/0/fidelity-*/twin.pt"))


def test_network_continues_from_its_own_weights(tmp_path: Path) -> None:
    cheap, middle, _ = jobs(tmp_path, "inherit")
    record_of(cheap)
    before = trained_network(cheap.candidate, cheap.files.weights).state_dict()
    (found,) = record_of(middle).fidelities
    assert found.start is not None
    assert (found.start.kind, found.start.parent, found.start.fidelity) == ("inherit", 0, 1)
    assert set(found.start.layers) == {"copied"}
    after = trained_network(middle.candidate, middle.files.weights).state_dict()
    name = next(name for name in before if name.endswith("conv.weight"))
    distance = torch.linalg.vector_norm(after[name] - before[name]) / torch.linalg.vector_norm(before[name])
    assert 0 < distance < 0.5  # weights drawn at random are about 1.4 apart


def test_test_images_are_not_used_below_the_full_fidelity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def counted(network, images, *arguments, **options):
        measured.append(len(images))
        return evaluate(network, images, *arguments, **options)

    monkeypatch.setattr("search.trial.run.evaluate", counted)
    cheap, *_, full = jobs(tmp_path, "scratch")
    assert record_of(cheap).metrics is None
    assert measured == []
    assert record_of(full).metrics is not None
    assert len(measured) == 1


def test_finished_fidelity_is_not_trained_again(tmp_path: Path) -> None:
    cheap, *_ = jobs(tmp_path, "scratch")
    assert [record_of(cheap)] == list(run(cheap, HERE))


@pytest.mark.parametrize("start", ["cnn", "inherit"])
def test_next_fidelity_finds_the_files_on_another_machine(
    start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meeting").mkdir()
    url = (tmp_path / "meeting" / "study").as_uri()
    cheap, middle, _ = jobs(tmp_path / "driver", start)
    for machine, job in (("one", cheap), ("two", middle)):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        remote = connect_worker(url)
        here = remote.localize(job)
        assert tmp_path / machine in here.folder.parents
        *_, record = remote.deliver(here, run(here, HERE, remote), 3600.0)
        assert isinstance(record, TrialRecord)
        assert record.status == "paused"
        RemoteFolder(url, RunFolder(tmp_path / "driver")).fetch_folder(job.folder)
    log = middle.files.log_file.read_text()
    assert "twin_below" not in log
    (found,) = record.fidelities
    assert found.start is not None
    assert found.start.kind == start
    assert found.start.reason is None
