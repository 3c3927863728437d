"""Operations of a plan that run as one kernel."""

import pytest

from snnkit.architecture.fusion import FusedLIF, Split, fuse, step_sources
from snnkit.architecture.plan import Concat, Conv, Neurons, Plan, Pool, Slice
from snnkit.families import FAMILIES


def plan_of(family: str, size: int = 32, **choices: object) -> Plan:
    entry = FAMILIES[family]
    return entry.plan(entry.design.model_validate(choices), 10, (3, size, size))


def firings(plan: Plan) -> dict[str, FusedLIF]:
    return {step.name: step for step in fuse(plan, spiking=True) if isinstance(step, FusedLIF)}


def test_fire_module_and_its_pooling_are_one_step() -> None:
    found = firings(plan_of("squeezenet"))
    assert [conv.name for conv in found["fire2"].convs] == ["fire2.expand1x1", "fire2.expand3x3"]
    assert found["fire2"].pool is None
    assert found["stem.pool"].window == 2
    assert [conv.name for conv in found["fire4.pool"].convs] == ["fire4.expand1x1", "fire4.expand3x3"]
    assert "stem" not in found
    assert "fire4" not in found


def test_pooled_currents_and_their_neurons_are_one_step() -> None:
    steps = {step.name: step for step in fuse(plan_of("squeezenet", pool={"of": "currents"}), spiking=True)}
    for name, convs in (("stem", ["stem"]), ("fire4", ["fire4.expand1x1", "fire4.expand3x3"])):
        step = steps[f"{name}.neurons"]
        assert isinstance(step, FusedLIF)
        assert [conv.name for conv in step.convs] == convs
        assert step.window == 2
        assert not {name, f"{name}.pool", *convs} & set(steps)


@pytest.mark.parametrize(
    ("choices", "alone"),
    [
        ({"pool": {"of": "currents", "kind": "avg"}}, {"stem.neurons", "fire4.neurons", "fire8.neurons"}),
        ({"pool": {"of": "currents"}, "fire8": {"keep": False}}, set()),
        ({"pool": {"of": "currents"}, "fire4": {"keep": False}, "fire3": {"keep": False}}, set()),
        ({"pool": {"of": "currents", "after": ("fire4", "fire5")}, "fire5": {"keep": False}}, {"fire4.neurons"}),
    ],
)
def test_average_pooling_and_repeated_pooling_are_not_fused(choices: dict[str, object], alone: set[str]) -> None:
    steps = fuse(plan_of("squeezenet", **choices), spiking=True)
    assert {step.name for step in steps if isinstance(step, Neurons)} == alone
    given = {step.name for step in steps}
    assert all(name in given or name == "input" for step in steps for name in step_sources(step))


def test_overlapping_or_ragged_pooling_is_not_fused() -> None:
    for choices, size in (({"geometry": "imagenet-1.1"}, 64), ({}, 34)):
        plan = plan_of("squeezenet", size, **choices)
        steps = fuse(plan, spiking=True)
        assert any(isinstance(step, Pool) for step in steps)


def test_layer_with_another_reader_is_not_fused() -> None:
    plan = plan_of("shufflenet")
    read_twice = {name for op in plan.ops if isinstance(op, Slice) for name in (op.source,)}
    assert read_twice
    steps = fuse(plan, spiking=True)
    given = {step.name for step in steps} | {s.name for step in steps if isinstance(step, Split) for s in step.slices}
    assert all(name in given or name == "input" for step in steps for name in step_sources(step))


def test_slices_of_all_channels_are_one_split() -> None:
    for family in ("shufflenet", "mixnet"):
        plan = plan_of(family)
        slices = [op for op in plan.ops if isinstance(op, Slice)]
        for spiking in (True, False):
            splits = [step for step in fuse(plan, spiking=spiking) if isinstance(step, Split)]
            assert sum(len(split.slices) for split in splits) == len(slices) > 0


def test_every_convolution_runs_once_and_the_twin_is_not_fused() -> None:
    for family in FAMILIES:
        plan = plan_of(family)
        for spiking in (True, False):
            run: list[Conv] = []
            for step in fuse(plan, spiking=spiking):
                run += list(step.convs) if isinstance(step, FusedLIF) else [step] if isinstance(step, Conv) else []
                assert spiking or not isinstance(step, FusedLIF)
            assert sorted(conv.name for conv in run) == sorted(conv.name for conv in plan.convs), family
        joined = [op for op in plan.ops if isinstance(op, Concat)]
        assert len(joined) >= sum(len(f.convs) > 1 for f in firings(plan).values())
