"""Origins of channels through every operation that moves them, and filters that can only be removed together."""

import pytest
from helpers.designs import default, planned

from snnkit.architecture.channels import channels
from snnkit.architecture.plan import Concat, Conv, Gate, GlobalAverage, Neurons, Plan, Shuffle, Slice, Sum
from snnkit.families import FAMILIES


def conv(name: str, source: str, reads: int, filters: int, groups: int = 1) -> Conv:
    return Conv(name, source, (reads, 4, 4), (filters, 4, 4), kernel=1, groups=groups)


def plan(*ops: object) -> Plan:
    return Plan((*ops, GlobalAverage("scores", ops[-1].name, (2, 4, 4))), (1, 4, 4), 2)  # type: ignore[arg-type, attr-defined]


def names(plan: Plan, value: str) -> list[str]:
    """ "a0" for a channel that comes from filter 0 of a, "a0+b0" for a sum."""
    return ["+".join(f"{name}{at}" for name, at in sorted(each)) for each in channels(plan).origins[value]]


def test_fire_reads_both_expansions_of_the_fire_before_it() -> None:
    squeezenet = planned("squeezenet", default("squeezenet"))
    wide = squeezenet.convs[2].out_shape[0]  # fire2.expand1x1
    read = [f"fire2.expand1x1{at}" for at in range(wide)] + [f"fire2.expand3x3{at}" for at in range(wide)]
    assert names(squeezenet, "fire2") == read


def test_origin_goes_through_pooling() -> None:
    squeezenet = planned("squeezenet", default("squeezenet"))
    assert names(squeezenet, "stem.pool") == names(squeezenet, "stem")


def test_shuffle_deals_the_channels_of_its_groups_in_turn() -> None:
    shuffled = plan(
        conv("a", "input", 1, 2), conv("b", "input", 1, 2), Concat("joined", ("a", "b"), (4, 4, 4)),
        Shuffle("shuffled", "joined", (4, 4, 4), 2), Slice("half", "shuffled", (2, 4, 4), 2),
    )  # fmt: skip
    assert names(shuffled, "shuffled") == ["a0", "b0", "a1", "b1"]
    assert names(shuffled, "half") == ["a1", "b1"]


def test_unit_of_shufflenet_passes_half_of_the_shuffled_channels_on() -> None:
    network = planned("shufflenet", default("shufflenet"))
    half = next(op.out_shape[0] for op in network.ops if op.name == "stage2.unit1.project")
    first = [f"stage2.unit1.{part}{at}" for at in range(half) for part in ("left.project", "project")]
    assert names(network, "stage2.unit1") == first
    second = [name for at in range(half) for name in (first[at], f"stage2.unit2.project{at}")]
    assert names(network, "stage2.unit2") == second


def test_summed_channels_have_both_origins_and_are_coupled() -> None:
    residual = plan(
        conv("a", "input", 1, 2), conv("b", "a", 2, 2), Sum("s", ("a", "b"), (2, 4, 4), True),
        Neurons("n", "s", (2, 4, 4)),
    )  # fmt: skip
    assert names(residual, "n") == ["a0+b0", "a1+b1"]
    group = channels(residual).group
    assert group["a", 1] == group["b", 1] != group["a", 0] == group["b", 0]


def test_depthwise_filter_and_gate_are_coupled_with_their_channel() -> None:
    gated = plan(
        conv("a", "input", 1, 2), conv("depthwise", "a", 2, 2, groups=2), conv("excite", "a", 2, 2),
        Gate("gated", "depthwise", "excite", (2, 4, 4)),
    )  # fmt: skip
    group = channels(gated).group
    for at in range(2):
        assert group["a", at] == group["depthwise", at] == group["excite", at]
    assert group["a", 0] != group["a", 1]
    assert names(gated, "gated") == ["depthwise0", "depthwise1"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_channel_that_is_read_has_an_origin(family: str) -> None:
    network = planned(family, default(family))
    found = channels(network)
    for each in network.convs:
        assert len(found.read_by(each)) == each.in_shape[0]
        assert all(found.read_by(each))
