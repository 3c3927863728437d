"""SqueezeNet's designs and plans: the published figures, removal, shapes and errors. No torch."""

import random
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from snnkit.architecture.builder import PlanBuilder, pooled
from snnkit.architecture.plan import Concat, Conv, GlobalAverage, Neurons, Plan, PlanError, Pool
from snnkit.families.squeezenet import FIRES, GEOMETRIES, SqueezeNet, modules, plan


def design(kept: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8, 9), **given: Any) -> SqueezeNet:
    removed = {name: {"keep": False} for name in FIRES if int(name[-1]) not in kept}
    return SqueezeNet.model_validate(removed | given)


def conv(of: Plan, name: str) -> Conv:
    return next(conv for conv in of.convs if conv.name == name)


def published_macs(of: Plan) -> int:
    """arXiv:2602.09717's rule for the spiking network: the stem with its bias, two operations for each element through
    a BatchNorm, one for each element into the final average pooling."""
    stem, average = of.convs[0], of.ops[-1]
    assert isinstance(average, GlobalAverage)
    channels, height, width = average.in_shape
    normalised = sum(conv.outputs for conv in of.convs if conv.batchnorm)
    return stem.dense_macs + stem.outputs + 2 * normalised + channels * height * width


@pytest.mark.parametrize(
    ("classes", "size", "kept", "params", "macs"),
    [
        (10, 32, (2, 3, 4, 5, 6, 7, 8, 9), 736_458, 4_466_848),
        (100, 32, (2, 3, 4, 5, 6, 7, 8, 9), 782_628, 4_468_288),
        (200, 64, (2, 3, 4, 5, 6, 7, 8, 9), 833_928, 17_879_552),
        (10, 32, (4, 6, 8, 9), 549_114, 4_227_232),
        (100, 32, (4, 6, 8, 9), 595_284, 4_228_672),
        (200, 64, (4, 6, 8, 9), 646_584, 16_921_088),
    ],
)
def test_parameters_and_macs_are_the_published_ones(
    classes: int, size: int, kept: tuple[int, ...], params: int, macs: int
) -> None:
    built = plan(design(kept), classes, (3, size, size))
    assert built.params == params
    assert published_macs(built) == macs


@pytest.mark.parametrize(
    ("kept", "poolings"),
    [
        ((2, 3, 4, 5, 6, 7, 8, 9), {"stem": 1, "fire4": 1, "fire8": 1}),
        ((2, 6, 9), {"stem": 1, "fire2": 1, "fire6": 1}),  # a removed Fire's pooling is of the currents before it
        ((), {"stem": 3}),
    ],
)
def test_pooled_currents_cost_as_much_and_drive_fewer_neurons(kept: tuple[int, ...], poolings: dict[str, int]) -> None:
    spikes, currents = (plan(design(kept, pool={"of": of}), 10, (3, 32, 32)) for of in ("spikes", "currents"))
    assert (currents.params, currents.dense_macs) == (spikes.params, spikes.dense_macs)
    ops = {op.name: op for op in currents.ops}
    neurons = [op for op in currents.ops if isinstance(op, Neurons)]
    assert [op.name for op in neurons] == [f"{name}.neurons" for name in poolings]
    for op in neurons:
        back, count = ops[op.source], 0
        while isinstance(back, Pool):
            back, count = ops[back.source], count + 1
        assert count == poolings[op.name.removesuffix(".neurons")]
        assert not any(
            conv.emits_spikes for conv in currents.convs if conv.name in getattr(back, "sources", (back.name,))
        )
    shapes = {conv.name: conv.in_shape for conv in spikes.convs}
    assert {conv.name: conv.in_shape for conv in currents.convs} == shapes
    assert {conv.input_scale for conv in currents.convs} == {1}


def test_pooled_currents_need_batchnorm() -> None:
    with pytest.raises(ValidationError, match=r"pool\.of: currents without BatchNorm; write batchnorm: true"):
        design(pool={"of": "currents"}, batchnorm=False)


def test_twin_macs_are_the_published_ones() -> None:
    """The same rule with every layer dense: each convolution with its bias, where the SNN counts the stem alone."""
    built = plan(design(), 10, (3, 32, 32))
    others = built.convs[1:]
    macs = published_macs(built) + sum(conv.dense_macs + conv.outputs for conv in others)
    assert macs == 54_754_624
    assert round(macs * 4.6e-9, 4) == 0.2519  # mJ at 4.6 pJ


@pytest.mark.parametrize("name", FIRES)
def test_removed_module_costs_no_parameters_and_no_operations(name: str) -> None:
    full, without = (plan(SqueezeNet.model_validate(given), 10, (3, 32, 32)) for given in ({}, {name: {"keep": False}}))
    assert not [op.name for op in without.ops if op.name.startswith(name) and not isinstance(op, Pool)]
    names = [op.name for op in full.ops if op.name.split(".")[0] != name or isinstance(op, Pool)]
    assert [op.name for op in without.ops] == names
    assert without.params < full.params
    assert without.dense_macs < full.dense_macs


def test_neighbours_follow_a_removed_module() -> None:
    built = plan(design((2, 5)), 10, (3, 32, 32))
    assert conv(built, "fire5.squeeze").in_shape == (128, 8, 8)  # fire2's 64 + 64; pooled after stem and position 4
    assert conv(built, "head").in_shape == (256, 4, 4)  # fire5's 128 + 128; pooled after position 8


def test_head_reads_the_stem_when_no_fire_is_left() -> None:
    built = plan(design((), stem={"width": 24}), 10, (3, 32, 32))
    assert [conv.name for conv in built.convs] == ["stem", "head"]
    assert conv(built, "head").in_shape == (24, 4, 4)
    assert built.params == 24 * 27 + 24 + 48 + 24 * 10 + 10


def test_every_operation_reads_what_an_earlier_one_wrote() -> None:
    dice = random.Random(0)
    for _ in range(100):
        built = plan(any_design(dice), 10, (3, 32, 32))
        shapes = {"input": built.in_shape}
        for op in built.ops:
            if isinstance(op, Concat):
                assert op.out_shape[0] == sum(shapes[source][0] for source in op.sources)
                assert {op.out_shape[1:]} == {shapes[source][1:] for source in op.sources}
            else:
                assert op.in_shape == shapes[op.source]
            if not isinstance(op, GlobalAverage):
                shapes[op.name] = op.out_shape
        assert built.ops[-1].name == "scores"


def any_design(dice: random.Random) -> SqueezeNet:
    def width() -> int:
        return dice.randint(1, 300)

    fires = {
        name: {"keep": dice.random() < 0.5, "squeeze": width(), "expand1x1": width(), "expand3x3": width()}
        for name in FIRES
    }
    stem = {"width": width(), "stride": dice.choice([1, 2]), "kernel": dice.choice([1, 3, 5])}
    return SqueezeNet.model_validate({"stem": stem, "pool": {"kind": dice.choice(["max", "avg"])}, **fires})


def test_only_the_stem_reads_real_values() -> None:
    assert [conv.name for conv in plan(design(), 10, (3, 32, 32)).convs if conv.reads == "input"] == ["stem"]


def test_average_pooling_is_a_scale_on_the_next_convolution() -> None:
    built = plan(design(pool={"kind": "avg"}), 10, (3, 32, 32))
    scales = {conv.name: conv.input_scale for conv in built.convs if conv.input_scale != 1}
    assert scales == {"fire2.squeeze": 4, "fire5.squeeze": 4, "fire9.squeeze": 4}


def test_average_poolings_in_a_row_multiply() -> None:
    built = plan(design((2,), pool={"kind": "avg"}), 10, (3, 32, 32))
    assert conv(built, "head").input_scale == 16  # after positions 4 and 8
    assert conv(plan(design(()), 10, (3, 32, 32)), "head").input_scale == 1  # max pooling: still 0 or 1


def test_max_pooling_keeps_the_scale_of_sums() -> None:
    build = PlanBuilder((1, 16, 16))
    at = build.pool(
        "b", build.pool("a", build.conv("stem", "input", 2), "avg", kernel=3, stride=2), "max", kernel=2, stride=2
    )
    assert conv(build.scores("scores", build.conv("head", at, 5)), "head").input_scale == 9


@pytest.mark.parametrize(("size", "kernel", "stride", "ceil", "windows"), [
    (32, 2, 2, False, 16), (7, 2, 2, False, 3), (7, 2, 2, True, 4), (109, 3, 2, True, 54), (2, 3, 2, True, 1),
    (4, 1, 3, True, 2), (3, 1, 3, True, 1), (2, 3, 2, False, 0), (1, 3, 2, True, 0),
])  # fmt: skip
def test_windows_of_a_pooling(size: int, kernel: int, stride: int, ceil: bool, windows: int) -> None:
    assert pooled(size, kernel, stride, ceil=ceil) == windows


def test_error_of_a_collapsed_shape_names_module_size_and_remedy() -> None:
    with pytest.raises(PlanError, match=r"fire8\.pool: 2x2 max pooling does not fit the incoming 512x1x1; leave this"):
        plan(design(), 10, (3, 4, 4))
    with pytest.raises(
        PlanError, match="stem: a 7x7 convolution with padding 0 does not fit the incoming 3x5x5; use a"
    ):
        plan(SqueezeNet.model_validate({"geometry": "imagenet-1.0"}), 10, (3, 5, 5))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"fire4": {"squeze": 3}}, "fire4.squeze"),
        ({"fire4": {"squeeze": 0}}, "fire4.squeeze"),
        ({"fire4": {"squeeze": 5000}}, "fire4.squeeze"),
        ({"fire4": {"keep": "perhaps"}}, "fire4.keep"),
        ({"fire4": 3}, "fire4"),
        ({"fire1": {"keep": False}}, "fire1"),
        ({"stem": {"stride": 0}}, "stem.stride"),
        ({"pool": {"after": ["fire1"]}}, "pool.after.0"),
        ({"pool": {"after": ["stem", "stem"]}}, "pool"),
        ({"geometry": "mnist"}, "geometry"),
        ({"geometry": ["cifar"]}, "geometry"),
        ({"family": "vgg"}, "family"),
        ({"head": {"dropout": 1.0}}, "head.dropout"),
    ],
)
def test_bad_values_are_refused_at_their_place(given: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SqueezeNet.model_validate(given)
    assert place in {".".join(map(str, error["loc"])) for error in caught.value.errors()}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_geometry_fills_in_omitted_keys(geometry: str) -> None:
    usual = SqueezeNet.model_validate({"geometry": geometry})
    given = SqueezeNet.model_validate({"geometry": geometry, "fire4": {"keep": False}, "stem": {"width": 7}})
    assert given.fire4 == usual.fire4.model_copy(update={"keep": False})
    assert given.stem == usual.stem.model_copy(update={"width": 7})
    assert given.fire5 == usual.fire5
    assert given.pool == usual.pool


def test_design_survives_serialisation() -> None:
    given = design((3, 5), geometry="imagenet-1.1", stem={"width": 7})
    assert SqueezeNet.model_validate(given.model_dump(mode="json")) == given
    assert SqueezeNet.model_validate_json(given.model_dump_json()) == given


def test_strip_shows_kept_removed_and_resized() -> None:
    strip = {view.name: view for view in modules(design((2, 3, 4), fire3={"squeeze": 8}, stem={"stride": 2}))}
    assert list(strip) == ["stem", *FIRES, "head"]
    assert [view.state for view in strip.values()] == ["resized", "kept", "resized", "kept", *["removed"] * 5, "kept"]
    assert strip["fire3"].detail == "8 / 64 + 64"
    assert strip["stem"].detail == "128, 3x3/2"


def test_families_load_without_torch() -> None:
    subprocess.run([sys.executable, "-c", "import sys, snnkit.families; sys.exit('torch' in sys.modules)"], check=True)


@pytest.mark.parametrize(
    ("fire", "widths"),
    [
        ({}, (32, 128, 128)),
        ({"expand": 128, "share3x3": 0.375, "squeeze_ratio": 0.375}, (48, 80, 48)),  # fire4 of late-pool
        ({"expand": 64}, (32, 32, 32)),  # half of them are 3x3, as in the geometry
        ({"share3x3": 0.25}, (32, 192, 64)),
        ({"squeeze_ratio": 0.01}, (8, 128, 128)),
        ({"expand": 16, "share3x3": 0.9}, (32, 8, 8)),
        ({"expand1x1": 96, "expand3x3": 64, "squeeze_ratio": 0.25}, (40, 96, 64)),
    ],
)
def test_widths_by_ratio(fire: dict[str, float], widths: tuple[int, int, int]) -> None:
    given = design(fire4=fire)
    assert given.fire4.widths == widths
    planned = plan(given, 10, (3, 32, 32))
    assert tuple(conv.out_shape[0] for conv in planned.convs if conv.name.startswith("fire4.")) == widths
    assert SqueezeNet.model_validate(given.model_dump()) == given


@pytest.mark.parametrize(
    ("fire", "text"),
    [
        ({"expand": 128, "expand1x1": 96}, "fire4: given expand1x1 and expand, which replaces it"),
        ({"share3x3": 0.5, "expand3x3": 96}, "fire4: given expand3x3 and share3x3"),
        ({"squeeze_ratio": 0.5, "squeeze": 16}, "fire4: given squeeze and squeeze_ratio"),
    ],
)
def test_width_beside_its_ratio_is_refused(fire: dict[str, float], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        SqueezeNet.model_validate({"fire4": fire})
