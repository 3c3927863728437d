"""Spiking ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164) and its CNN twin.

Geometries: ``cifar`` (stem with stride 1 and no max pooling, so that a 32x32 image is reduced to 4x4), and
torchvision's shufflenet_v2_x0_5 and x1_0 for ImageNet. A space may remove any unit except the first of a stage. Widths
are even, because a unit splits its channels in halves.

LIF neurons replace ReLU. They also follow the depthwise convolutions, which have no activation in the CNN; without them
the next pointwise convolution would read real numbers, and multiply. Split, concatenation and shuffle only move spikes,
so they cost nothing. There is no residual sum.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families.design import Design, kept_view, removed_view
from snnkit.families.mbconv import depthwise
from snnkit.families.stages import Head, Repeat, Stem, head_view, plan_head, plan_stem, stem_view


class Stage(Config):
    """``unit1`` applies the stride to all channels; the other units process one half and pass the other on."""

    width: int = Field(ge=2, le=4096, multiple_of=2, description="Channels that each unit puts out; an even number.")
    stride: Literal[1, 2] = Field(description="Stride of unit1, in pixels.")
    kernel: Literal[3, 5, 7] = Field(description="Side of the depthwise kernels, in pixels.")
    unit2: Repeat = Field(Repeat(), description="Second unit of the stage.")
    unit3: Repeat = Field(Repeat(), description="Third unit of the stage.")
    unit4: Repeat = Field(Repeat(), description="Fourth unit of the stage.")

    @property
    def units(self) -> dict[str, Repeat]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Repeat)}


class LongStage(Stage):
    """A stage of eight units."""

    unit5: Repeat = Field(Repeat(), description="Fifth unit of the stage.")
    unit6: Repeat = Field(Repeat(), description="Sixth unit of the stage.")
    unit7: Repeat = Field(Repeat(), description="Seventh unit of the stage.")
    unit8: Repeat = Field(Repeat(), description="Eighth unit of the stage.")


def _row(widths: tuple[int, int, int], *, stem_stride: int, stem_pool: bool) -> dict[str, Any]:
    stages = {
        f"stage{at}": {"width": width, "stride": 2, "kernel": 3} for at, width in enumerate(widths, start=2)
    }  # fmt: skip
    return {
        "stem": {"width": 24, "kernel": 3, "stride": stem_stride},
        "stem_pool": stem_pool,
        "head": {"width": 1024, "dropout": 0.0},
        **stages,
    }


GEOMETRIES: dict[str, dict[str, Any]] = {
    "cifar": _row((48, 96, 192), stem_stride=1, stem_pool=False),
    "imagenet-0.5": _row((48, 96, 192), stem_stride=2, stem_pool=True),
    "imagenet-1.0": _row((116, 232, 464), stem_stride=2, stem_pool=True),
}


class ShuffleNet(Design):
    """Design of a ShuffleNetV2."""

    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["shufflenet"] = Field("shufflenet", description="Family of networks: arXiv:1807.11164.")
    geometry: Literal["cifar", "imagenet-0.5", "imagenet-1.0"] = Field(
        "cifar",
        description="Sizes of all keys that are not given. cifar: for 32x32 images. imagenet-0.5 and imagenet-1.0: "
        "torchvision's shufflenet_v2_x0_5 and x1_0, for 224x224 images.",
    )
    stem: Stem = Field(description="The first convolution.")
    stem_pool: bool = Field(description="Whether 3x3 max pooling with stride 2 follows the stem.")
    stage2: Stage = Field(description="Stage 2: up to 4 units.")
    stage3: LongStage = Field(description="Stage 3: up to 8 units.")
    stage4: Stage = Field(description="Stage 4: up to 4 units.")
    head: Head = Field(description="Last convolution and classifier.")

    @property
    def stages(self) -> dict[str, Stage]:
        return {"stage2": self.stage2, "stage3": self.stage3, "stage4": self.stage4}


def plan(design: ShuffleNet, classes: int, in_shape: Shape) -> Plan:
    """Turn ``design`` into a plan. Raises ``PlanError`` if the image is not square."""
    build = PlanBuilder(in_shape)
    at = plan_stem(build, design.stem, "relu")
    if design.stem_pool:
        at = build.pool("stem.pool", at, "max", kernel=3, stride=2, padding=1)
    for name, stage in design.stages.items():
        at = _first_unit(build, f"{name}.unit1", at, stage)
        for unit, repeat in stage.units.items():
            if repeat.keep:
                at = _unit(build, f"{name}.{unit}", at, stage)
    return plan_head(build, at, design.head, classes, "relu")


def modules(design: ShuffleNet) -> tuple[ModuleView, ...]:
    """The cells of the module strip: stem, units and head."""
    usual = ShuffleNet.model_validate({"geometry": design.geometry})
    units = (cell for name, stage in design.stages.items() for cell in _views(name, stage, usual.stages[name]))
    return (stem_view(design.stem, usual.stem), *units, head_view(design.head, usual.head))


def _first_unit(build: PlanBuilder, name: str, source: str, stage: Stage) -> str:
    """Append the first unit of a stage; both of its branches read all channels."""
    left = depthwise(
        build, f"{name}.left.depthwise", source, stage.kernel, stride=stage.stride, activation="identity"
    )  # fmt: skip
    left = build.conv(f"{name}.left.project", left, stage.width // 2, bias=False)
    return _joined(build, name, left, _branch(build, name, source, stage, stride=stage.stride))


def _unit(build: PlanBuilder, name: str, source: str, stage: Stage) -> str:
    """Append a unit that passes the first half of the channels on and processes the second half."""
    half = stage.width // 2
    passed = build.slice(f"{name}.passed", source, 0, half)
    taken = build.slice(f"{name}.taken", source, half, half)
    return _joined(build, name, passed, _branch(build, name, taken, stage, stride=1))


def _branch(build: PlanBuilder, name: str, source: str, stage: Stage, *, stride: int) -> str:
    at = build.conv(f"{name}.expand", source, stage.width // 2, bias=False)
    at = depthwise(build, f"{name}.depthwise", at, stage.kernel, stride=stride, activation="identity")
    return build.conv(f"{name}.project", at, stage.width // 2, bias=False)


def _joined(build: PlanBuilder, name: str, left: str, right: str) -> str:
    return build.shuffle(name, build.concat(f"{name}.joined", (left, right)), 2)


def _views(name: str, stage: Stage, usual: Stage) -> Iterator[ModuleView]:
    detail = f"{stage.width}, {stage.kernel}x{stage.kernel}"
    default = (stage.width, stage.kernel) == (usual.width, usual.kernel)
    yield kept_view(f"{name}.unit1", detail, default=default and stage.stride == usual.stride)
    for unit, repeat in stage.units.items():
        yield kept_view(f"{name}.{unit}", detail, default=default) if repeat.keep else removed_view(f"{name}.{unit}")
