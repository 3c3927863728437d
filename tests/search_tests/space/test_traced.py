"""Spaces over traced networks: dials in mappings with free keys, blocks, overrides and errors."""

import random

import pytest

from search import load_space
from search.errors import SpaceError
from search.space import document

HEAD = "study: {name: x, budget: {trials: 2}, objectives: {accuracy: maximize}}\ndata: {name: digits}\nnetwork:\n"
NETWORK = """  family: traced
  modules:
    block2: {keep: {choices: [true, false]}, widths: {conv1: {choices: [8, 16]}}}
  widths:
    block1: {low: 4, high: 16, step: 4}
"""


def test_dials_stand_in_modules_and_widths() -> None:
    space = load_space(HEAD + NETWORK)
    assert {dial.path: dial.default for dial in space.dials} == {
        "network.modules.block2.keep": True,
        "network.modules.block2.widths.conv1": 16,
        "network.widths.block1": 16,
    }
    assert dict(space.dials[1].needs) == {"network.modules.block2.keep": True}
    assert space.size == (1 + 2) * 4


def test_every_candidate_builds_and_is_read_back() -> None:
    space = load_space(HEAD + NETWORK)
    rng = random.Random(0)
    for _ in range(20):
        candidate = space.candidate(space.sample(rng))
        assert type(candidate).model_validate_json(candidate.model_dump_json()) == candidate
        assert candidate.static()["params"] > 0
        removed = [module.name for module in candidate.modules() if module.state == "removed"]
        assert removed == ([] if candidate.network.modules["block2"].keep else ["block2"])  # type: ignore[attr-defined]


def test_written_network_is_the_same_network() -> None:
    base = load_space(HEAD + NETWORK).base
    text = document.dump({"network": base.network.model_dump(mode="json")})
    again = load_space(HEAD.replace("network:\n", "") + text).base
    assert again.fingerprint == base.fingerprint


def test_set_reaches_modules_and_widths() -> None:
    space = load_space(HEAD + NETWORK, overrides={"network.modules.block2.keep": False, "network.widths.block1": 8})
    assert [dial.path for dial in space.dials] == []
    assert space.base.plan().convs[0].out_shape[0] == 8


def test_resized_modules_are_shown() -> None:
    space = load_space(HEAD + NETWORK)
    chosen = space.candidate({dial.path: dial.anchor for dial in space.dials} | {"network.widths.block1": 8})
    states = {view.name: view.state for view in chosen.modules()}
    assert states["block1"] == states["block2"] == "resized"  # block2 adds to the output of block1
    assert states["block3"] == states["classifier"] == "kept"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("block2:", "block9:", "modules: no removable module is called block9; allowed are block2, .*did you mean"),
        ("block1:", "blok1:", "widths: no width is called blok1; allowed are block1, .*did you mean block1"),
        ("conv1:", "conv7:", r"modules\.block2\.widths: no width is called conv7; allowed are conv1"),
        ("low: 4", "low: 0", "block1"),
        ("family: traced", "family: traced\n  graph: [nonsense]", "'nonsense': is no layer; write NAME"),
        ("family: traced", "family: traced\n  blocks: [{kind: conv}]", "width: is missing"),
        (
            "family: traced", "family: traced\n  graph: [a]\n  blocks: [{kind: conv, width: 3}]",
            "given graph and blocks; remove one",
        ),
        ("widths:\n", "widths:\n    block1_x: [3, 4]\n", r"block1_x: given \[3, 4\]; write one value"),
    ],
)  # fmt: skip
def test_error_says_what_to_write(old: str, new: str, reason: str) -> None:
    with pytest.raises(SpaceError, match=reason):
        load_space(HEAD + NETWORK.replace(old, new))
