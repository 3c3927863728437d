"""Spiking MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) and its CNN twin.

Geometries: ``cifar`` (stem and stage 2 have stride 1, so that a 32x32 image is reduced to 4x4), and torchvision's
mobilenet_v2 for ImageNet. `snnkit.families.mbconv` describes how the blocks become spiking.
docs/developing/family.md explains this file.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.families.stages import Stage, Stage2, Stage3, Stage4, Staged, plan_stages, stage_modules, stage_rows


def _row(*, stem_stride: int, stage2_stride: int, dropout: float) -> dict[str, Any]:
    return {
        "stem": {"width": 32, "kernel": 3, "stride": stem_stride},
        "head": {"width": 1280, "dropout": dropout},
        **stage_rows(
            {
                "stage1": (16, 3, 1, 1),  # width, kernel, stride, expansion
                "stage2": (24, 3, stage2_stride, 6),
                "stage3": (32, 3, 2, 6),
                "stage4": (64, 3, 2, 6),
                "stage5": (96, 3, 1, 6),
                "stage6": (160, 3, 2, 6),
                "stage7": (320, 3, 1, 6),
            }
        ),
    }


GEOMETRIES: dict[str, dict[str, Any]] = {
    "cifar": _row(stem_stride=1, stage2_stride=1, dropout=0.0),
    "imagenet-1.0": _row(stem_stride=2, stage2_stride=2, dropout=0.2),
}


class MobileNetV2(Staged):
    """Design of a MobileNetV2."""

    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["mobilenetv2"] = Field("mobilenetv2", description="Family of networks: arXiv:1801.04381.")
    geometry: Literal["cifar", "imagenet-1.0"] = Field(
        "cifar",
        description="Sizes of all keys that are not given. cifar: for 32x32 images. imagenet-1.0: torchvision's "
        "mobilenet_v2, for 224x224 images.",
    )
    stage1: Stage = Field(description="Stage 1: 1 block.")
    stage2: Stage2 = Field(description="Stage 2: up to 2 blocks.")
    stage3: Stage3 = Field(description="Stage 3: up to 3 blocks.")
    stage4: Stage4 = Field(description="Stage 4: up to 4 blocks.")
    stage5: Stage3 = Field(description="Stage 5: up to 3 blocks.")
    stage6: Stage3 = Field(description="Stage 6: up to 3 blocks.")
    stage7: Stage = Field(description="Stage 7: 1 block.")


def plan(design: MobileNetV2, classes: int, in_shape: Shape) -> Plan:
    """Turn ``design`` into a plan. Raises ``PlanError`` if the image is not square."""
    return plan_stages(design, classes, in_shape, "relu6")


def modules(design: MobileNetV2) -> tuple[ModuleView, ...]:
    """The cells of the module strip: stem, blocks and head."""
    return stage_modules(design)
