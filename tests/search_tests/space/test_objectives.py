"""Every objective reads a finite number from the measurements, and space files use the names of the registries."""

import math
from collections.abc import Mapping

import pytest

from reports.records.objectives import OBJECTIVES, OWN_FIGURES
from reports.records.study import Metrics
from search.registries import EXECUTORS, PRUNERS, SAMPLERS, load_implementation
from search.space.limits import Budget
from search.space.sections import StudySection

METRICS = Metrics(
    accuracy=0.75,
    test_accuracy=0.74,
    test_f1=0.73,
    params=1000,
    dense_macs=5000,
    macs=200.0,
    acs=3000.0,
    spikes=400.0,
    firing_rate=0.1,
    timesteps=4,
    energy_mj={"horowitz45/exact": 0.02, "lemaire2022/exact": 0.3},
    twin_energy_mj={"horowitz45/exact": 0.2, "lemaire2022/exact": 0.6},
)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_is_a_finite_number_with_a_direction(name: str) -> None:
    objective = OBJECTIVES[name]
    metrics = METRICS.model_copy(update={"own": dict.fromkeys(OWN_FIGURES, 0.5)})
    assert math.isfinite(objective.value(metrics, "horowitz45/exact"))
    assert objective.direction in ("maximize", "minimize")
    assert objective.sentence


def test_energy_objective_uses_the_energy_model_of_the_space() -> None:
    value = OBJECTIVES["energy_mj"].value
    assert (value(METRICS, "horowitz45/exact"), value(METRICS, "lemaire2022/exact")) == (0.02, 0.3)


def test_accuracy_objective_uses_validation_images() -> None:
    assert OBJECTIVES["accuracy"].value(METRICS, "horowitz45/exact") == 0.75


def test_only_accuracy_is_maximized() -> None:
    assert [name for name, objective in OBJECTIVES.items() if objective.direction == "maximize"] == ["accuracy"]


@pytest.mark.parametrize("name", ["auto", *SAMPLERS])
def test_a_space_may_name_every_sampler_there_is(name: str) -> None:
    section = StudySection(name="x", sampler=name, budget=Budget(trials=1), objectives={"accuracy": "maximize"})
    assert section.sampler == name


@pytest.mark.parametrize("registry", [SAMPLERS, PRUNERS, EXECUTORS], ids=["samplers", "pruners", "executors"])
def test_every_registered_name_has_an_implementation(registry: Mapping[str, str]) -> None:
    assert all(callable(load_implementation(registry, name)) for name in registry)
