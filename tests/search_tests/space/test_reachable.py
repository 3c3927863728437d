"""Bounds that no candidate meets are refused before anything trains, with the lowest value that can be reached."""

import itertools
from collections.abc import Iterator

import pytest
from helpers.untrained import SPACES, options_for

from search.errors import InputError
from search.runner.launch import launch, preview
from search.space.candidate import Candidate
from search.space.loading.loader import load_space
from search.space.reachable import check_bounds
from search.space.space import Space


def bounded(constraints: str, file: str = "smoke") -> Space:
    return load_space(SPACES / f"{file}.yaml", overrides={"study.constraints": constraints})


def every_candidate(space: Space) -> Iterator[Candidate]:
    """Every candidate of a space whose dials have few values."""
    for values in itertools.product(*(dial.values.spread(64) for dial in space.dials)):
        yield space.candidate(dict(zip((dial.path for dial in space.dials), values, strict=True)))


def test_lowest_reachable_value_is_the_least_of_all_candidates() -> None:
    space = bounded("{}")
    candidates = list(every_candidate(space))
    lowest = min(candidate.static()["params"] for candidate in candidates)
    assert check_bounds(bounded(f"{{params: {{max: {lowest}}}}}")) is None
    with pytest.raises(
        InputError, match=rf"study\.constraints\.params: .* within {lowest - 1}; .* reachable is {lowest}\. Raise"
    ):
        check_bounds(bounded(f"{{params: {{max: {lowest - 1}}}}}"))
    energy = min(candidate.least_energy_mj() for candidate in candidates)
    assert check_bounds(bounded(f"{{energy_mj: {{max: {energy * 1.001}}}}}")) is None
    with pytest.raises(InputError, match=r"study\.constraints\.energy_mj"):
        check_bounds(bounded(f"{{energy_mj: {{max: {energy * 0.999}}}}}"))


def test_all_bounds_out_of_reach_are_told() -> None:
    with pytest.raises(InputError, match=r"params: [^\n]*\nstudy\.constraints\.dense_macs: "):
        check_bounds(bounded("{params: {max: 1}, dense_macs: {max: 1}, energy_mj: {max: 9}}"))


def test_bounds_that_only_fail_together_are_a_warning() -> None:
    """MobileNetV2 has fewer parameters and MixNet-S fewer operations, so no candidate has both."""
    text = """
study: {name: a, budget: {trials: 1}, objectives: {accuracy: maximize}}
network: {family: {choices: [mobilenetv2, mixnet]}}
data: {name: digits}
"""
    small, fast = (figures.static() for figures in every_candidate(load_space(text)))
    assert small["params"] < fast["params"]
    assert small["dense_macs"] > fast["dense_macs"]

    def warning(params: int, dense_macs: int) -> str | None:
        bounds = f"{{params: {{max: {params}}}, dense_macs: {{max: {dense_macs}}}}}"
        return check_bounds(load_space(text, overrides={"study.constraints": bounds}))

    assert warning(small["params"], small["dense_macs"]) is None
    assert warning(fast["params"], fast["dense_macs"]) is None
    assert "meets all constraints together" in (warning(small["params"], fast["dense_macs"]) or "")


@pytest.mark.parametrize("file", ["smoke", "squeezenet_prune", "all_families", "nmnist_prune"])
def test_bounds_of_shipped_spaces_can_be_met(file: str) -> None:
    assert check_bounds(load_space(SPACES / f"{file}.yaml")) is None


def test_launch_and_preview_refuse_before_anything_is_written(tmp_path) -> None:
    for start in (launch, preview):
        with pytest.raises(InputError, match="the lowest reachable is"):
            start(bounded("{params: {max: 1}}"), options_for(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_preview_names_the_candidates_that_would_be_refused(tmp_path) -> None:
    text = preview(bounded("{params: {max: 3000}}"), options_for(tmp_path))
    assert "warning   baseline and no-fire3 would be refused: params is above the limit of 3,000 by" in text
    assert "first     smallest" in text
    assert "first     baseline" not in text
