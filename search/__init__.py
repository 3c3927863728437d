"""Search and prune spiking neural networks: from a space file to a finished study.

    from pathlib import Path
    from search import RunOptions, launch, load_space, read_study, resume

    space = load_space(Path("spaces/smoke.yaml"), overrides={"study.budget": "{trials: 4}"})
    options = RunOptions(executor="inline")
    study = launch(space, options)          # or resume("smoke", options); pass an Observer to follow the run
    study = read_study("smoke")             # the same record, read from runs/smoke
    for trial in study.trials:
        print(trial.number, trial.status, trial.values)

Each name is imported at its first use, so that ``import search`` loads neither torch nor Ray.
"""

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reports.storage.studies import find_study as read_study
    from search.benchmark.finals import launch, resume
    from search.runner.observer import Observer, SilentObserver
    from search.runner.options import RunOptions
    from search.space.loading.loader import load_space

__all__ = ["Observer", "RunOptions", "SilentObserver", "launch", "load_space", "read_study", "resume"]

_PLACES = {
    "Observer": ("search.runner.observer", "Observer"),
    "RunOptions": ("search.runner.options", "RunOptions"),
    "SilentObserver": ("search.runner.observer", "SilentObserver"),
    "launch": ("search.benchmark.finals", "launch"),
    "load_space": ("search.space.loading.loader", "load_space"),
    "read_study": ("reports.storage.studies", "find_study"),
    "resume": ("search.benchmark.finals", "resume"),
}

if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    # Threads sleep while they wait for each other: on a shared core, one that spins takes the time of the one it waits
    # for (docs/performance/threads.md). OpenMP reads this when torch loads it, in this process and in the workers.
    os.environ["OMP_WAIT_POLICY"] = "passive"


def _check_packages() -> None:
    """Raise ImportError if a module of the user hides one of the packages that this one needs."""
    for name in ("reports", "snnkit"):
        found = find_spec(name)
        if found is None or found.origin is None or Path(found.origin).parents[1] != Path(__file__).parents[1]:
            place = (
                "is missing" if found is None else f"is hidden by {found.origin or found.submodule_search_locations}"
            )
            raise ImportError(f"snnsearch's package {name!r} {place}: rename that, or start in another folder")


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _check_packages()
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
