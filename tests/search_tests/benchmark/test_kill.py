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
