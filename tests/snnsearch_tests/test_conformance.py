"""The conformance tests pass for our own parts and for plug-ins, and fail for a broken part."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.untrained import SPACES

PARTS = """
import snnsearch

@snnsearch.objective(direction="minimize", low=1, high=1000)
def width(trained):
    return max(conv.out_shape[0] for conv in trained.counts.plan.convs)

@snnsearch.objective(direction="minimize", low=1, high=1000)
def broken(trained):
    return float("nan")
"""
SPACE = """
study:
  name: own
  budget: {{trials: 4}}
  objectives: {{accuracy: maximize, "./parts.py:{objective}": minimize}}
network: {{family: mnasnet, stem: {{width: {{choices: [8, 16]}}}}, stage3: {{keep: {{choices: [true, false]}}}}}}
encoding: {{timesteps: 2}}
data: {{name: digits, subset: 300}}
train: {{epochs: 4, rungs: [1, 2]}}
"""


def conformance(space: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "snnsearch.conformance", space, "-q", "--no-header"]
    return subprocess.run(words, capture_output=True, text=True, cwd=space.parent, check=False)


def test_shipped_space_passes() -> None:
    done = conformance(SPACES / "smoke.yaml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("objective", "failed"), [("width", 0), ("broken", 1)])
def test_plugins_pass_unless_they_are_broken(objective: str, failed: int, tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "space.yaml").write_text(SPACE.format(objective=objective))
    done = conformance(tmp_path / "space.yaml")
    assert done.returncode == failed, done.stdout
    assert ("returned nan; it must return a finite number" in done.stdout) == bool(failed)


def test_missing_space_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-m", "snnsearch.conformance"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: python -m snnsearch.conformance SPACE.yaml" in done.stderr
