"""Stages of inverted residuals that are alike within a stage: the shape of MnasNet and of MobileNetV2.

Any stage may be removed, and any residual repeat in it; channel counts follow. `snnkit.families.mbconv` says what is
spiking about the blocks.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import Activation, ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families.design import Design, view
from snnkit.families.mbconv import Gate, MBConv, Residual, block_views, inverted_residuals


class Stem(Config):
    """The first convolution; its padding is half the kernel."""

    width: int = Field(ge=1, le=4096)
    kernel: Literal[1, 3, 5, 7]
    stride: int = Field(ge=1, le=8)


class Head(Config):
    """A 1x1 convolution, the mean over space, and the classifier."""

    width: int = Field(ge=1, le=4096)
    dropout: float = Field(ge=0, lt=1)


class Repeat(Config):
    """A residual block of a stage; not there at all unless ``keep``."""

    keep: bool = True


class Stage(Config):
    """``block1`` takes the stride; the others repeat it with a residual sum. Not there at all unless ``keep``."""

    keep: bool = True
    width: int = Field(ge=1, le=4096)
    stride: Literal[1, 2]
    kernel: Literal[3, 5, 7]  # of the depthwise convolutions
    expansion: int = Field(ge=1, le=16)
    squeeze_excite: float = Field(0.0, ge=0, le=1)  # bottleneck per channel that enters a block; 0: none

    @property
    def repeats(self) -> dict[str, Repeat]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Repeat)}


class Stage2(Stage):
    block2: Repeat = Repeat()


class Stage3(Stage2):
    block3: Repeat = Repeat()


class Stage4(Stage3):
    block4: Repeat = Repeat()


class Staged(Design):
    """What every such network has beside its stages."""

    stem: Stem
    head: Head
    residual: Residual = "currents"
    gate: Gate = "spikes"

    @property
    def stages(self) -> dict[str, Stage]:
        return {name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), Stage)}


def plan_stages(design: Staged, classes: int, in_shape: Shape, activation: Activation) -> Plan:
    """Stem, stages and head; ``activation`` is the twin's."""
    build = PlanBuilder(in_shape)
    at = plan_stem(build, design.stem, activation)
    blocks = list(_blocks(design, activation))
    at = inverted_residuals(build, at, blocks, residual=design.residual, gate=design.gate)
    return plan_head(build, at, design.head, classes, activation)


def plan_stem(build: PlanBuilder, stem: Stem, activation: Activation) -> str:
    return build.conv(
        "stem", "input", stem.width, kernel=stem.kernel, stride=stem.stride, padding=stem.kernel // 2, bias=False,
        activation=activation,
    )  # fmt: skip


def plan_head(build: PlanBuilder, source: str, head: Head, classes: int, activation: Activation) -> Plan:
    """The classifier reads means of spikes over space: one AC for each spike and class."""
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
    """Stem, blocks and head as cells of a strip."""
    usual = type(design).model_validate({"geometry": design.model_dump()["geometry"]})
    blocks = block_views(_blocks(design, "relu"), _blocks(usual, "relu"))
    return (stem_view(design.stem, usual.stem), *blocks, head_view(design.head, usual.head))


def stem_view(stem: Stem, usual: Stem) -> ModuleView:
    return view("stem", f"{stem.width}, {stem.kernel}x{stem.kernel}/{stem.stride}", alike=stem == usual)


def head_view(head: Head, usual: Head) -> ModuleView:
    return view("head", f"{head.width}", alike=head.width == usual.width)


def stage_rows(rows: Mapping[str, tuple[int, int, int, int]]) -> dict[str, Any]:
    """A geometry's stages from (width, kernel, stride, expansion) each."""
    keys = ("width", "kernel", "stride", "expansion")
    return {name: dict(zip(keys, row, strict=True)) for name, row in rows.items()}
