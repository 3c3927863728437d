"""What a user may choose by name, and where each choice is implemented, as ``module:object``.

To add one, write its file and add its line here: space files, command line and documentation read the names. The
implementations are imported when they are used, so that reading a space loads neither Optuna nor Ray. Plug-ins add
their objects themselves (`search.plugins`).
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

SAMPLERS: dict[str, Any] = {
    "ehvi": "search.samplers.ehvi:CostAwareEHVISampler",
    "ga": "search.samplers.evolutionary:GeneticSampler",
    "tpe": "search.samplers.tpe:make_tpe",
    "gp": "search.samplers.gp:make_gp",
    "random": "search.samplers.random_search:make_random",
}
PRUNERS: dict[str, Any] = {
    "pareto": "search.study.pruners.pareto:ParetoPruner",
    "median": "search.study.pruners.median:MedianPruner",
}
EXECUTORS: Mapping[str, str] = {
    "ray": "search.executors.ray_tune:execute",
    "inline": "search.executors.inline:execute",
}


def load_implementation(registry: Mapping[str, Any], name: str) -> Any:
    """Import and return what ``name`` stands for in ``registry``. Raises KeyError if it is not there."""
    if not isinstance(registry[name], str):
        return registry[name]
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
