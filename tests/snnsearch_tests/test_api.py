"""`import snnsearch`: from a launch to DataFrames, a picture and a network, and what is refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import snnsearch
from reports.records.study import TrialRecord
from search.runner.observer import SilentObserver

QUICK = {"train.epochs": 1, "train.chance_patience": 0, "data.subset": 200, "data.test": 60, "study.sampler": "random"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> snnsearch.Study:
    runs = tmp_path_factory.mktemp("runs")
    return snnsearch.launch(
        "smoke", overrides=QUICK, trials=2, executor="inline", runs=runs, device="cpu", progress=False
    )


def test_every_public_name_is_there() -> None:
    assert sorted(snnsearch.__all__) == list(snnsearch.__all__)
    assert all(getattr(snnsearch, name) is not None for name in dir(snnsearch))
    with pytest.raises(AttributeError, match="it has Config, Constant"):
        snnsearch.lunch  # noqa: B018


def test_import_loads_neither_torch_nor_ray_nor_optuna() -> None:
    code = "import sys, snnsearch; assert not {'torch', 'ray', 'optuna', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_trials_and_front_are_data_frames(study: snnsearch.Study) -> None:
    complete = study.trials[study.trials.status == "complete"]
    assert len(complete) == 2
    assert list(complete.columns[:5]) == ["status", "name", "accuracy", "energy_mj", "params"]
    assert set(study.front.index) <= set(complete.index)
    assert study.front.loc[study.best("accuracy").number, "accuracy"] == complete.accuracy.max()
    assert study.best("params").values["params"] == complete.params.min()
    assert repr(study) == f"<Study smoke: {len(study.trials)} trials, 2 complete, {len(study.front)} on the front>"


def test_trial_gives_its_network_and_its_layers(study: snnsearch.Study, tmp_path: Path) -> None:
    best = study.best("accuracy")
    network = best.network().eval()
    images = torch.rand(3, *best.candidate.data.shape, generator=torch.Generator().manual_seed(0))
    assert network(images).shape == (3, 10)
    assert best.metrics is not None
    assert best.layers.acs.sum() == pytest.approx(best.metrics.acs)
    loaded = snnsearch.load(best.export(tmp_path / "network.pt"))
    assert torch.equal(loaded(images), network(images))


def test_picture_shows_the_front(study: snnsearch.Study, tmp_path: Path) -> None:
    study.plot().save(tmp_path / "front.svg")
    assert f"the front of smoke, {len(study.front)} candidates" in (tmp_path / "front.svg").read_text()
    assert study.plot()._repr_svg_() == (tmp_path / "front.svg").read_text()


def test_study_is_reopened_and_resumed(study: snnsearch.Study) -> None:
    class Ended(SilentObserver):
        numbers: list[int] = []  # noqa: RUF012

        def trial_ended(self, record: TrialRecord) -> None:
            self.numbers.append(record.number)

    again = snnsearch.open_study("smoke", runs=study.runs)
    assert again.record == study.record
    more = snnsearch.resume("smoke", runs=study.runs, trials=1, executor="inline", device="cpu", progress=Ended())
    assert (more.trials.status == "complete").sum() == 3
    assert Ended.numbers == [2]
    assert again.reload().record == more.record
    assert study.report().name == "report.html"


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda study: study.best("acuracy"), "the study's objectives are accuracy, energy_mj, params; did you mean"),
        (lambda study: study.trial(99), "has no trial 99; it has"),
        (lambda study: snnsearch.load("nothing.pt"), "no such file: nothing.pt. Write one with: snnsearch export"),
        (lambda study: snnsearch.load(__file__), "is no file of torch"),
        (lambda study: snnsearch.launch("smok", runs=study.runs), "did you mean smoke"),
        (lambda study: snnsearch.launch("study: 3\n", runs=study.runs), "study"),
    ],
)
def test_wrong_request_says_what_is_allowed(
    study: snnsearch.Study, ask: Callable[[snnsearch.Study], object], says: str
) -> None:
    with pytest.raises(snnsearch.InputError, match=says):
        ask(study)


def test_torch_module_becomes_a_space() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    space = snnsearch.load_space(snnsearch.scaffold(module, (1, 16, 16)))
    assert space.base.plan().params == sum(parameter.numel() for parameter in module.parameters())
    assert space.dials
    with pytest.raises(snnsearch.InputError, match="GroupNorm cannot be searched"):
        snnsearch.scaffold(nn.GroupNorm(1, 1), (1, 16, 16))
