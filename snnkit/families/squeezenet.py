"""Spiking SqueezeNet (Iandola et al. 2016, arXiv:1602.07360) and its CNN twin.

Geometries: ``cifar``, the spiking SqueezeNet that arXiv:2602.09717 prunes, and torchvision's versions 1.0 and 1.1 for
ImageNet. A space may remove any Fire module and change any width; a pooling stays when the Fire module before it is
removed.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from snnkit.architecture.builder import PlanBuilder
from snnkit.architecture.plan import Activation, ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families.design import Design, kept_view, removed_view

Position = Literal["stem", "fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9"]
FireName = Literal["fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9"]
FIRES: tuple[FireName, ...] = ("fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9")
POSITIONS: tuple[Position, ...] = ("stem", *FIRES)

_WIDTHS = {"fire2": (16, 64), "fire3": (16, 64), "fire4": (32, 128), "fire5": (32, 128)}
_WIDTHS |= {"fire6": (48, 192), "fire7": (48, 192), "fire8": (64, 256), "fire9": (64, 256)}
RATIOS = {"expand": ("expand1x1", "expand3x3"), "share3x3": ("expand1x1", "expand3x3"), "squeeze_ratio": ("squeeze",)}
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
    """The first convolution."""

    width: int = Field(ge=1, le=4096, description="Channels of the first convolution.")
    kernel: int = Field(ge=1, le=15, description="Side of its kernel, in pixels.")
    stride: int = Field(ge=1, le=8, description="Stride, in pixels.")
    padding: int = Field(ge=0, le=7, description="Padding on each side, in pixels.")


class Fire(Config):
    """A Fire module: a squeeze of 1x1 filters, then 1x1 and 3x3 filters whose outputs are concatenated.

    Its widths are given as channels, or as in the SqueezeNet paper by ``expand``, ``share3x3`` and ``squeeze_ratio``.
    Each of these replaces the channels of the layers that it describes. Their widths are rounded to multiples of 8.
    """

    keep: bool = Field(True, description="false removes the module.")
    squeeze: int = Field(ge=1, le=4096, description="Channels of the 1x1 squeeze.")
    expand1x1: int = Field(ge=1, le=4096, description="Channels of the 1x1 expansion.")
    expand3x3: int = Field(ge=1, le=4096, description="Channels of the 3x3 expansion.")
    expand: int | None = Field(
        None, ge=16, le=8192, multiple_of=8, description="Channels of both expansions together. null: as given above."
    )
    share3x3: float | None = Field(
        None, gt=0, lt=1, description="Share of the expansions' channels that are 3x3, 0 to 1. null: as given above."
    )
    squeeze_ratio: float | None = Field(
        None, gt=0, le=1, description="Channels of the squeeze per channel of both expansions. null: as given above."
    )

    @property
    def widths(self) -> tuple[int, int, int]:
        """Return the channels of the squeeze, of the 1x1 and of the 3x3 expansion."""
        one, three = self.expand1x1, self.expand3x3
        if self.expand is not None or self.share3x3 is not None:
            total = self.expand or one + three
            three = min(_multiple_of_8(total * (self.share3x3 or three / (one + three))), max(1, total - 8))
            one = total - three
        ratio = self.squeeze_ratio
        return (self.squeeze if ratio is None else _multiple_of_8(ratio * (one + three))), one, three

    @model_serializer(mode="wrap")
    def _without_missing_ratios(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        return {key: value for key, value in fields.items() if value is not None}


def _multiple_of_8(channels: float) -> int:
    """Return the nearest multiple of 8, at least 8."""
    return max(8, 8 * math.floor(channels / 8 + 0.5))


class Pool(Config):
    """The poolings between modules; all of them are alike."""

    kind: Literal["max", "avg"] = Field(description="Maximum or average.")
    kernel: int = Field(ge=1, le=8, description="Side of a window, in pixels.")
    stride: int = Field(ge=1, le=8, description="Stride, in pixels.")
    ceil: bool = Field(description="Whether to keep a last window that is only partly inside the image.")
    of: Literal["spikes", "currents"] = Field(
        "spikes",
        description="spikes: pool after the neurons. currents: pool before them, which leaves fewer neurons; needs "
        "BatchNorm.",
    )
    after: tuple[Position, ...] = Field(
        description="Modules that a pooling follows. It keeps its position if the Fire before it is removed."
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.after)) < len(self.after):
            raise ValueError(f"after names a module twice: {', '.join(self.after)}; name each once")
        return self


class Head(Config):
    """The classifier: a 1x1 convolution, then the mean over space and time."""

    relu: bool = Field(description="Whether an activation (LIF in the SNN) follows the classifier.")
    dropout: float = Field(ge=0, lt=1, description="Dropout rate before the classifier, 0..1.")


class SqueezeNet(Design):
    """Design of a SqueezeNet."""

    GEOMETRIES: ClassVar[Mapping[str, Mapping[str, Any]]] = GEOMETRIES

    family: Literal["squeezenet"] = Field("squeezenet", description="Family of networks: arXiv:1602.07360.")
    geometry: Literal["cifar", "imagenet-1.0", "imagenet-1.1"] = Field(
        "cifar",
        description="Sizes of all keys that are not given. cifar: the network of arXiv:2602.09717, for 32x32 images. "
        "imagenet-1.0 and imagenet-1.1: torchvision's versions, for 224x224 images.",
    )
    stem: Stem = Field(description="The first convolution.")
    fire2: Fire = Field(description="First Fire module; the paper counts the stem as module 1.")
    fire3: Fire = Field(description="Second Fire module.")
    fire4: Fire = Field(description="Third Fire module.")
    fire5: Fire = Field(description="Fourth Fire module.")
    fire6: Fire = Field(description="Fifth Fire module.")
    fire7: Fire = Field(description="Sixth Fire module.")
    fire8: Fire = Field(description="Seventh Fire module.")
    fire9: Fire = Field(description="Eighth Fire module.")
    pool: Pool = Field(description="The poolings between modules.")
    batchnorm: bool = Field(description="Whether a BatchNorm follows every convolution except the classifier.")
    head: Head = Field(description="The classifier.")

    @model_validator(mode="before")
    @classmethod
    def _channels_or_ratio(cls, given: Any) -> Any:
        """Refuse channels beside the ratio that replaces them."""
        for name in FIRES if isinstance(given, Mapping) else ():
            fire = given.get(name)
            for ratio, widths in RATIOS.items() if isinstance(fire, Mapping) else ():
                usual = GEOMETRIES["cifar"][name]
                if fire.get(ratio) is not None and (both := [w for w in widths if fire.get(w, usual[w]) != usual[w]]):
                    raise ValueError(f"{name}: given {both[0]} and {ratio}, which replaces it; remove one of the two")
        return given

    @model_validator(mode="after")
    def _currents_are_normalised(self) -> Self:
        if self.pool.of == "currents" and not self.batchnorm:
            raise ValueError("given pool.of: currents without BatchNorm; write batchnorm: true, or pool.of: spikes")
        return self

    @property
    def fires(self) -> dict[FireName, Fire]:
        return {name: getattr(self, name) for name in FIRES}


def plan(design: SqueezeNet, classes: int, in_shape: Shape) -> Plan:
    """Turn ``design`` into a plan. Raises ``PlanError`` if the image is too small for it."""
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
    """Each kept module with the poolings after it: its own, and the ones of removed modules that followed it."""
    found: dict[Position, list[Position]] = {}
    for position in POSITIONS:
        if position == "stem" or design.fires[position].keep:
            found[position] = []
        if position in design.pool.after:
            found[next(reversed(found))].append(position)
    return found


def modules(design: SqueezeNet) -> tuple[ModuleView, ...]:
    """The cells of the module strip: stem, Fires and head."""
    usual = SqueezeNet.model_validate({"geometry": design.geometry})
    stem = design.stem
    fires = (
        kept_view(name, "{} / {} + {}".format(*fire.widths), default=fire.widths == usual.fires[name].widths)
        if fire.keep
        else removed_view(name)
        for name, fire in design.fires.items()
    )
    return (
        kept_view("stem", f"{stem.width}, {stem.kernel}x{stem.kernel}/{stem.stride}", default=stem == usual.stem),
        *fires,
        ModuleView("head", "kept", "1x1"),
    )


def _module(build: PlanBuilder, design: SqueezeNet, name: Position, source: str, activation: Activation | None) -> str:
    """Append the stem or a Fire module. Without ``activation``, its output is currents."""
    norm = design.batchnorm
    if name == "stem":
        stem = design.stem
        return build.conv(
            name, source, stem.width, kernel=stem.kernel, stride=stem.stride, padding=stem.padding, batchnorm=norm,
            activation=activation,
        )  # fmt: skip
    squeeze_width, width1x1, width3x3 = design.fires[name].widths
    squeeze = build.conv(f"{name}.squeeze", source, squeeze_width, batchnorm=norm)
    expand1x1 = build.conv(f"{name}.expand1x1", squeeze, width1x1, batchnorm=norm, activation=activation)
    expand3x3 = build.conv(
        f"{name}.expand3x3", squeeze, width3x3, kernel=3, padding=1, batchnorm=norm, activation=activation
    )
    return build.concat(name, (expand1x1, expand3x3))
