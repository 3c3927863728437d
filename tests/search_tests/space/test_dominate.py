"""``study.dominate`` turns published points into constraints."""

import pytest
from helpers.untrained import SPACES

from search.errors import InputError
from search.space.loading.loader import load_space
from search.space.space import Space

PAPER = {"energy.preset": "paper2602"}


def load(dominate: str, **overrides: object) -> Space:
    return load_space(SPACES / "squeezenet_prune.yaml", overrides=PAPER | {"study.dominate": dominate} | overrides)


def test_figures_of_the_points_become_constraints() -> None:
    space = load("[SqueezeNet-P (paper), alt-1 (paper)]")
    assert space.study.constraints == {
        "params": {"max": 362_030},
        "accuracy": {"min": 0.81},
        "energy_mj": {"max": 0.0074},  # the space's own bound is tighter
    }
    assert load_space(space.dump()) == space


def test_tighter_constraints_stay() -> None:
    space = load("[alt-2 (paper)]", **{"study.constraints": "{params: {max: 300_000}, accuracy: {min: 0.9}}"})
    assert space.study.constraints["params"] == {"max": 300_000}
    assert space.study.constraints["accuracy"] == {"min": 0.9}


def test_unknown_point_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"study.dominate\[0\]: given 'SqueezeNet-P'; allowed are SqueezeNet-P \(paper"
    ):
        load("[SqueezeNet-P]")


def test_point_by_another_energy_model_is_refused() -> None:
    text = r"the energy of alt-1 \(paper\) is by horowitz45/paper2602, and the space's by horowitz45/exact; write"
    with pytest.raises(InputError, match=text):
        load("[alt-1 (paper)]", **{"energy.preset": "exact"})
