"""What a user may choose by name, and where each choice is implemented, as ``module:object``.

To add one, write its file and add its line here: space files, command line and documentation read the names. The
implementations are imported when they are used, so that reading a space loads neither Optuna nor Ray.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

SAMPLERS: Mapping[str, str] = {
    "ehvi": "search.samplers.ehvi:CostAwareEHVISampler",
    "ga": "search.samplers.evolutionary:GeneticSampler",
    "tpe": "search.samplers.tpe:make_tpe",
    "gp": "search.samplers.gp:make_gp",
    "random": "search.samplers.random_search:make_random",
}
PRUNERS: Mapping[str, str] = {
    "pareto": "search.study.pruners.pareto:ParetoPruner",
    "median": "search.study.pruners.median:MedianPruner",
}
EXECUTORS: Mapping[str, str] = {
    "ray": "search.executors.ray_tune:execute",
    "inline": "search.executors.inline:execute",
}


def load_implementation(registry: Mapping[str, str], name: str) -> Any:
    """Import and return what ``name`` stands for in ``registry``. Raises KeyError if it is not there."""
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
