"""Spiking MnasNet-B1 (Tan et al. 2019, arXiv:1807.11626) and its CNN twin.

Geometries: ``cifar`` (stem and stage 2 without stride, so 32x32 images leave at 4x4), and torchvision's mnasnet0_5 and
mnasnet1_0 for ImageNet. Stage 1 is the separable convolution. `snnkit.families.mbconv` says what is spiking about it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.families.stages import Stage, Stage2, Stage3, Stage4, Staged, plan_stages, stage_modules, stage_rows


def _row(stem: int, widths: tuple[int, ...], strides: tuple[int, ...], dropout: float) -> dict[str, Any]:
    kernels, expansions = (3, 3, 5, 5, 3, 5, 3), (1, 3, 3, 6, 6, 6, 6)
    rows = zip(widths, kernels, strides[1:], expansions, strict=True)
    stages = {f"stage{number}": row for number, row in enumerate(rows, start=1)}
    return {
        "stem": {"width": stem, "kernel": 3, "stride": strides[0]},
        "head": {"width": 1280, "dropout": dropout},
        **stage_rows(stages),
    }


GEOMETRIES: dict[str, dict[str, Any]] = {
    "cifar": _row(32, (16, 24, 40, 80, 96, 192, 320), (1, 1, 1, 2, 2, 1, 2, 1), 0.0),
    "imagenet-0.5": _row(16, (8, 16, 24, 40, 48, 96, 160), (2, 1, 2, 2, 2, 1, 2, 1), 0.2),
    "imagenet-1.0": _row(32, (16, 24, 40, 80, 96, 192, 320), (2, 1, 2, 2, 2, 1, 2, 1), 0.2),
}


class MnasNet(Staged):
    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["mnasnet"] = "mnasnet"
    geometry: Literal["cifar", "imagenet-0.5", "imagenet-1.0"] = "cifar"
    stage1: Stage
    stage2: Stage3
    stage3: Stage3
    stage4: Stage3
    stage5: Stage2
    stage6: Stage4
    stage7: Stage


def plan(design: MnasNet, classes: int, in_shape: Shape) -> Plan:
    """The operations that ``design`` stands for; raises ``PlanError`` where the image is not square."""
    return plan_stages(design, classes, in_shape, "relu")


def modules(design: MnasNet) -> tuple[ModuleView, ...]:
    """Stem, blocks and head as cells of a strip."""
    return stage_modules(design)
