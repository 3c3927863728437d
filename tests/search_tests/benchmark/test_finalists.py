"""Finalists of a study become a benchmark that trains what the study found; `train` and `export` too."""

import contextlib
import io
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.untrained import SPACES, header_for, trained
from rich.console import Console

from reports.analysis.front import front_trials
from reports.analysis.hypervolume import hypervolume_subset
from reports.document.wording import ratio
from reports.records.benchmark import BenchmarkHeader
from reports.records.study import Metrics, ReferencePoint
from reports.storage.benchmarks import read_benchmark
from reports.storage.studies import load_study_folder, read_study, sqlite_url
from search.benchmark import finalists
from search.benchmark.loader import load_benchmark
from search.cli import main
from search.errors import InputError, SpaceError
from search.space.candidate import Candidate
from search.space.loading.loader import load_space
from search.space.retrain import LONG_RECIPE
from search.study import create
from snnkit.export import EXPORTS, pytorch
from snnkit.export.parity import run_network
from snnkit.training.recipe import Recipe

SMOKE = str(SPACES / "smoke.yaml")
QUICK = ["--set", "train.epochs=1", "--set", "train.chance_patience=0", "--set", "data.subset=500"]
SHORT = ["--set", "train.epochs=2", "--set", "train.cnn_epochs=1", "--set", "data.digits.subset=500"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A study of six trials, made up; its record and its space."""
    folder = tmp_path_factory.mktemp("made") / "smoke"
    folder.mkdir()
    retrain = "{train.epochs: 9, train.erase: 0.25, data.test: 100}"
    space = load_space(Path(SMOKE), overrides={"train.rungs": "[1]", "data.subset": "600", "retrain": retrain})
    url = sqlite_url(folder / "study.db")
    opened = create.create_study(header_for(space, folder.parent), space, folder, url)
    for _ in range(6):
        opened.finish(trained(opened.next(lambda record: None)))
    return read_study(url, space.study.name), space


def benchmark(record, space, numbers=(), names=()):
    chosen = finalists.of_study(record, space, numbers, names, best=99)
    base = finalists.with_recipe(space.base, space.retrain)
    return load_benchmark(finalists.benchmark_text("smoke-finals", chosen, space, (5, 6), base=base))


def test_the_front_is_trained_as_it_was_found_with_the_long_recipe(stored):
    record, space = stored
    found = benchmark(record, space)
    front = front_trials(record)
    row = found.candidates["digits"]
    assert len(row) == len(front)
    for trial, (label, candidate) in zip(front, row.items(), strict=True):
        assert label == (trial.name or f"trial {trial.number}")
        wanted = space.candidate(trial.params)
        assert (candidate.network, candidate.neuron, candidate.encoding) == (
            wanted.network, wanted.neuron, wanted.encoding,
        )  # fmt: skip
        expected = wanted.train.model_dump() | LONG_RECIPE | {"epochs": 9, "erase": 0.25}
        assert candidate.train == Recipe.model_validate(expected)
        assert (candidate.data.subset, candidate.data.test) == (None, 100)
    assert {cell.kind for cell in found.cells} == {"snn", "cnn"}
    assert {cell.seed for cell in found.cells} == {5, 6}
    assert found.references == space.reference


def test_trials_and_names_can_be_asked_for(stored):
    record, space = stored
    found = benchmark(record, space, numbers=(3, 4), names=("smallest",))
    assert list(found.networks) == ["trial 3", "trial 4", "smallest"]
    steps = {label: candidate.encoding.timesteps for label, candidate in found.candidates["digits"].items()}
    assert steps["smallest"] == 1
    assert steps["trial 3"] == space.candidate(record.trials[3].params).encoding.timesteps


def test_of_a_front_those_are_trained_that_span_most_of_it(stored):
    record, space = stored
    front = front_trials(record)
    (best,), share = hypervolume_subset(record, 1)
    (found,) = finalists.of_study(record, space, (), (), best=1)
    assert found.candidate.network == space.candidate(best.params).network
    text = finalists.describe_choice(record, 1)
    assert f"front     1 of its {len(front)} candidates: " in text
    assert f"with {ratio(share)} of its hypervolume together; " in text
    assert not finalists.describe_choice(record, len(front))


def test_finalists_that_are_equal_when_trained_so_are_trained_once(stored):
    record, space = stored
    twice = finalists.of_study(record, space, (3, 3), (), best=5)
    text = finalists.benchmark_text("f", twice, space, (0,), base=space.base)
    assert list(load_benchmark(text).networks) == ["trial 3"]


def test_what_is_not_there_is_said_with_what_is(stored):
    record, space = stored
    with pytest.raises(InputError, match=r"no candidate for trial 99; its front is .*, and it has 6 trials"):
        finalists.of_study(record, space, (99,), (), best=5)
    with pytest.raises(InputError, match=r"names no candidate 'smalest'; it has .*; did you mean smallest\?"):
        finalists.of_study(record, space, (), ("smalest",), best=5)


@pytest.mark.parametrize(
    ("retrain", "says"),
    [
        (
            "{train.epoch: 9}",
            r"retrain.train.epoch: retrain cannot replace this.*did you mean train.epochs\?",
        ),
        ("{network.stem.width: 9}", r"retrain.network.stem.width: retrain cannot replace this"),
        ("{data.name: cifar10}", r"retrain.data.name: retrain cannot replace this"),
        ("{train.epochs: 0}", r"retrain.train.epochs: given 0; write a number not below 1"),
        ("{train.start: scratch, train.distill: 0.5}", r"retrain.train: given distill 0.5 with start scratch"),
        ("{data.subset: 100000}", r"retrain.data: "),
        ("60", r"retrain: given 60; write \{train.epochs: 60"),
    ],
)
def test_a_broken_retrain_section_is_refused_with_its_path(retrain, says):
    with pytest.raises(SpaceError, match=says):
        load_space(Path(SMOKE), overrides={"retrain": retrain})


@pytest.mark.parametrize(
    ("leaf", "says"),
    [("augment=trivial", "colours"), ("short_epochs=2", "frames"), ("first_resolution=16", "still images")],
)
def test_what_recordings_cannot_have_is_refused(leaf, says):
    path, _, value = leaf.partition("=")
    with pytest.raises(SpaceError, match=rf"train: .*{says}"):
        load_space(SPACES / "nmnist_prune.yaml", overrides={f"train.{path}": value})


def test_a_study_goes_on_where_its_retrain_section_was_edited():
    plain, edited = (load_space(Path(SMOKE), overrides={"retrain": text}) for text in ("{}", "{train.epochs: 9}"))
    assert plain.fingerprint == edited.fingerprint
    assert load_space(edited.dump()).retrain == {"train.epochs": 9}


# -- the commands, on real trainings ----------------------------------------------------------------------------------


def call(monkeypatch, *words: str) -> tuple[int, str]:
    printed = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["snnsearch", *words])
    monkeypatch.setattr("search.cli.console.out", Console(file=printed, width=160))
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    return code, printed.getvalue()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A study of two trained candidates, and the first of them retrained."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        call(patch, "launch", SMOKE, "--executor", "inline", "--trials", "2", *QUICK)
        code, out = call(patch, "retrain", "smoke", "--trials", "0", "--seeds", "1", "--executor", "inline", *SHORT)
    assert code == 0, out
    return folder / "runs", out


@pytest.fixture
def here(runs, tmp_path, monkeypatch):
    shutil.copytree(runs[0], tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_retrain_trains_the_network_and_its_twin_and_goes_on_where_it_was(runs, here, monkeypatch):
    out = runs[1]
    assert "benchmark smoke-finals: 2 trainings" in out
    assert "snnsearch retrain smoke --trials 0 --seeds 1" in out or "report" in out
    record = read_benchmark(here / "runs" / "smoke-finals")
    assert [trial.status for trial in record.trials] == ["complete", "complete"]
    snn, twin = record.trials
    assert (len(snn.history), len(twin.history)) == (2, 1)
    assert (snn.start.kind, snn.start.parent, snn.start.history) == ("cnn", 1, ())  # the twin is trained once
    assert snn.metrics.energy_mj["horowitz45/exact"] < twin.metrics.energy_mj["horowitz45/exact"]
    words = ["retrain", "smoke", "--trials", "0", "--seeds", "1", "--executor", "inline", *SHORT]
    code, again = call(monkeypatch, *words)
    assert code == 0
    assert "all 2 trainings of smoke-finals are done; nothing is trained again" in again


def test_train_needs_no_study(here, monkeypatch):
    words = ["train", SMOKE, "--candidate", "smallest", "--executor", "inline"]
    code, out = call(monkeypatch, *words, "--set", "train.epochs=1", "--set", "data.digits.subset=300")
    assert code == 0, out
    record = read_benchmark(here / "runs" / "smoke-smallest")
    assert [(trial.status, trial.seed) for trial in record.trials] == [("complete", 0), ("complete", 0)]
    assert record.trials[0].metrics.timesteps == 1


def test_dry_run_of_retrain_touches_nothing(here, monkeypatch):
    code, out = call(monkeypatch, "retrain", "smoke", "--name", "other", "--dry-run")
    assert code == 0
    assert "benchmark other: " in out
    assert "estimated from the study's trials" in out
    assert not (here / "runs" / "other").exists()


@pytest.mark.parametrize(("name", "trial", "kind"), [("smoke", 0, "snn"), ("smoke-finals", 1, "cnn")])
def test_exported_file_builds_the_network_again(here, monkeypatch, name, trial, kind):
    code, out = call(monkeypatch, "export", name, str(trial))
    assert code == 0, out
    assert "64 of 64 in the same class" in out
    assert ("layers, one by one equal" in out) == (kind == "snn")
    content = torch.load(here / f"{name}-{trial}.pt", weights_only=True)
    metadata = json.loads(content["metadata"])
    assert metadata["kind"] == kind
    assert json.loads(metadata["parity"])["same_class"] == 64
    kept = torch.load(here / "runs" / name / "trials" / str(trial) / "weights.pt", weights_only=True)
    assert all(torch.equal(kept["weights"][key], tensor) for key, tensor in content["weights"].items())
    assert json.loads(kept["metadata"]).items() <= metadata.items()
    (line,) = [line.removeprefix("load").strip() for line in out.splitlines() if line.startswith("load ")]
    names: dict[str, torch.nn.Module] = {}
    exec(line, names)
    assert all(torch.equal(tensor, kept["weights"][key]) for key, tensor in names["network"].state_dict().items())
    assert "input     (N, C, H, W), pixels / 255, minus [" in out
    study_record = load_study_folder(here / "runs" / "smoke")
    if kind == "snn":
        assert json.loads(metadata["metrics"])["params"] == study_record.trials[0].metrics.params


def test_spikes_that_differ_and_totals_that_differ_are_told_apart(here, monkeypatch):
    def moved(path, network):
        def run(images):
            found = run_network(network, images)
            return replace(found, spikes={name: each.roll(1, dims=3) for name, each in found.spikes.items()})

        return run

    monkeypatch.setitem(EXPORTS, "pytorch", replace(EXPORTS["pytorch"], load=moved))
    code, out = call(monkeypatch, "export", "smoke", "0")
    assert code == 0, out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    (spikes,) = [line for line in lines if line.startswith("spikes")]
    differing, share = re.search(r"one by one ([\d,]+) differ \((.+?)%\), most in \w+", spikes).groups()
    assert int(differing.replace(",", "")) > 0
    assert float(share) > 1
    assert "totals of layers differ by 0%, without the differences that cancel" in lines


@pytest.mark.parametrize(("name", "cores"), [("smoke", 1), ("smoke-finals", 1), ("smoke-finals", 2)])
def test_trained_networks_are_measured_again_as_they_are_on_record(here, monkeypatch, name, cores):
    monkeypatch.setattr("search.trial.environment.cores", lambda: cores)
    header = here / "runs" / "smoke-finals" / "benchmark.json"
    point = ReferencePoint(label="worse", accuracy=0.0, energy_mj=9.0, params=10**9)
    stored = BenchmarkHeader.model_validate_json(header.read_text())
    header.write_text(stored.model_copy(update={"references": (point,)}).model_dump_json())
    code, out = call(monkeypatch, "evaluate", name)
    assert code == 0, out
    assert ("worse (" in out and "is dominated by baseline" in out) == (name == "smoke-finals")
    assert "test accuracy differs from the record by at most 0, energy by at most 0.00%" in " ".join(out.split())
    assert [label in out for label in ("baseline, SNN", "baseline, CNN twin")] == [name == "smoke-finals"] * 2


def test_evaluation_of_some_trials_says_nothing_of_the_others(here, monkeypatch):
    header = here / "runs" / "smoke-finals" / "benchmark.json"
    point = ReferencePoint(label="worse", accuracy=0.0, energy_mj=9.0, params=10**9)
    stored = BenchmarkHeader.model_validate_json(header.read_text())
    header.write_text(stored.model_copy(update={"references": (point,)}).model_dump_json())
    twin = next(n for n, cell in enumerate(stored.cells) if cell.kind == "cnn")
    code, out = call(monkeypatch, "evaluate", "smoke-finals", "--trials", str(twin))
    assert code == 0
    assert "worse" not in out
    assert "1 network measured" in out


def test_evaluation_is_printed_as_json(here, monkeypatch):
    code, out = call(monkeypatch, "evaluate", "smoke-finals", "--trials", "0", "--json")
    (found,) = json.loads(out)
    assert (code, found["trial"], found["kind"], found["reproduced"]) == (0, 0, "snn", True)
    assert found["measured"]["test_accuracy"] == found["stored"]["test_accuracy"]
    assert found["measured"]["energy_mj"].keys() == found["stored"]["energy_mj"].keys()


def test_weights_are_run_for_other_numbers_of_steps(here, monkeypatch):
    code, out = call(monkeypatch, "evaluate", "smoke-finals", "--timesteps", "1,3,3")
    assert code == 0
    rows = [line.split() for line in out.splitlines() if "baseline, SNN" in line]
    steps, energies = [row[5] for row in rows], [float(row[-1]) for row in rows]
    assert steps == ["1", "3"]
    assert energies[0] < energies[1]
    assert "twin" not in out
    assert "Stored weights; BatchNorm statistics estimated on training images" in " ".join(out.split())


def test_export_for_another_number_of_steps_has_its_own_figures(here, monkeypatch):
    code, out = call(monkeypatch, "export", "smoke-finals", "0", "--timesteps", "1", "--out", "one.pt")
    assert (code, "64 of 64 in the same class" in " ".join(out.split())) == (0, True)
    weights, metadata = pytorch.read(here / "one.pt")
    candidate = Candidate.model_validate_json(metadata["candidate"])
    metrics = Metrics.model_validate_json(metadata["metrics"])
    assert (candidate.encoding.timesteps, metrics.timesteps) == (1, 1)
    before, _ = pytorch.read(here / "runs" / "smoke-finals" / "trials" / "0" / "weights.pt")
    changed = {name.rsplit(".")[-1] for name in weights if not torch.equal(weights[name], before[name])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}


def test_other_weights_than_those_on_record_are_told(here, monkeypatch):
    record = read_benchmark(here / "runs" / "smoke-finals")
    label = record.header.cells[0].network
    path = here / "runs" / "smoke-finals" / "trials" / "0" / "weights.pt"
    content = torch.load(path, weights_only=True)
    for tensor in content["weights"].values():
        tensor.zero_()
    torch.save(content, path)
    code, out = call(monkeypatch, "evaluate", "smoke-finals", "--trials", "0")
    assert code == 1
    assert f"{label}, SNN" in out
    assert "not as recorded: 0" in out


def test_cells_that_are_not_those_of_the_benchmark_are_refused(here, monkeypatch, capsys):
    monkeypatch.setattr("search.cli.console.err", Console(stderr=True, width=200))
    path = here / "runs" / "smoke-finals" / "benchmark.json"
    header = BenchmarkHeader.model_validate_json(path.read_text())
    cells = tuple(cell.model_copy(update={"network": "of-nothing"}) for cell in header.cells)
    path.write_text(header.model_copy(update={"cells": cells}).model_dump_json())
    code, _ = call(monkeypatch, "evaluate", "smoke-finals")
    assert (code, "differ from the cells of the YAML in it" in " ".join(capsys.readouterr().err.split())) == (2, True)


@pytest.mark.parametrize("cores", [1, 2])
def test_weights_that_cannot_be_read_are_told_from_a_process_of_their_own_too(here, monkeypatch, capsys, cores):
    monkeypatch.setattr("search.trial.environment.cores", lambda: cores)
    monkeypatch.setattr("search.cli.console.err", Console(stderr=True, width=200))
    (here / "runs" / "smoke-finals" / "trials" / "1" / "weights.pt").write_bytes(b"torn")
    code, _ = call(monkeypatch, "evaluate", "smoke-finals")
    assert code == 2
    assert "weights.pt cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evaluate", "smoke", "--trials", "2"], "is waiting: only fully trained trials have weights"),
        (["evaluate", "smoke", "--timesteps", "two"], "write numbers separated by commas: --timesteps 2,3"),
        (
            ["evaluate", "smoke", "--timesteps", "65"],
            "--timesteps 65: timesteps Input should be less than or equal to 64",
        ),
        (["evaluate", "smoke-finals", "--trials", "1", "--timesteps", "2"], "only CNN twins were asked for"),
        (["export", "smoke-finals", "1", "--timesteps", "2"], "only CNN twins were asked for"),
        (["export", "smoke", "7"], "has no trial 7; it has 3"),
        (["export", "smoke", "2"], "is waiting: only fully trained trials have weights"),
        (["export", "smoke", "0", "--format", "nir"], "as nir: "),
        (["retrain", "smoke", "--trials", "first"], "write numbers separated by commas: --trials 3,17"),
        (["train", SMOKE, "--candidate", "baselin"], "did you mean baseline?"),
    ],
)
def test_bad_input_gets_one_message_and_exit_2(here, monkeypatch, capsys, words, says):
    monkeypatch.setattr("search.cli.console.err", Console(stderr=True, width=200))
    code, _ = call(monkeypatch, *words)
    assert code == 2
    assert says in " ".join(capsys.readouterr().err.split())
