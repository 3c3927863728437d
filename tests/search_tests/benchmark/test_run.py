"""A benchmark from its file to its report: trained once, gone on with, never trained twice."""

import contextlib
import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.small_benchmarks import AVERAGED, TINY
from helpers.untrained import SPACES, finish, options_for
from rich.console import Console

from reports.storage.benchmarks import is_benchmark, read_benchmark, write_header
from reports.storage.studies import DATABASE
from search.benchmark import evaluate, trained
from search.benchmark.loader import load_benchmark
from search.benchmark.run import run_benchmark
from search.errors import InputError
from search.runner.observer import SILENT
from search.storage.lock import StudyLock
from search.trial.run import measure
from snnkit.data import DATASETS
from snnkit.export import pytorch

AGAIN = "snnsearch bench tiny.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def run(file: Path, runs: Path, **changes: object):
    """Run the benchmark as the command line does, in this process and without output."""
    overrides = changes.pop("overrides", {})
    benchmark = load_benchmark(file, overrides=overrides)
    options = options_for(runs, executor="inline", **changes)
    return run_benchmark(benchmark, options, SILENT, AGAIN)


@pytest.fixture(scope="module")
def launched(tmp_path_factory) -> Path:
    """The runs folder of a benchmark with one seed, trained once for all tests that copy it."""
    runs = tmp_path_factory.mktemp("runs")
    file = runs / "tiny.yaml"
    file.write_text(TINY)
    run(file, runs, overrides={"benchmark.seeds": "[0]"})
    return runs


@pytest.fixture
def done(launched: Path, tmp_path: Path) -> Path:
    shutil.copytree(launched, tmp_path, dirs_exist_ok=True)
    return tmp_path


ONE_SEED = {"benchmark.seeds": "[0]"}


def test_every_network_is_trained_as_snn_and_as_twin(done: Path) -> None:
    record = read_benchmark(done / "tiny")
    assert [trial.status for trial in record.trials] == ["complete"] * 4
    for cell, trial in zip(record.header.cells, record.trials, strict=True):
        assert trial.metrics is not None
        assert (trial.metrics.timesteps, trial.metrics.acs > 0) == ((2, True) if cell.kind == "snn" else (1, False))
        assert len(trial.history) == 2  # the data set's own epochs
    by_kind = {(c.network, c.kind): t.metrics for c, t in zip(record.header.cells, record.trials, strict=True)}
    for network in ("One", "Two"):
        snn, cnn = by_kind[network, "snn"], by_kind[network, "cnn"]
        assert cnn.params == snn.params
        assert cnn.energy_mj == snn.twin_energy_mj  # what a search said of the twin without training it


def test_files_of_a_benchmark(done: Path) -> None:
    folder = done / "tiny"
    for name in ("benchmark.html", "benchmark.md", "benchmark.csv", "benchmark.json", "benchmark.yaml"):
        assert (folder / name).stat().st_size > 0
    rows = list(csv.DictReader((folder / "benchmark.csv").open()))
    assert [(row["network"], row["kind"], row["seed"]) for row in rows] == [
        ("One", "snn", "0"), ("One", "cnn", "0"), ("Two", "snn", "0"), ("Two", "cnn", "0"),
    ]  # fmt: skip
    assert load_benchmark(folder / "benchmark.yaml").fingerprint == read_benchmark(folder).header.benchmark_hash


def test_second_run_trains_nothing_again(done: Path, monkeypatch) -> None:
    before = read_benchmark(done / "tiny")
    monkeypatch.setattr("search.trial.run.train", lambda *_, **__: 1 / 0)
    after = run(done / "tiny.yaml", done, overrides=ONE_SEED)
    assert after.trials == before.trials
    assert after.header.sittings == before.header.sittings  # it was none


def test_resolved_file_goes_on_with_the_same_benchmark(done: Path) -> None:
    assert run(done / "tiny" / "benchmark.yaml", done).header.name == "tiny"


def test_benchmark_of_a_version_that_knew_fewer_leaves_goes_on(done: Path, monkeypatch) -> None:
    folder = done / "tiny"
    header = read_benchmark(folder).header
    older = header.benchmark_yaml.replace("  learn_leak: false\n", "")
    assert older != header.benchmark_yaml
    write_header(folder, header.model_copy(update={"benchmark_yaml": older, "benchmark_hash": "0" * 16}))
    (folder / "benchmark.yaml").write_text(older)
    monkeypatch.setattr("search.trial.run.train", lambda *_, **__: 1 / 0)
    assert len(run(folder / "benchmark.yaml", done).trials) == 4


def test_published_figures_may_be_edited_without_training_again(done: Path, monkeypatch) -> None:
    monkeypatch.setattr("search.trial.run.train", lambda *_, **__: 1 / 0)
    record = run(done / "tiny.yaml", done, overrides=ONE_SEED | {"published": "[]"})
    assert record.header.published == ()
    assert "nowhere" not in (done / "tiny" / "benchmark.md").read_text()


def test_other_trainings_under_the_same_name_are_refused_with_what_differs(done: Path) -> None:
    with pytest.raises(InputError, match=r"train\.lr is 0\.01 there and 0\.02 here.*--name NAME"):
        run(done / "tiny.yaml", done, overrides=ONE_SEED | {"train.lr": "0.02"})
    with pytest.raises(InputError, match=r"benchmark\.seeds is \[0\] there and \[0, 1\] here"):
        run(done / "tiny.yaml", done)


def test_name_of_a_study_and_leftovers_are_refused(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    (folder / "trials" / "0").mkdir(parents=True)
    with pytest.raises(InputError, match=r"holds trials of something else.*--name NAME"):
        run(file, tmp_path)
    (folder / DATABASE).touch()
    with pytest.raises(InputError, match=r"holds a study.*--name NAME"):
        run(file, tmp_path)


def test_one_driver_at_a_time(file: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    with StudyLock(tmp_path / "tiny", "tiny", ""), pytest.raises(InputError, match="'tiny' is already running"):
        run(file, tmp_path)


def test_data_that_is_not_there_fails_before_anything_trains(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASETS, "tiny-imagenet", replace(DATASETS["tiny-imagenet"], downloads={}))
    file.write_text(TINY.replace("  digits: {", "  tiny-imagenet: {").replace("data: digits", "data: tiny-imagenet"))
    with pytest.raises(Exception, match="tiny-imagenet is not in"):
        run(file, tmp_path)
    assert not is_benchmark(tmp_path / "tiny")


# -- from another network's weights ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def further(tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("further")
    file = runs / "tiny.yaml"
    file.write_text(AVERAGED)
    run(file, runs, overrides=ONE_SEED)
    return runs / "tiny"


def test_network_goes_on_from_the_trained_weights_of_another(further: Path) -> None:
    record = read_benchmark(further)
    one, two = (record.trials[number] for number in (0, 2))
    assert (one.status, two.status) == ("complete", "complete")
    assert two.start.kind == "inherit"
    assert (two.start.parent, two.start.layers) == (0, {"copied": 8})
    assert two.start.inherited_images == one.training_images + one.start.inherited_images
    assert two.metrics.timesteps == 3
    assert "from the weights of One" in record.header.setups[0].own["Two"]


def test_its_twin_and_its_teacher_are_those_of_the_other(further: Path) -> None:
    assert len(list((further / "twins").iterdir())) == 1
    twins = [trial for trial in read_benchmark(further).trials if trial.number in (1, 3, 5)]
    assert twins[0].metrics == twins[1].metrics == twins[2].metrics


def test_mean_of_two_has_the_mean_of_their_weights_and_no_training(further: Path) -> None:
    record = read_benchmark(further)
    one, two, mean = (record.trials[number] for number in (0, 2, 4))
    assert (mean.status, mean.history, mean.start.kind, mean.start.parents) == ("complete", (), "mean", (0, 2))
    assert mean.start.inherited_images == one.training_images + two.training_images + one.start.inherited_images
    assert record.header.setups[0].own["Mean"] == "the mean of One and Two"
    states = [pytorch.read(further / "trials" / str(number) / "weights.pt")[0] for number in (0, 2, 4)]
    for name, tensor in states[2].items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (states[0][name] + states[1][name]) / 2)
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[2])
    assert [mean.metrics.params, mean.metrics.timesteps] == [one.metrics.params, 2]


def test_networks_that_are_equal_are_measured_once(further: Path, monkeypatch) -> None:
    measured = []
    monkeypatch.setattr("search.trial.environment.cores", lambda: 1)
    monkeypatch.setattr(
        "search.trial.run.measure", lambda network, *rest: measured.append(network) or measure(network, *rest)
    )
    evaluated = evaluate.evaluate(trained.trained("tiny", [], further.parent, None), None, "cpu")
    assert [each.trained.record.number for each in evaluated] == [0, 1, 2, 3, 4, 5]
    assert all(each.reproduced for each in evaluated)
    assert len(measured) == 4  # one twin of three


def test_weights_that_cannot_be_read_are_a_failure_and_no_other_start(further: Path, tmp_path: Path) -> None:
    shutil.copytree(further.parent, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "tiny" / "trials"
    shutil.rmtree(folder / "2")
    (folder / "0" / "weights.pt").write_bytes(b"PK")
    record = run(tmp_path / "tiny.yaml", tmp_path, overrides=ONE_SEED)
    assert record.trials[2].status == "failed"
    assert "cut short" in record.trials[2].reason


def test_time_of_the_file_holds_where_the_command_gives_none(file: Path, tmp_path: Path, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr("search.benchmark.run.run_trials", lambda driver, *_: seen.append(driver.budget.seconds))
    run(file, tmp_path)
    run(file, tmp_path, seconds=5.0)
    assert seen == [20 * 60, 5.0]
    assert len(read_benchmark(tmp_path / "tiny").header.sittings) == 2


# -- the command line --------------------------------------------------------------------------------------------------


class Shell:
    """The command line in this process, in a folder of its own."""

    def __init__(self, monkeypatch, capsys) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        from search.cli import main

        self._monkeypatch.setattr("sys.argv", ["snnsearch", *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("search.cli.console.out", Console(width=160))
    return Shell(monkeypatch, capsys)


@pytest.fixture
def untrained_runs(tmp_path: Path, file: Path, monkeypatch) -> Path:
    """runs/tiny with results that were never trained, all but the last."""
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("search.benchmark.run.run_trials", lambda *_: None)
        run(file, tmp_path / "runs")
    for job in load_benchmark(TINY).jobs(tmp_path / "runs" / "tiny")[:-1]:
        finish(job)
    return tmp_path / "runs"


def test_status_and_report_of_a_benchmark(shell, untrained_runs: Path) -> None:
    code, out, _ = shell("status", "tiny", "--json")
    assert (code, json.loads(out)["counts"]) == (0, {"complete": 7, "waiting": 1})
    code, out, _ = shell("status")
    assert (code, "7 complete · 1 waiting" in out) == (0, True)
    code, out, _ = shell("status", "--json")
    assert [each["benchmark"] for each in json.loads(out)] == ["tiny"]
    code, out, _ = shell("report", "tiny", "--json")
    names = [Path(path).name for path in json.loads(out)]
    assert (code, names) == (0, ["benchmark.html", "benchmark.md", "benchmark.csv", "benchmark.svg"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["show", "tiny", "0"], "snnsearch report tiny"),
        (["resume", "tiny"], "snnsearch bench runs/tiny/benchmark.yaml"),
        (["launch", str(SPACES / "smoke.yaml"), "--name", "tiny"], "--name NAME"),
        (["bench", "nowhere.yaml"], "nowhere.yaml"),
        (["bench", str(SPACES / "smoke.yaml")], "snnsearch launch"),
        (["launch", "tiny.yaml"], "snnsearch bench"),
        (["bench", "tiny.yaml", "--set", "train.epoch=1"], "did you mean train.epochs?"),
        (["bench", "tiny.yaml", "--time", "soon"], "20m"),
        (["bench", "tiny.yaml", "--set", "train.lr=1"], "train.lr is 0.01 there and 1.0 here"),
    ],
)
def test_command_of_a_study_says_what_to_type_instead(shell, untrained_runs: Path, words, says) -> None:
    code, out, err = shell(*words)
    assert code == 2
    assert says in err
    assert "Traceback" not in out + err


def test_dry_run_says_what_would_be_trained_and_touches_nothing(shell, file: Path, tmp_path: Path) -> None:
    code, out, _ = shell("bench", str(file), "--dry-run")
    assert code == 0
    assert "8 trainings" in out
    assert "678 parameters" in out  # of One: stem 96, fire2 44 + 56 + 312, head 170
    assert "work      8 trainings left: 2,560 images x epochs, " in out
    assert "expected  about " in out
    assert not (tmp_path / "runs").exists()


def test_corrupt_header_is_told_and_hides_no_other_run(shell, untrained_runs: Path) -> None:
    record = read_benchmark(untrained_runs / "tiny")
    (untrained_runs / "broken").mkdir()
    write_header(untrained_runs / "broken", record.header)
    (untrained_runs / "broken" / "benchmark.json").write_text("{")
    code, out, err = shell("status")
    assert (code, "7 complete" in out, "broken" in err) == (0, True, True)
    code, _, err = shell("report", "broken")
    assert (code, "cannot be read" in err) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"version": 99, "unheard_of": 1}', "version 99 of the record"), ("[" * 100_000, "cannot be read")],
)
def test_header_that_is_newer_or_nested_deeply_is_told(text: str, said: str, shell, untrained_runs: Path) -> None:
    (untrained_runs / "tiny" / "benchmark.json").write_text(text)
    code, _, err = shell("report", "tiny")
    assert (code, said in err) == (2, True), err
