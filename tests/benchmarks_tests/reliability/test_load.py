"""A late trial costs the driver as much as an early one. Work is counted, because time depends on the machine.

The tests count steps of SQLite's virtual machine (reading a row takes some tens) and calls in Python, without the
calls of the screen, which is drawn by the clock. `benchmarks.reliability.load` measures seconds, in
studies of thousands of trials.
"""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

import reports
from benchmarks.reliability.load import CpuTime, LoadTest
from benchmarks.reliability.stand_in import stand_in
from search.executors import inline
from search.space.loading.loader import load_space

STEP = 20  # of SQLite's virtual machine
SCREEN = str(Path(reports.__file__).parent)
OPTUNA_STEPS = 4  # per stored trial: Optuna counts them to number a new trial
OPTUNA_CALLS = 3  # per stored trial: Optuna sorts them when it returns all
SPACE = """
data: {name: digits}
study: {name: long, sampler: random, budget: {trials: 10}, objectives: {accuracy: maximize, energy_mj: minimize}}
network:
  family: squeezenet
  stem: {width: {low: 1, high: 64}}
  fire2: {keep: true, squeeze: {low: 1, high: 16}, expand1x1: {low: 1, high: 64}, expand3x3: 4}
"""
REMOVED = "".join(f"  fire{number}: {{keep: false}}\n" for number in range(3, 10))


@dataclass
class Work:
    steps: int = 0
    calls: int = 0
    at: list[tuple[int, int]] = field(default_factory=list)  # both, when each trial was finished

    def between(self, first: int, last: int) -> tuple[float, float]:
        """Return steps and calls per trial, for trials from ``first`` to before ``last``."""
        (steps, calls), (steps_after, calls_after) = self.at[first], self.at[last]
        return (steps_after - steps) / (last - first), (calls_after - calls) / (last - first)


@contextmanager
def counted() -> Iterator[Work]:
    work = Work()

    def stepped() -> None:
        work.steps += STEP

    def called(frame: FrameType, what: str, argument: object) -> None:
        work.calls += what == "call" and SCREEN not in frame.f_code.co_filename

    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.set_progress_handler(stepped, STEP)

    before: Any = sys.getprofile()
    event.listen(Engine, "connect", connected)
    sys.setprofile(called)
    try:
        yield work
    finally:
        sys.setprofile(before)
        event.remove(Engine, "connect", connected)


class Noting(LoadTest):
    work: Work

    def trial_finished(self, spent: CpuTime) -> None:
        self.work.at.append((self.work.steps, self.work.calls))


@pytest.mark.slow
def test_late_trial_costs_as_much_as_an_early_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "run", stand_in)
    load = Noting(load_space(SPACE + REMOVED), tmp_path / "long", block=1000, marks=())
    with counted() as work:
        load.work = work
        load.run(161, "inline", 1)
    (steps, calls), (steps_late, calls_late), more = work.between(40, 80), work.between(120, 160), 80
    assert steps_late - steps < 1.5 * OPTUNA_STEPS * more
    assert calls_late - calls < 1.5 * OPTUNA_CALLS * more
