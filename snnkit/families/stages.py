"""Stages of identical inverted residuals, as MnasNet and MobileNetV2 have them.

A space may remove any stage, and any residual repeat in it; channel counts follow. `snnkit.families.mbconv` describes
how the blocks become spiking.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import Activation, ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families.design import Design, kept_view
from snnkit.families.mbconv import GATE, RESIDUAL, Gate, MBConv, Residual, block_views, inverted_residuals


class Stem(Config):
    """The first convolution; its padding is half the kernel."""

    width: int = Field(ge=1, le=4096, description="Channels of the first convolution.")
    kernel: Literal[1, 3, 5, 7] = Field(description="Side of its kernel, in pixels. The padding is half of it.")
    stride: int = Field(ge=1, le=8, description="Stride, in pixels.")


class Head(Config):
    """A 1x1 convolution, the mean over space, and the classifier."""

    width: int = Field(ge=1, le=4096, description="Channels of the last 1x1 convolution.")
    dropout: float = Field(ge=0, lt=1, description="Dropout rate before the classifier, 0..1.")


class Repeat(Config):
    """A residual block of a stage."""

    keep: bool = Field(True, description="false removes the block.")


class Stage(Config):
    """``block1`` applies the stride; the others repeat it with a residual sum."""

    keep: bool = Field(True, description="false removes the stage.")
    width: int = Field(ge=1, le=4096, description="Channels that each block of the stage puts out.")
    stride: Literal[1, 2] = Field(description="Stride of block1, in pixels.")
    kernel: Literal[3, 5, 7] = Field(description="Side of the depthwise kernels, in pixels.")
    expansion: int = Field(ge=1, le=16, description="Channels inside a block per channel that enters it.")
    squeeze_excite: float = Field(
        0.0, ge=0, le=1,
        description="Channels of the squeeze-excite bottleneck per channel that enters a block; 0: no squeeze-excite "
        "(Hu et al. 2018, arXiv:1709.01507).",
    )  # fmt: skip

    @property
    def repeats(self) -> dict[str, Repeat]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Repeat)}


class Stage2(Stage):
    """A stage of two blocks."""

    block2: Repeat = Field(Repeat(), description="Second block of the stage.")


class Stage3(Stage2):
    """A stage of three blocks."""

    block3: Repeat = Field(Repeat(), description="Third block of the stage.")


class Stage4(Stage3):
    """A stage of four blocks."""

    block4: Repeat = Field(Repeat(), description="Fourth block of the stage.")


class Staged(Design):
    """The keys that every network of such stages has besides its stages."""

    stem: Stem = Field(description="The first convolution.")
    head: Head = Field(description="Last convolution and classifier.")
    residual: Residual = Field("currents", description=RESIDUAL)
    gate: Gate = Field("spikes", description=GATE)

    @property
    def stages(self) -> dict[str, Stage]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Stage)}


def plan_stages(design: Staged, classes: int, in_shape: Shape, activation: Activation) -> Plan:
    """Plan of stem, stages and head; ``activation`` is the CNN twin's."""
    build = PlanBuilder(in_shape)
    at = plan_stem(build, design.stem, activation)
    blocks = list(_blocks(design, activation))
    at = inverted_residuals(build, at, blocks, residual=design.residual, gate=design.gate)
    return plan_head(build, at, design.head, classes, activation)


def plan_stem(build: PlanBuilder, stem: Stem, activation: Activation) -> str:
    """Append the first convolution."""
    return build.conv(
        "stem", "input", stem.width, kernel=stem.kernel, stride=stem.stride, padding=stem.kernel // 2, bias=False,
        activation=activation,
    )  # fmt: skip


def plan_head(build: PlanBuilder, source: str, head: Head, classes: int, activation: Activation) -> Plan:
    """Append the head and return the plan. The classifier reads means of spikes: one AC per spike and class."""
    at = build.mean("mean", build.conv("last", source, head.width, bias=False, activation=activation))
    if head.dropout:
        at = build.dropout("dropout", at, head.dropout)
    return build.scores("scores", build.conv("classifier", at, classes, batchnorm=False, activation=None))


def _blocks(design: Staged, activation: Activation) -> Iterator[MBConv]:
    for name, stage in design.stages.items():
        if not stage.keep:
            continue
        kept = ["block1", *(block for block, repeat in stage.repeats.items() if repeat.keep)]
        for block in kept:
            yield MBConv(
                name=f"{name}.{block}", width=stage.width, stride=stage.stride if block == "block1" else 1,
                kernels={stage.kernel: 1}, expansion=stage.expansion, squeeze_excite=stage.squeeze_excite,
                activation=activation,
            )  # fmt: skip


def stage_modules(design: Staged) -> tuple[ModuleView, ...]:
    """The cells of the module strip: stem, blocks and head."""
    usual = type(design).model_validate({"geometry": design.model_dump()["geometry"]})
    blocks = block_views(_blocks(design, "relu"), _blocks(usual, "relu"))
    return (stem_view(design.stem, usual.stem), *blocks, head_view(design.head, usual.head))


def stem_view(stem: Stem, usual: Stem) -> ModuleView:
    """Cell of the stem."""
    return kept_view("stem", f"{stem.width}, {stem.kernel}x{stem.kernel}/{stem.stride}", default=stem == usual)


def head_view(head: Head, usual: Head) -> ModuleView:
    """Cell of the head."""
    return kept_view("head", f"{head.width}", default=head.width == usual.width)


def stage_rows(rows: Mapping[str, tuple[int, int, int, int]]) -> dict[str, Any]:
    """The stages of a geometry, from (width, kernel, stride, expansion) by name."""
    keys = ("width", "kernel", "stride", "expansion")
    return {name: dict(zip(keys, row, strict=True)) for name, row in rows.items()}
