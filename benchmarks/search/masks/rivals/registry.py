"""The adapters by name. Each is imported when it runs, because the libraries are no dependencies of this project."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from benchmarks.search.masks.rivals.protocol import SMALL_POPULATION, Facts, Rival
from search.registries import load_implementation

INSTALL = "pip install '.[rivals]'"
_HERE = "benchmarks.search.masks.rivals"


class MissingLibraryError(Exception):
    """A rival's library is not installed."""


@dataclass(frozen=True)
class Adapter:
    library: str  # its distribution
    adapter: str  # module:object
    settings: Mapping[str, object] = field(default_factory=dict)  # that are not the adapter's defaults


_SMALL = {"population": SMALL_POPULATION}
_SMALL_NAME = f"population {SMALL_POPULATION}"
RIVALS: Mapping[str, Adapter] = {
    "BoTorch qLogNEHVI": Adapter("botorch", f"{_HERE}.botorch_qlognehvi:make_rival"),
    "BoTorch qLogNEHVI, known cost": Adapter("botorch", f"{_HERE}.botorch_qlognehvi:make_rival", {"known": True}),
    "SMAC3 ParEGO": Adapter("smac", f"{_HERE}.smac_parego:make_rival"),
    "pymoo NSGA-II": Adapter("pymoo", f"{_HERE}.pymoo_nsga2:make_rival"),
    f"pymoo NSGA-II, {_SMALL_NAME}": Adapter("pymoo", f"{_HERE}.pymoo_nsga2:make_rival", _SMALL),
    "Syne Tune MOREA": Adapter("syne-tune", f"{_HERE}.syne_tune_morea:make_rival"),
    f"Syne Tune MOREA, {_SMALL_NAME}": Adapter("syne-tune", f"{_HERE}.syne_tune_morea:make_rival", _SMALL),
    "Optuna TPE": Adapter("optuna", f"{_HERE}.optuna_samplers:make_tpe"),
    "Optuna GP": Adapter("optuna", f"{_HERE}.optuna_samplers:make_gp"),
    "Optuna NSGA-II": Adapter("optuna", f"{_HERE}.optuna_samplers:make_nsga2"),
    f"Optuna NSGA-II, {_SMALL_NAME}": Adapter("optuna", f"{_HERE}.optuna_samplers:make_nsga2", _SMALL),
}


def load_rival(name: str, rivals: Mapping[str, Adapter] = RIVALS) -> Callable[[Mapping[str, Facts], int], Rival]:
    """Import the adapter ``name``. Raises MissingLibraryError, which says what to install."""
    found = rivals[name]
    try:
        return partial(load_implementation({name: found.adapter}, name), **found.settings)
    except ModuleNotFoundError as error:
        message = f"{name} needs {found.library}, but {error.name} is not installed. Type: {INSTALL}"
        raise MissingLibraryError(message) from error
