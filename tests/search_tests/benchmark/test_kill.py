"""kill -9 of a benchmark's driver at random moments, then the same command: it ends as if nothing had happened."""

import random
from pathlib import Path

import pytest
from helpers.killing import finish, kill_after
from helpers.small_benchmarks import TINY

from benchmarks.search.outcomes import figures
from reports.records.study import TrialRecord
from reports.storage.benchmarks import is_benchmark, read_benchmark


def words(file: Path, runs: Path) -> list[str]:
    sets = ["--set", "benchmark.seeds=[0]", "--set", "data.digits.subset=600"]
    return ["bench", str(file), "--runs", str(runs), "--executor", "inline", *sets]


def finished(folder: Path) -> dict[int, TrialRecord]:
    if not is_benchmark(folder):
        return {}  # killed before it was one
    return {trial.number: trial for trial in read_benchmark(folder).trials if trial.status == "complete"}


@pytest.mark.slow
def test_killed_benchmark_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY)
    finish(words(file, tmp_path / "whole"))
    rng = random.Random(3)
    cut = tmp_path / "cut" / "tiny"
    before: dict[int, TrialRecord] = {}
    for _ in range(3):
        kill_after(words(file, tmp_path / "cut"), cut / "trials", rng.uniform(0, 2.0))
        now = finished(cut)
        assert {number: now.get(number) for number in before} == before  # not lost, not trained again
        before = now
    finish(words(file, tmp_path / "cut"))
    whole, pieced = read_benchmark(tmp_path / "whole" / "tiny"), read_benchmark(cut)
    assert {number: pieced.trials[number] for number in before} == before
    assert [figures(trial) for trial in pieced.trials] == [figures(trial) for trial in whole.trials]
    assert len(pieced.header.sittings) >= 2


SPACE = """\
study:
  name: killed
  budget: {trials: 2}
  objectives: {accuracy: maximize, params: minimize}
  finals: {best: 2, seeds: 1, recipe: {train.epochs: 2, train.cnn_epochs: 1, data.subset: 600}}
network:
  family: squeezenet
  stem: {width: {choices: [8, 16]}}
  fire2: {keep: false}
  fire3: {keep: false}
  fire4: {squeeze: 4, expand1x1: 8, expand3x3: 8}
  fire5: {keep: false}
  fire6: {keep: false}
  fire7: {keep: false}
  fire8: {keep: false}
  fire9: {keep: false}
train: {epochs: 1, chance_patience: 0}
data: {name: digits, subset: 600}
"""


@pytest.mark.slow
def test_killed_finals_end_as_uninterrupted_ones(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(SPACE)
    whole, cut = ("--runs", str(tmp_path / "whole")), ("--runs", str(tmp_path / "cut"))
    finish(["launch", str(file), *whole, "--executor", "inline"])
    rng = random.Random(5)
    kill_after(
        ["launch", str(file), *cut, "--executor", "inline"], tmp_path / "cut/killed-finalists/trials", rng.random()
    )
    for _ in range(2):
        words = ["resume", "killed", *cut, "--executor", "inline"]
        kill_after(words, tmp_path / "cut/killed-finalists/trials", rng.uniform(0, 2.0))
    finish(["resume", "killed", *cut, "--executor", "inline"])
    uninterrupted, pieced = (read_benchmark(tmp_path / name / "killed-finalists") for name in ("whole", "cut"))
    assert [figures(trial) for trial in pieced.trials] == [figures(trial) for trial in uninterrupted.trials]
    assert not (tmp_path / "cut" / "killed-finalists-2").exists()
    assert "## Finalists" in (tmp_path / "cut" / "killed" / "report.md").read_text(encoding="utf-8")
