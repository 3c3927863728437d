"""The public API of `search`: every documented name works, and importing the package stays light."""

import subprocess
import sys
from pathlib import Path

import search
from search import RunOptions, SilentObserver, launch, load_space, read_study, resume

SPACES = Path(__file__).parents[2] / "spaces"
QUICK = {"train.epochs": "1", "train.chance_patience": "0", "data.subset": "200"}


class Recorder(SilentObserver):
    """Remembers the messages and the trials of a run."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.ended: list[int] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def trial_ended(self, record) -> None:
        self.ended.append(record.number)


def test_every_public_name_is_there() -> None:
    assert all(getattr(search, name) is not None for name in search.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(search, "lunch")


def test_import_loads_neither_torch_nor_ray_nor_optuna() -> None:
    code = "import sys, search; assert not {'torch', 'ray', 'optuna'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_study_is_launched_followed_resumed_and_read(tmp_path: Path) -> None:
    space = load_space(SPACES / "smoke.yaml", overrides=QUICK)
    runs = tmp_path / "runs"
    observer = Recorder()
    launched = launch(space, RunOptions(runs=runs, executor="inline", trials=1), observer)
    assert observer.ended == [0]
    assert "until     1 trials" in "\n".join(observer.messages)
    resumed = resume("smoke", RunOptions(runs=runs, executor="inline", trials=1), observer)
    assert observer.ended == [0, 1]
    assert resumed == read_study("smoke", runs)
    assert resumed.trials[0] == launched.trials[0]
