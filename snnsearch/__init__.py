"""Search and prune spiking neural networks, from Python.

    import snnsearch

    study = snnsearch.launch("smoke", trials=4, executor="inline")
    study.front                             # the front as a DataFrame
    study.plot()                            # accuracy against energy, as a picture
    best = study.best("accuracy")
    network = best.network()                # a torch module with its trained weights
    network(best.prepare(images))           # logits of your own images
    study = snnsearch.open_study("smoke")   # again, in another session

``launch``, ``resume`` and ``open_study`` return a `Study`. ``count`` counts the operations of a network of snnTorch,
SpikingJelly or NIR, and ``estimate_energy`` prices them. ``scaffold`` writes a space for a torch module. A space may
name parts of your own: `objective` makes an objective from a function, and `Family`, `EnergyModel` and `DatasetInfo`
describe a family of networks, an energy model and a data set (docs/plugins.md).

Each name is imported at its first use, so that ``import snnsearch`` loads neither torch nor Ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.errors import InputError
    from search.plugins.objective import Objective, TrainedNetwork, objective
    from search.runner.observer import Observer, SilentObserver
    from search.runner.options import RunOptions
    from search.space.loading.loader import load_space
    from search.space.scaffolded import scaffold
    from search.space.space import Space
    from snnkit.architecture.builder import PlanBuilder
    from snnkit.architecture.plan import ModuleView, Plan, PlanError
    from snnkit.base.config import Config, EncodingConfig, NeuronConfig
    from snnkit.counting.count import count
    from snnkit.data.datasets.info import DatasetInfo
    from snnkit.energy import EnergyConfig, estimate_all, estimate_energy
    from snnkit.energy.model import Constant, Energy, EnergyModel
    from snnkit.energy.operations import OperationCounts, count_operations, twin_counts
    from snnkit.families import Family
    from snnkit.nn.build import build_network
    from snnkit.nn.network import Network
    from snnsearch.study import Study, Trial, launch, open_study, resume
    from snnsearch.weights import load, prepare

__all__ = [
    "Config",
    "Constant",
    "DatasetInfo",
    "EncodingConfig",
    "Energy",
    "EnergyConfig",
    "EnergyModel",
    "Family",
    "InputError",
    "ModuleView",
    "Network",
    "NeuronConfig",
    "Objective",
    "Observer",
    "OperationCounts",
    "Plan",
    "PlanBuilder",
    "PlanError",
    "RunOptions",
    "SilentObserver",
    "Space",
    "Study",
    "TrainedNetwork",
    "Trial",
    "build_network",
    "count",
    "count_operations",
    "estimate_all",
    "estimate_energy",
    "launch",
    "load",
    "load_space",
    "objective",
    "open_study",
    "prepare",
    "resume",
    "scaffold",
    "twin_counts",
]

_MODULES = {
    "search.errors": ("InputError",),
    "search.plugins.objective": ("Objective", "TrainedNetwork", "objective"),
    "search.runner.observer": ("Observer", "SilentObserver"),
    "search.runner.options": ("RunOptions",),
    "search.space.loading.loader": ("load_space",),
    "search.space.scaffolded": ("scaffold",),
    "search.space.space": ("Space",),
    "snnkit.architecture.builder": ("PlanBuilder",),
    "snnkit.architecture.plan": ("ModuleView", "Plan", "PlanError"),
    "snnkit.base.config": ("Config", "EncodingConfig", "NeuronConfig"),
    "snnkit.counting.count": ("count",),
    "snnkit.data.datasets.info": ("DatasetInfo",),
    "snnkit.energy": ("EnergyConfig", "estimate_all", "estimate_energy"),
    "snnkit.energy.model": ("Constant", "Energy", "EnergyModel"),
    "snnkit.energy.operations": ("OperationCounts", "count_operations", "twin_counts"),
    "snnkit.families": ("Family",),
    "snnkit.nn.build": ("build_network",),
    "snnkit.nn.network": ("Network",),
    "snnsearch.study": ("Study", "Trial", "launch", "open_study", "resume"),
    "snnsearch.weights": ("load", "prepare"),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _PLACES:
        raise AttributeError(f"module 'snnsearch' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
