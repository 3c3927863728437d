"""Spiking ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164) and its CNN twin.

Geometries: ``cifar`` (stem without stride, no max pooling, so 32x32 images leave at 4x4), and torchvision's
shufflenet_v2_x0_5 and x1_0 for ImageNet. Any unit but the first of a stage may be removed; widths are even, since a
unit splits its channels in two halves.

What is spiking about it: LIF neurons stand in place of ReLU, and also behind the depthwise convolutions, where the CNN
has nothing: without them the pointwise convolution after it would read real numbers, and multiply. Split, concatenation
and shuffle leave spikes what they are and cost nothing; there is no residual sum.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families.design import Design, removed, view
from snnkit.families.mbconv import depthwise
from snnkit.families.stages import Head, Repeat, Stem, head_view, plan_head, plan_stem, stem_view


class Stage(Config):
    """``unit1`` takes the stride and works on all channels; the others pass one half on as it is."""

    width: int = Field(ge=2, le=4096, multiple_of=2)
    stride: Literal[1, 2]
    kernel: Literal[3, 5, 7]  # of the depthwise convolutions
    unit2: Repeat = Repeat()
    unit3: Repeat = Repeat()
    unit4: Repeat = Repeat()

    @property
    def units(self) -> dict[str, Repeat]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Repeat)}


class LongStage(Stage):
    unit5: Repeat = Repeat()
    unit6: Repeat = Repeat()
    unit7: Repeat = Repeat()
    unit8: Repeat = Repeat()


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
    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["shufflenet"] = "shufflenet"
    geometry: Literal["cifar", "imagenet-0.5", "imagenet-1.0"] = "cifar"
    stem: Stem
    stem_pool: bool  # 3x3 max pooling with stride 2 behind the stem
    stage2: Stage
    stage3: LongStage
    stage4: Stage
    head: Head

    @property
    def stages(self) -> dict[str, Stage]:
        return {"stage2": self.stage2, "stage3": self.stage3, "stage4": self.stage4}


def plan(design: ShuffleNet, classes: int, in_shape: Shape) -> Plan:
    """The operations that ``design`` stands for; raises ``PlanError`` where the image is not square."""
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
    """Stem, units and head as cells of a strip."""
    usual = ShuffleNet.model_validate({"geometry": design.geometry})
    units = (cell for name, stage in design.stages.items() for cell in _views(name, stage, usual.stages[name]))
    return (stem_view(design.stem, usual.stem), *units, head_view(design.head, usual.head))


def _first_unit(build: PlanBuilder, name: str, source: str, stage: Stage) -> str:
    """Both branches read all channels."""
    left = depthwise(
        build, f"{name}.left.depthwise", source, stage.kernel, stride=stage.stride, activation="identity"
    )  # fmt: skip
    left = build.conv(f"{name}.left.project", left, stage.width // 2, bias=False)
    return _joined(build, name, left, _branch(build, name, source, stage, stride=stage.stride))


def _unit(build: PlanBuilder, name: str, source: str, stage: Stage) -> str:
    """The first half of the channels passes, the second goes through the branch."""
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
    alike = (stage.width, stage.kernel) == (usual.width, usual.kernel)
    yield view(f"{name}.unit1", detail, alike=alike and stage.stride == usual.stride)
    for unit, repeat in stage.units.items():
        yield view(f"{name}.{unit}", detail, alike=alike) if repeat.keep else removed(f"{name}.{unit}")
