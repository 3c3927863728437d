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
from search.trial.run import splits_of

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


def test_network_has_its_test_accuracy_on_the_test_images(study: snnsearch.Study) -> None:
    best = study.best("accuracy")
    shown, labels = best.test_images()
    with torch.no_grad():
        found = best.network().eval()(shown).argmax(1)
    assert best.metrics is not None
    assert (found == labels).double().mean().item() == pytest.approx(best.metrics.test_accuracy)


def test_own_images_are_prepared_as_in_the_training(study: snnsearch.Study, tmp_path: Path) -> None:
    best = study.best("accuracy")
    shown, _ = best.test_images()
    raw = torch.from_numpy(splits_of(best.candidate, study.data, best.record.seed).test.rows(slice(None)))
    assert raw.dtype == torch.uint8
    torch.testing.assert_close(best.prepare(raw), shown)
    torch.testing.assert_close(best.prepare(raw.permute(0, 2, 3, 1).numpy()), shown)
    torch.testing.assert_close(best.prepare(raw.double() / 255), shown)
    file = best.export(tmp_path / "best.pt")
    torch.testing.assert_close(snnsearch.prepare(file, raw), shown)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.zeros(2, 1, 9, 9), r"given images of shape \(2, 1, 9, 9\); the network takes \(N, 1, 16, 16\)"),
        (
            torch.full((2, 1, 16, 16), 3.0),
            "values from 3 to 3; give whole numbers from 0 to 255, or numbers from 0 to 1",
        ),
        (torch.full((2, 1, 16, 16), -1), "values from -1 to -1"),
    ],
    ids=["shape", "normalised", "negative"],
)
def test_images_that_the_network_cannot_take_are_refused(
    study: snnsearch.Study, images: torch.Tensor, says: str
) -> None:
    with pytest.raises(snnsearch.InputError, match=says):
        study.best("accuracy").prepare(images)


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
