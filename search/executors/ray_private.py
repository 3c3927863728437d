"""Every use of Ray that its public API does not cover. Written against Ray 2.60; pyproject.toml admits no other."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ray
import ray._private.serialization as serialization
import ray.cloudpickle as pickle
from ray.exceptions import RayActorError
from ray.job_config import JobConfig
from ray.tune.experiment import Trial as TuneTrial


def import_from(folders: Sequence[str]) -> JobConfig:
    """Return the settings with which workers look for modules in ``folders`` first, in this order.

    Ray itself would put the driver's current folder first, and execute a ``search.py`` that lies there.
    """
    # a worker inserts one folder after the other at the front of its path
    return JobConfig(_py_driver_sys_path=_Fixed(reversed(folders)))


class _Fixed(list[str]):
    def extend(self, folders: Iterable[str]) -> None:
        """Do nothing: Ray would add the current folder."""


def treat_memory_kills_as_deaths() -> None:
    """Make Tune replace a worker that Ray has killed because memory ran low.

    Ray's own error for it is unexpected to Tune, which would end all trials.
    """
    serialization.OutOfMemoryError = KilledForMemoryError  # type: ignore[attr-defined,assignment]  # replaces a class


class KilledForMemoryError(RayActorError):
    """Ray has killed a worker because memory ran low."""

    def __init__(self, text: str) -> None:
        super().__init__(error_msg=text)


def set_command_line(title: str) -> None:
    """Replace the command line that Ray shows for this process in the list of a cluster's jobs."""
    ray._raylet.setproctitle(title)  # type: ignore[attr-defined]  # compiled, and without types


def worker_of(trial: TuneTrial) -> Any:
    """Return the actor that runs ``trial``; None while the trial waits for room."""
    return trial.temporary_state.ray_actor


def drop_results(trial: TuneTrial, keys: tuple[str, ...]) -> None:
    """Remove entries of the trial's last result, which Tune keeps in memory as long as it runs."""
    for key in keys:
        trial.run_metadata.last_result.pop(key, None)


def was_killed_for_memory(trial: TuneTrial) -> bool:
    """Return whether Ray killed the trial's worker because memory ran low."""
    try:
        error = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except (OSError, TypeError):  # TypeError: no file
        return False
    return isinstance(error, KilledForMemoryError)


def failure_of(trial: TuneTrial) -> str:
    """Return why Tune gave the trial up, as Ray worded it; empty if Ray gave no reason."""
    try:
        return Path(trial.error_file).read_text(errors="replace").strip()
    except (OSError, TypeError):  # TypeError: no file
        return ""
