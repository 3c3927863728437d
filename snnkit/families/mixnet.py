"""Spiking MixNet-S (Tan and Le 2019, arXiv:1907.09595) and its CNN twin.

Geometries: ``cifar`` (stem and stage 2 without stride, so 32x32 images leave at 4x4), and timm's mixnet_s for ImageNet.
A block's ``mix`` gives each depthwise kernel its share of the channels; 0 leaves it out. The twin has swish from
stage 3 on, as published; in the spiking network LIF neurons stand in its place. `snnkit.families.mbconv` has the rest.
"""

from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any, ClassVar, Literal

from pydantic import Field

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families.design import Design
from snnkit.families.mbconv import Gate, MBConv, Residual, block_views, inverted_residuals
from snnkit.families.stages import Head, Stem, head_view, plan_head, plan_stem, stem_view


class Mix(Config):
    """Shares of the channels by side of the depthwise kernel."""

    k3: int = Field(0, ge=0, le=16)
    k5: int = Field(0, ge=0, le=16)
    k7: int = Field(0, ge=0, le=16)
    k9: int = Field(0, ge=0, le=16)
    k11: int = Field(0, ge=0, le=16)

    @property
    def kernels(self) -> dict[int, int]:
        """Side of each kernel that is used: its share, in lowest terms."""
        shares = {int(name[1:]): share for name, share in self if share}
        return {kernel: share // gcd(*shares.values()) for kernel, share in shares.items()}


class Block(Config):
    mix: Mix
    expansion: int = Field(ge=1, le=16)
    squeeze_excite: float = Field(ge=0, le=1)  # bottleneck per channel that enters the block; 0: none
    expand_groups: Literal[1, 2]  # 2: each half of the channels by itself
    project_groups: Literal[1, 2]


class Repeat(Block):
    """A residual block; not there at all unless ``keep``."""

    keep: bool = True


class Stage(Config):
    """``block1`` takes the stride, the others have a residual sum. Not there at all unless ``keep``."""

    keep: bool = True
    width: int = Field(ge=1, le=4096)
    stride: Literal[1, 2]
    activation: Literal["relu", "silu"]  # the twin's
    block1: Block

    @property
    def blocks(self) -> dict[str, Block]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Block)}


class Stage2(Stage):
    block2: Repeat


class Stage3(Stage2):
    block3: Repeat


class Stage4(Stage3):
    block4: Repeat


# a row for each stage: width, stride for ImageNet, activation, and (kernels, expansion, squeeze-excite, groups of the
# expansion, groups of the projection) for each block
_Row = tuple[tuple[int, ...], int, float, int, int]
_STAGES: tuple[tuple[int, int, str, tuple[_Row, ...]], ...] = (
    (16, 1, "relu", (((3,), 1, 0.0, 1, 1),)),
    (24, 2, "relu", (((3,), 6, 0.0, 2, 2), ((3,), 3, 0.0, 2, 2))),
    (40, 2, "silu", (((3, 5, 7), 6, 0.5, 1, 1), *[((3, 5), 6, 0.5, 2, 2)] * 3)),
    (80, 2, "silu", (((3, 5, 7), 6, 0.25, 1, 2), *[((3, 5), 6, 0.25, 1, 2)] * 2)),
    (120, 1, "silu", (((3, 5, 7), 6, 0.5, 2, 2), *[((3, 5, 7, 9), 3, 0.5, 2, 2)] * 2)),
    (200, 2, "silu", (((3, 5, 7, 9, 11), 6, 0.5, 1, 1), *[((3, 5, 7, 9), 6, 0.5, 1, 2)] * 2)),
)


def _block_row(row: _Row) -> dict[str, Any]:
    kernels, expansion, squeeze_excite, expand_groups, project_groups = row
    return {
        "mix": {f"k{kernel}": 1 for kernel in kernels}, "expansion": expansion, "squeeze_excite": squeeze_excite,
        "expand_groups": expand_groups, "project_groups": project_groups,
    }  # fmt: skip


def _row(strides: tuple[int, ...]) -> dict[str, Any]:
    stages = {
        f"stage{number}": {"width": width, "stride": stride, "activation": activation}
        | {f"block{at}": _block_row(row) for at, row in enumerate(blocks, start=1)}
        for number, ((width, _, activation, blocks), stride) in enumerate(
            zip(_STAGES, strides[1:], strict=True), start=1
        )
    }
    return {
        "stem": {"width": 16, "kernel": 3, "stride": strides[0]},
        "head": {"width": 1536, "dropout": 0.0},
        **stages,
    }


GEOMETRIES: dict[str, dict[str, Any]] = {
    "cifar": _row((1, 1, 1, 2, 2, 1, 2)),
    "imagenet-s": _row((2, *(stride for _, stride, _, _ in _STAGES))),
}


class MixNet(Design):
    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["mixnet"] = "mixnet"
    geometry: Literal["cifar", "imagenet-s"] = "cifar"
    stem: Stem
    stage1: Stage
    stage2: Stage2
    stage3: Stage4
    stage4: Stage3
    stage5: Stage3
    stage6: Stage3
    head: Head
    residual: Residual = "currents"
    gate: Gate = "spikes"

    @property
    def stages(self) -> dict[str, Stage]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Stage)}


def plan(design: MixNet, classes: int, in_shape: Shape) -> Plan:
    """The operations that ``design`` stands for; raises ``PlanError`` where a mix is empty, channels do not divide into
    groups or among kernels, or the image is not square."""
    build = PlanBuilder(in_shape)
    at = plan_stem(build, design.stem, "relu")
    at = inverted_residuals(build, at, list(_blocks(design)), residual=design.residual, gate=design.gate)
    return plan_head(build, at, design.head, classes, "relu")


def modules(design: MixNet) -> tuple[ModuleView, ...]:
    """Stem, blocks and head as cells of a strip."""
    usual = MixNet.model_validate({"geometry": design.geometry})
    blocks = block_views(_blocks(design), _blocks(usual))
    return (stem_view(design.stem, usual.stem), *blocks, head_view(design.head, usual.head))


def _blocks(design: MixNet) -> Iterator[MBConv]:
    for name, stage in design.stages.items():
        if not stage.keep:
            continue
        for at, block in stage.blocks.items():
            if isinstance(block, Repeat) and not block.keep:
                continue
            yield MBConv(
                name=f"{name}.{at}", width=stage.width, stride=stage.stride if at == "block1" else 1,
                kernels=block.mix.kernels, expansion=block.expansion, squeeze_excite=block.squeeze_excite,
                expand_groups=block.expand_groups if block.expansion > 1 else 1, project_groups=block.project_groups,
                activation=stage.activation,
            )  # fmt: skip
