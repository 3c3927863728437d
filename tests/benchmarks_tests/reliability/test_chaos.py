"""Check benchmarks.reliability.chaos itself. The slow tests inject three faults into one study, and each fault once."""

import random
import subprocess

import pytest

from benchmarks.reliability.chaos import __main__ as chaos
from benchmarks.reliability.chaos.faults import FAULTS, Fault
from search.trial import environment
from snnkit.training import step

CASES = [(name, executor) for name, fault in FAULTS.items() for executor in fault.executors]


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(chaos, "TRIALS", 4)
    monkeypatch.setattr(chaos, "MAX_STRIKES", 1)
    monkeypatch.setattr(chaos, "MAX_DELAY_S", 0.5)


@pytest.fixture(scope="module")
def whole():
    """Undisturbed studies, by executor."""
    return {}


def mounts() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


def case(name, executor):
    marks = [pytest.mark.skipif(not mounts(), reason="needs the right to mount a small file system")]
    return pytest.param(name, executor, marks=marks if FAULTS[name].disk else [])


@pytest.mark.slow
def test_check_detects_broken_guarantees(whole, monkeypatch):
    with chaos.study_folder(None) as runs:
        struck = chaos.StruckStudy(runs, "inline")
        struck.finish()
        whole["inline"] = study = struck.study()
        chaos.check(struck, FAULTS["torn record"], study)
        other = study.model_copy(update={"trials": study.trials[:2]})
        with pytest.raises(chaos.BrokenPromiseError, match="not the study that an undisturbed one is"):
            chaos.check(struck, FAULTS["torn record"], other)
        monkeypatch.setattr(chaos, "TRIALS", 5)
        with pytest.raises(chaos.BrokenPromiseError, match="4 trained, 5 asked for"):
            chaos.check(struck, FAULTS["torn record"], study)
        struck.log.write_text("Traceback (most recent call last):")
        monkeypatch.setattr(chaos, "TRIALS", 4)
        with pytest.raises(chaos.BrokenPromiseError, match="ended with a traceback"):
            chaos.check(struck, FAULTS["torn record"], study)


@pytest.mark.slow
def test_study_struck_three_times_ends_like_an_undisturbed_one(whole, monkeypatch):
    monkeypatch.setattr(chaos, "MAX_STRIKES", 3)
    left = ["clock jump", "SIGTERM of the driver", "torn checkpoint"]

    def strike(scene):
        return FAULTS[left[0]].strike(scene) and bool(left.pop(0))

    check_struck(Fault("three", strike), "inline", whole)
    assert left == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "executor"), [case(*each) for each in CASES])
def test_struck_study_ends_like_an_undisturbed_one(name, executor, whole):
    check_struck(FAULTS[name], executor, whole)


def check_struck(fault, executor, whole):
    if executor not in whole:
        whole[executor] = chaos.undisturbed(executor)
    with chaos.study_folder(fault) as runs:
        struck = chaos.StruckStudy(runs, executor)
        chaos.strike(struck, fault, random.Random(0))
        assert struck.strikes == chaos.MAX_STRIKES
        chaos.check(struck, fault, whole[executor])


def test_names_that_processes_of_a_struck_study_replace_exist():
    for owner, name in ((environment, "cores"), (step, "make_optimizer"), (step.TrainStep, "_backward")):
        assert callable(getattr(owner, name))
