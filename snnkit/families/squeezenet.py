"""Spiking SqueezeNet (Iandola et al. 2016, arXiv:1602.07360) and its CNN twin.

Three geometries: that of the pruned spiking SqueezeNet for CIFAR (arXiv:2602.09717), and versions 1.0 and 1.1 for
ImageNet as torchvision has them. Any Fire module may be removed, any width changed; poolings keep their position.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import Activation, ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families.design import Design, removed, view

Position = Literal["stem", "fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9"]
FireName = Literal["fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9"]
FIRES: tuple[FireName, ...] = ("fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9")
POSITIONS: tuple[Position, ...] = ("stem", *FIRES)

_WIDTHS = {"fire2": (16, 64), "fire3": (16, 64), "fire4": (32, 128), "fire5": (32, 128)}
_WIDTHS |= {"fire6": (48, 192), "fire7": (48, 192), "fire8": (64, 256), "fire9": (64, 256)}
_BODY = {name: {"keep": True, "squeeze": s, "expand1x1": e, "expand3x3": e} for name, (s, e) in _WIDTHS.items()}
_CIFAR_POOL = {"kind": "max", "kernel": 2, "stride": 2, "ceil": False}
_IMAGENET_POOL = {"kind": "max", "kernel": 3, "stride": 2, "ceil": True}
_IMAGENET = {"batchnorm": False, "head": {"relu": True, "dropout": 0.5}} | _BODY

GEOMETRIES: dict[str, dict[str, Any]] = {
    "cifar": _BODY
    | {
        "stem": {"width": 128, "kernel": 3, "stride": 1, "padding": 1},
        "pool": _CIFAR_POOL | {"after": ("stem", "fire4", "fire8")},
        "batchnorm": True,
        "head": {"relu": False, "dropout": 0.0},
    },
    "imagenet-1.0": _IMAGENET
    | {
        "stem": {"width": 96, "kernel": 7, "stride": 2, "padding": 0},
        "pool": _IMAGENET_POOL | {"after": ("stem", "fire4", "fire8")},
    },
    "imagenet-1.1": _IMAGENET
    | {
        "stem": {"width": 64, "kernel": 3, "stride": 2, "padding": 0},
        "pool": _IMAGENET_POOL | {"after": ("stem", "fire3", "fire5")},
    },
}


class Stem(Config):
    width: int = Field(ge=1, le=4096)
    kernel: int = Field(ge=1, le=15)
    stride: int = Field(ge=1, le=8)
    padding: int = Field(ge=0, le=7)


class Fire(Config):
    """A squeeze of 1x1 filters, then 1x1 and 3x3 filters side by side; not there at all unless ``keep``."""

    keep: bool = True
    squeeze: int = Field(ge=1, le=4096)
    expand1x1: int = Field(ge=1, le=4096)
    expand3x3: int = Field(ge=1, le=4096)


class Pool(Config):
    kind: Literal["max", "avg"]
    kernel: int = Field(ge=1, le=8)
    stride: int = Field(ge=1, le=8)
    ceil: bool  # keep a ragged last window
    of: Literal["spikes", "currents"] = "spikes"  # behind the neurons, or before them, of which there are fewer then
    after: tuple[Position, ...]  # stays where it is when the Fire before it is removed

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.after)) < len(self.after):
            raise ValueError(f"after names a module twice: {', '.join(self.after)}; name each once")
        return self


class Head(Config):
    relu: bool  # an activation (LIF in the spiking network) between the classifier and the mean
    dropout: float = Field(ge=0, lt=1)


class SqueezeNet(Design):
    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["squeezenet"] = "squeezenet"
    geometry: Literal["cifar", "imagenet-1.0", "imagenet-1.1"] = "cifar"
    stem: Stem
    fire2: Fire
    fire3: Fire
    fire4: Fire
    fire5: Fire
    fire6: Fire
    fire7: Fire
    fire8: Fire
    fire9: Fire
    pool: Pool
    batchnorm: bool
    head: Head

    @model_validator(mode="after")
    def _currents_are_normalised(self) -> Self:
        if self.pool.of == "currents" and not self.batchnorm:
            raise ValueError("given pool.of: currents without BatchNorm; write batchnorm: true, or pool.of: spikes")
        return self

    @property
    def fires(self) -> dict[FireName, Fire]:
        return {name: getattr(self, name) for name in FIRES}


def plan(design: SqueezeNet, classes: int, in_shape: Shape) -> Plan:
    """The operations that ``design`` stands for; raises ``PlanError`` where the image is too small for it."""
    build, pool, at = PlanBuilder(in_shape), design.pool, "input"
    for name, pools in _pooled(design).items():
        currents = bool(pools) and pool.of == "currents"
        activation: Activation | None = None if currents else "relu"
        at = _module(build, design, name, at, activation)
        for position in pools:
            at = build.pool(f"{position}.pool", at, pool.kind, kernel=pool.kernel, stride=pool.stride, ceil=pool.ceil)
        if currents:
            at = build.neurons(f"{name}.neurons", at, "relu")
    if design.head.dropout:
        at = build.dropout("dropout", at, design.head.dropout)
    at = build.conv("head", at, classes, batchnorm=False, activation="relu" if design.head.relu else None)
    return build.scores("scores", at)


def _pooled(design: SqueezeNet) -> dict[Position, list[Position]]:
    """The modules that are there, and the poolings behind each: its own, and those of the modules removed after it."""
    found: dict[Position, list[Position]] = {}
    for position in POSITIONS:
        if position == "stem" or design.fires[position].keep:
            found[position] = []
        if position in design.pool.after:
            found[next(reversed(found))].append(position)
    return found


def modules(design: SqueezeNet) -> tuple[ModuleView, ...]:
    """Stem, Fires and head as cells of a strip."""
    usual = SqueezeNet.model_validate({"geometry": design.geometry})
    stem = design.stem
    fires = (
        view(name, f"{fire.squeeze} / {fire.expand1x1} + {fire.expand3x3}", alike=fire == usual.fires[name])
        if fire.keep
        else removed(name)
        for name, fire in design.fires.items()
    )
    return (
        view("stem", f"{stem.width}, {stem.kernel}x{stem.kernel}/{stem.stride}", alike=stem == usual.stem),
        *fires,
        ModuleView("head", "kept", "1x1"),
    )


def _module(build: PlanBuilder, design: SqueezeNet, name: Position, source: str, activation: Activation | None) -> str:
    """The stem or a Fire; without ``activation`` it ends in currents."""
    norm = design.batchnorm
    if name == "stem":
        stem = design.stem
        return build.conv(
            name, source, stem.width, kernel=stem.kernel, stride=stem.stride, padding=stem.padding, batchnorm=norm,
            activation=activation,
        )  # fmt: skip
    fire = design.fires[name]
    squeeze = build.conv(f"{name}.squeeze", source, fire.squeeze, batchnorm=norm)
    expand1x1 = build.conv(f"{name}.expand1x1", squeeze, fire.expand1x1, batchnorm=norm, activation=activation)
    expand3x3 = build.conv(
        f"{name}.expand3x3", squeeze, fire.expand3x3, kernel=3, padding=1, batchnorm=norm, activation=activation
    )
    return build.concat(name, (expand1x1, expand3x3))
