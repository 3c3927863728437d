"""Spiking MnasNet-B1 (Tan et al. 2019, arXiv:1807.11626) and its CNN twin.

Geometries: ``cifar`` (stem and stage 2 have stride 1, so that a 32x32 image is reduced to 4x4), and torchvision's
mnasnet0_5 and mnasnet1_0 for ImageNet. Stage 1 is the separable convolution. `snnkit.families.mbconv` describes how the
blocks become spiking.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

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
    """Design of a MnasNet."""

    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["mnasnet"] = Field("mnasnet", description="Family of networks: arXiv:1807.11626.")
    geometry: Literal["cifar", "imagenet-0.5", "imagenet-1.0"] = Field(
        "cifar",
        description="Sizes of all keys that are not given. cifar: for 32x32 images. imagenet-0.5 and imagenet-1.0: "
        "torchvision's mnasnet0_5 and mnasnet1_0, for 224x224 images.",
    )
    stage1: Stage = Field(description="Stage 1, the separable convolution: 1 block.")
    stage2: Stage3 = Field(description="Stage 2: up to 3 blocks.")
    stage3: Stage3 = Field(description="Stage 3: up to 3 blocks.")
    stage4: Stage3 = Field(description="Stage 4: up to 3 blocks.")
    stage5: Stage2 = Field(description="Stage 5: up to 2 blocks.")
    stage6: Stage4 = Field(description="Stage 6: up to 4 blocks.")
    stage7: Stage = Field(description="Stage 7: 1 block.")


def plan(design: MnasNet, classes: int, in_shape: Shape) -> Plan:
    """Turn ``design`` into a plan. Raises ``PlanError`` if the image is not square."""
    return plan_stages(design, classes, in_shape, "relu")


def modules(design: MnasNet) -> tuple[ModuleView, ...]:
    """The cells of the module strip: stem, blocks and head."""
    return stage_modules(design)
