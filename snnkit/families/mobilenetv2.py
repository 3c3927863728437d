"""Spiking MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) and its CNN twin.

Geometries: ``cifar`` (stem and stage 2 without stride, so 32x32 images leave at 4x4), and torchvision's mobilenet_v2
for ImageNet. `snnkit.families.mbconv` says what is spiking about it. It is the example in docs/developing/family.md.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

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
    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["mobilenetv2"] = "mobilenetv2"
    geometry: Literal["cifar", "imagenet-1.0"] = "cifar"
    stage1: Stage
    stage2: Stage2
    stage3: Stage3
    stage4: Stage4
    stage5: Stage3
    stage6: Stage3
    stage7: Stage


def plan(design: MobileNetV2, classes: int, in_shape: Shape) -> Plan:
    """The operations that ``design`` stands for; raises ``PlanError`` where the image is not square."""
    return plan_stages(design, classes, in_shape, "relu6")


def modules(design: MobileNetV2) -> tuple[ModuleView, ...]:
    """Stem, blocks and head as cells of a strip."""
    return stage_modules(design)
