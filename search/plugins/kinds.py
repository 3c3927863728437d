"""The kinds of plug-ins: where a space names them, what they must be, and where they are registered."""

import inspect
import math
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, create_model

from reports.records.objectives import OBJECTIVES
from search.plugins.calls import checked
from search.plugins.dataset import as_dataset
from search.plugins.objective import Objective, add_objective
from search.plugins.sources import PluginError
from search.registries import PRUNERS, SAMPLERS
from snnkit.architecture.plan import ModuleView, Plan
from snnkit.data.datasets import DATASETS
from snnkit.energy.model import Energy, EnergyModel
from snnkit.energy.registry import ENERGY_MODELS
from snnkit.families import FAMILIES, Family, register_family

PRUNER_METHODS = ("describe", "add", "prune_reason")


@dataclass(frozen=True)
class Kind:
    """One kind of plug-in."""

    noun: str  # "energy model"
    group: str  # of entry points: "snnsearch.energy_models"
    registry: MutableMapping[str, Any]  # the built-in ones and those that were registered, by name
    register: Callable[[str, Any], None]  # raises PluginError with what the part must be


def _register_family(name: str, given: Any) -> None:
    if not isinstance(given, Family):
        raise PluginError(
            f"{name} is {_described(given)}; a family is a snnsearch.Family(design, plan, modules). See "
            "docs/developing/family.md. To search a torch module, write a space for it: snnsearch scaffold"
        )
    if name in FAMILIES and FAMILIES[name].origin is given:
        return  # spaces that were loaded before keep their designs
    fields: dict[str, Any] = {"family": (Literal[name], Field(name, description="Family of networks."))}
    design = create_model(given.design.__name__, __base__=given.design, __doc__=given.design.__doc__, **fields)
    plan = checked("family", name, given.plan, _problem_of_plan)
    modules = checked("family", name, given.modules, _problem_of_modules)
    register_family(name, replace(given, design=design, plan=plan, modules=modules, origin=given))


def _register_objective(name: str, given: Any) -> None:
    if not isinstance(given, Objective):
        raise PluginError(
            f"{name} is {_described(given)}; an objective is a function under @snnsearch.objective(direction=..., "
            "low=..., high=...)"
        )
    try:
        inspect.signature(given.measure).bind(None)
    except TypeError as error:
        raise PluginError(f"{name}: {error}; an objective takes one argument, the trained network") from error
    try:
        add_objective(name, given)
    except ValueError as error:
        raise PluginError(f"{name}: {error}") from error


def _register_energy_model(name: str, given: Any) -> None:
    if not isinstance(given, EnergyModel):
        raise PluginError(f"{name} is {_described(given)}; an energy model is a snnsearch.EnergyModel")
    if not given.presets:
        raise PluginError(f"{name} has no preset; its presets are a mapping such as {{'exact': 'what it counts'}}")
    estimate = checked("energy model", name, given.estimate, _problem_of_energy)
    _set(ENERGY_MODELS, name, replace(given, estimate=estimate))


def _register_sampler(name: str, given: Any) -> None:
    if not callable(given):
        raise PluginError(f"{name} is {_described(given)}; a sampler is a function (space, seed) -> optuna sampler")
    _set(SAMPLERS, name, given)


def _register_pruner(name: str, given: Any) -> None:
    missing = [method for method in PRUNER_METHODS if not callable(getattr(given, method, None))]
    if not isinstance(given, type) or missing:
        raise PluginError(
            f"{name} is {_described(given)}; a stopping rule is a class with the methods {', '.join(PRUNER_METHODS)}"
            + (f"; it lacks {', '.join(missing)}" if isinstance(given, type) else "")
        )
    _set(PRUNERS, name, given)


def _register_dataset(name: str, given: Any) -> None:
    DATASETS[name] = as_dataset(name, given)


def _problem_of_plan(plan: Any, _: object, classes: int, *__: object) -> str:
    if not isinstance(plan, Plan):
        return f"returned {_described(plan)}; its function plan must return a snnkit.architecture.plan.Plan"
    outputs = plan.convs[-1].out_shape[0] if plan.convs else 0
    return "" if outputs == classes else f"has {outputs} outputs for {classes} classes; give its last layer {classes}"


def _problem_of_modules(modules: Any, *_: object) -> str:
    if isinstance(modules, tuple | list) and all(isinstance(each, ModuleView) for each in modules):
        return ""
    return f"returned {modules!r} from its function modules; it must return a tuple of ModuleView"


def _problem_of_energy(energy: Any, *_: object) -> str:
    if not isinstance(energy, Energy):
        return f"returned {_described(energy)}; it must return a snnkit.energy.model.Energy"
    found = energy.total_mj
    return "" if math.isfinite(found) and found >= 0 else f"returned {found} mJ; an energy is a number from 0"


def _set(registry: MutableMapping[str, Any], name: str, part: Any) -> None:
    registry[name] = part


def _described(given: object) -> str:
    if isinstance(given, type):
        return f"the class {given.__name__}"
    if callable(given) and hasattr(given, "__name__"):
        return f"the function {given.__name__}"
    return f"a {type(given).__name__}"


KINDS: Mapping[str, Kind] = {
    "family": Kind("family of networks", "snnsearch.families", FAMILIES, _register_family),
    "dataset": Kind("data set", "snnsearch.datasets", DATASETS, _register_dataset),
    "energy_model": Kind("energy model", "snnsearch.energy_models", ENERGY_MODELS, _register_energy_model),
    "objective": Kind("objective", "snnsearch.objectives", OBJECTIVES, _register_objective),
    "sampler": Kind("sampler", "snnsearch.samplers", SAMPLERS, _register_sampler),
    "stopping": Kind("stopping rule", "snnsearch.stopping", PRUNERS, _register_pruner),
}
