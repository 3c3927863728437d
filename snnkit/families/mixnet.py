"""Spiking MixNet-S (Tan and Le 2019, arXiv:1907.09595) and its CNN twin.

Geometries: ``cifar`` (stem and stage 2 have stride 1, so that a 32x32 image is reduced to 4x4), and timm's mixnet_s
for ImageNet. A block's ``mix`` gives each depthwise kernel its share of the channels. The CNN twin has swish from
stage 3 on, as published; LIF neurons replace it in the spiking network. `snnkit.families.mbconv` describes the blocks.
"""

from collections.abc import Iterator, Mapping
from math import gcd
from typing import Any, ClassVar, Literal

from pydantic import Field

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families.design import Design
from snnkit.families.mbconv import GATE, RESIDUAL, Gate, MBConv, Residual, block_views, inverted_residuals
from snnkit.families.stages import Head, Stem, head_view, plan_head, plan_stem, stem_view


class Mix(Config):
    """Shares of the channels by depthwise kernel, as whole numbers: ``{k3: 1, k5: 1}`` is half each."""

    k3: int = Field(0, ge=0, le=16, description="Share of the 3x3 kernel; 0 leaves it out.")
    k5: int = Field(0, ge=0, le=16, description="Share of the 5x5 kernel; 0 leaves it out.")
    k7: int = Field(0, ge=0, le=16, description="Share of the 7x7 kernel; 0 leaves it out.")
    k9: int = Field(0, ge=0, le=16, description="Share of the 9x9 kernel; 0 leaves it out.")
    k11: int = Field(0, ge=0, le=16, description="Share of the 11x11 kernel; 0 leaves it out.")

    @property
    def kernels(self) -> dict[int, int]:
        """Share of each kernel that is used, by its side, in lowest terms."""
        shares = {int(name[1:]): share for name, share in self if share}
        return {kernel: share // gcd(*shares.values()) for kernel, share in shares.items()}


class Block(Config):
    """The first block of a stage."""

    mix: Mix = Field(description="Shares of the channels by depthwise kernel.")
    expansion: int = Field(ge=1, le=16, description="Channels inside the block per channel that enters it.")
    squeeze_excite: float = Field(
        ge=0, le=1,
        description="Channels of the squeeze-excite bottleneck per channel that enters the block; 0: no squeeze-excite "
        "(Hu et al. 2018, arXiv:1709.01507).",
    )  # fmt: skip
    expand_groups: Literal[1, 2] = Field(
        description="Groups of the expansion; 2: each half of its output reads half of the channels."
    )
    project_groups: Literal[1, 2] = Field(
        description="Groups of the projection; 2: each half of its output reads half of the channels."
    )


class Repeat(Block):
    """A residual block of a stage."""

    keep: bool = Field(True, description="false removes the block.")


class Stage(Config):
    """``block1`` applies the stride; the other blocks have a residual sum."""

    keep: bool = Field(True, description="false removes the stage.")
    width: int = Field(ge=1, le=4096, description="Channels that each block of the stage puts out.")
    stride: Literal[1, 2] = Field(description="Stride of block1, in pixels.")
    activation: Literal["relu", "silu"] = Field(description="Activation of the CNN twin. The SNN has LIF neurons.")
    block1: Block = Field(description="First block of the stage.")

    @property
    def blocks(self) -> dict[str, Block]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Block)}


class Stage2(Stage):
    """A stage of two blocks."""

    block2: Repeat = Field(description="Second block of the stage.")


class Stage3(Stage2):
    """A stage of three blocks."""

    block3: Repeat = Field(description="Third block of the stage.")


class Stage4(Stage3):
    """A stage of four blocks."""

    block4: Repeat = Field(description="Fourth block of the stage.")


# One row per stage: width, stride for ImageNet, activation, and per block (kernels, expansion, squeeze-excite, groups
# of the expansion, groups of the projection).
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
    """Design of a MixNet."""

    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["mixnet"] = Field("mixnet", description="Family of networks: arXiv:1907.09595.")
    geometry: Literal["cifar", "imagenet-s"] = Field(
        "cifar",
        description="Sizes of all keys that are not given. cifar: for 32x32 images. imagenet-s: timm's mixnet_s, for "
        "224x224 images.",
    )
    stem: Stem = Field(description="The first convolution.")
    stage1: Stage = Field(description="Stage 1: 1 block.")
    stage2: Stage2 = Field(description="Stage 2: up to 2 blocks.")
    stage3: Stage4 = Field(description="Stage 3: up to 4 blocks.")
    stage4: Stage3 = Field(description="Stage 4: up to 3 blocks.")
    stage5: Stage3 = Field(description="Stage 5: up to 3 blocks.")
    stage6: Stage3 = Field(description="Stage 6: up to 3 blocks.")
    head: Head = Field(description="Last convolution and classifier.")
    residual: Residual = Field("currents", description=RESIDUAL)
    gate: Gate = Field("spikes", description=GATE)

    @property
    def stages(self) -> dict[str, Stage]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Stage)}


def plan(design: MixNet, classes: int, in_shape: Shape) -> Plan:
    """Turn ``design`` into a plan.

    Raises ``PlanError`` if a mix is empty, if channels do not divide into groups or among kernels, or if the image is
    not square.
    """
    build = PlanBuilder(in_shape)
    at = plan_stem(build, design.stem, "relu")
    at = inverted_residuals(build, at, list(_blocks(design)), residual=design.residual, gate=design.gate)
    return plan_head(build, at, design.head, classes, "relu")


def modules(design: MixNet) -> tuple[ModuleView, ...]:
    """The cells of the module strip: stem, blocks and head."""
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
