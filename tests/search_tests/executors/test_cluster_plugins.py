"""Plug-ins on a real Ray cluster: a machine that has never seen the code trains with it."""

import pytest
from helpers.cluster import HEAD, address, cluster, needs_namespaces
from helpers.waiting import PATIENCE_S

from reports.storage.studies import load_study_folder

pytestmark = [pytest.mark.slow, needs_namespaces]

PARTS = """
from snnsearch import objective
from tools_of_mine.layers import widest

@objective(direction="minimize", low=1, high=1000)
def width(trained):
    return widest(trained.counts.plan)
"""
SPACE = """
study:
  name: own
  budget: {trials: 6}
  sampler: random
  objectives: {accuracy: maximize, "tools_of_mine:width": minimize}
network:
  family: squeezenet
  stem: {width: {low: 8, high: 32}}
  fire2: {keep: false}
  fire3: {keep: false}
  fire5: {keep: false}
  fire6: {keep: false}
  fire7: {keep: false}
  fire9: {keep: false}
encoding: {timesteps: 1}
train: {epochs: 2, chance_patience: 0}
data: {name: digits, subset: 200}
"""


def test_machine_that_has_never_seen_the_code_trains_with_it(tmp_path):
    mine = tmp_path / "mine"
    package = mine / "tools_of_mine"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PARTS)
    (package / "layers.py").write_text("def widest(plan):\n    return max(conv.out_shape[0] for conv in plan.convs)\n")
    (mine / "space.yaml").write_text(SPACE)
    with cluster(tmp_path, 2) as nodes:
        nodes.start(1, cpus=1)
        nodes.start(2, cpus=1, hidden=[mine])
        words = ["launch", str(mine / "space.yaml"), "--runs", str(tmp_path / "runs"), "--trials", "6"]
        driver = nodes.snnsearch(*words, "--device", "cpu", "--address", HEAD)
        said, _ = driver.communicate(timeout=PATIENCE_S)
    assert driver.returncode == 0, said
    trials = load_study_folder(tmp_path / "runs" / "own").trials
    assert [trial.reason for trial in trials if trial.status not in ("complete", "duplicate")] == []
    logs = {trial.number: (tmp_path / f"runs/own/trials/{trial.number}/log.txt").read_text() for trial in trials}
    elsewhere = [trial for trial in trials if f"event=boarded node={address(2)}" in logs[trial.number]]
    assert elsewhere
    assert all(trial.values["tools_of_mine:width"] >= 8 for trial in elsewhere)
