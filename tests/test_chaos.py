"""What `python -m benchmarks.chaos` does for hours, in short: a strike for each fault."""

import random
import subprocess

import pytest

from benchmarks.chaos import __main__ as chaos
from benchmarks.chaos.faults import FAULTS

QUICK = ("torn checkpoint",)
CASES = [(name, executor) for name, fault in FAULTS.items() for executor in fault.executors]


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(chaos, "TRIALS", 3)
    monkeypatch.setattr(chaos, "STRIKES", 1)
    monkeypatch.setattr(chaos, "LONGEST_S", 2.0)
    monkeypatch.setattr(chaos, "SETS", (*chaos.SETS[:2], "data.subset=300", "train.epochs=2"))


@pytest.fixture(scope="module")
def whole():
    """Studies that were left alone, by executor."""
    return {}


def mounts() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def case(name, executor):
    marks = [] if name in QUICK and executor == "inline" else [pytest.mark.slow]
    if FAULTS[name].disk:
        marks.append(pytest.mark.skipif(not mounts(), reason="needs the right to mount a small file system"))
    return pytest.param(name, executor, marks=marks)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "executor"), [case(*each) for each in CASES])
def test_a_struck_study_ends_as_one_that_was_left_alone(name, executor, whole):
    if executor not in whole:
        whole[executor] = chaos.undisturbed(executor)
    with chaos.place(FAULTS[name]) as runs:
        struck = chaos.Struck(runs, executor)
        chaos.strike(struck, FAULTS[name], random.Random(0))
        assert struck.strikes == 1
        chaos.check(struck, FAULTS[name], whole[executor])


def test_a_broken_promise_is_told(whole, monkeypatch):
    """The check finds what it looks for."""
    whole.setdefault("inline", chaos.undisturbed("inline"))
    with chaos.place(None) as runs:
        struck = chaos.Struck(runs, "inline")
        struck.finish()
        chaos.check(struck, FAULTS["torn record"], whole["inline"])
        other = whole["inline"].model_copy(update={"trials": whole["inline"].trials[:2]})
        with pytest.raises(chaos.Broken, match="not the study that an undisturbed one is"):
            chaos.check(struck, FAULTS["torn record"], other)
        monkeypatch.setattr(chaos, "TRIALS", 4)
        with pytest.raises(chaos.Broken, match="3 trained, 4 asked for"):
            chaos.check(struck, FAULTS["torn record"], whole["inline"])
