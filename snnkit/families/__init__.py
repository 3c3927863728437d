"""Families of networks: each says what of it may be chosen, and turns a choice into a plan. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, create_model

from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families import mixnet, mnasnet, mobilenetv2, shufflenet, squeezenet

Design = TypeVar("Design", bound=Config)


@dataclass(frozen=True)
class Family(Generic[Design]):
    """``design``: the type of a space's ``network`` section; ``plan``: (design, classes, in_shape) to operations;
    ``modules``: the design as a strip of modules."""

    design: type[Design]
    plan: Callable[[Design, int, Shape], Plan]
    modules: Callable[[Design], tuple[ModuleView, ...]]


FAMILIES: dict[str, Family[Any]] = {
    "squeezenet": Family(squeezenet.SqueezeNet, squeezenet.plan, squeezenet.modules),
    "shufflenet": Family(shufflenet.ShuffleNet, shufflenet.plan, shufflenet.modules),
    "mnasnet": Family(mnasnet.MnasNet, mnasnet.plan, mnasnet.modules),
    "mobilenetv2": Family(mobilenetv2.MobileNetV2, mobilenetv2.plan, mobilenetv2.modules),
    "mixnet": Family(mixnet.MixNet, mixnet.plan, mixnet.modules),
}


class _AnyFamily(Config):
    family: str

    @property
    def chosen(self) -> Config:
        """The design of the family that ``family`` names."""
        design: Config = getattr(self, self.family)
        return design


_DESIGNS: dict[str, Any] = {
    name: (family.design, Field(default_factory=partial(family.design.model_validate, {})))
    for name, family in FAMILIES.items()
}

AnyFamily = create_model(
    "AnyFamily",
    __base__=_AnyFamily,
    __doc__="The ``network`` section of a space over several families: which one, and a design of each.",
    **{"family": (Literal[tuple(FAMILIES)], ...)} | _DESIGNS,
)
