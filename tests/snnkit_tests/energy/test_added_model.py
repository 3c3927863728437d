"""Adding an energy model takes one file and one line; this test adds one to a copy of the packages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

MODEL = '''
"""One picojoule per accumulate and two per multiply-accumulate."""

from snnkit.energy.model import Constant, Energy, EnergyModel


def flat(counts, config):
    return Energy.from_pj({layer.name: {"all": 2 * layer.macs + layer.acs} for layer in counts.layers}, {})


FLAT = EnergyModel(flat, {"exact": "Energy = 2 pJ x MACs + 1 pJ x ACs."}, (Constant("AC", 1.0, "pJ", "made up"),))
'''

# A study of one trial: the space selects the model, the trial's record has its energy, the report prints its rule.
PROGRAM = """
import sys
from pathlib import Path
from reports.storage.studies import read_study, sqlite_url
from search.cli import main

sys.argv = ["snnsearch", "launch", "space.yaml", "--trials", "1", "--executor", "inline", "--set", "energy.model=flat"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
study = read_study(sqlite_url(Path("runs/one-trial/study.db")), "one-trial")
(trial,) = (trial for trial in study.trials if trial.status == "complete")
assert study.header.price == "flat/exact"
assert trial.values["energy_mj"] == trial.metrics.energy_mj["flat/exact"]
assert abs(trial.metrics.energy_mj["flat/exact"] - (2 * trial.metrics.macs + trial.metrics.acs) * 1e-9) < 1e-12
assert "`flat/exact`: Energy = 2 pJ x MACs + 1 pJ x ACs." in Path("runs/one-trial/report.md").read_text()
"""

SPACE = """
study: {name: one-trial, budget: {trials: 1}, objectives: {accuracy: maximize, energy_mj: minimize}}
network:
  family: squeezenet
  stem: {width: {choices: [4, 8]}}
  fire2: {squeeze: 4, expand1x1: 8, expand3x3: 8}
  fire3: {keep: false}
  fire4: {keep: false}
  fire5: {keep: false}
  fire6: {keep: false}
  fire7: {keep: false}
  fire8: {keep: false}
  fire9: {keep: false}
encoding: {timesteps: 1}
train: {epochs: 1, batch: 32, lr: 0.01, augment: none}
data: {name: digits, subset: 60, validation: 0.25, test: 20}
"""


def test_energy_model_of_one_file_and_one_line_is_searched_recorded_and_reported(tmp_path: Path) -> None:
    for package in ("search", "snnkit", "reports"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "gallery"))
    energy = tmp_path / "snnkit" / "energy"
    (energy / "flat.py").write_text(MODEL)
    registry = (energy / "registry.py").read_text()
    for before, added in (
        ("from snnkit.energy.model", "from snnkit.energy.flat import FLAT\n"),
        ('    "lemaire2022": ', '    "flat": FLAT,\n'),
    ):
        assert registry.count(before) == 1
        registry = registry.replace(before, added + before)
    (energy / "registry.py").write_text(registry)
    (tmp_path / "space.yaml").write_text(SPACE)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
