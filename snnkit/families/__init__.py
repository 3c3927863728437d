"""Families of networks. Each has a design, which a space may vary, and turns it into a plan. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, create_model

from snnkit.architecture.plan import ModuleView, Plan, Shape
from snnkit.base.config import Config
from snnkit.families import mixnet, mnasnet, mobilenetv2, shufflenet, squeezenet, traced

Design = TypeVar("Design", bound=Config)


@dataclass(frozen=True)
class Family(Generic[Design]):
    """A family: the type of its design (the ``network`` section of a space), the function that turns (design, classes,
    in_shape) into a plan, and the function that shows a design as a strip of modules."""

    design: type[Design]
    plan: Callable[[Design, int, Shape], Plan]
    modules: Callable[[Design], tuple[ModuleView, ...]]
    origin: object = None  # what a plug-in gave, if this was made from it


FAMILIES: dict[str, Family[Any]] = {
    "squeezenet": Family(squeezenet.SqueezeNet, squeezenet.plan, squeezenet.modules),
    "shufflenet": Family(shufflenet.ShuffleNet, shufflenet.plan, shufflenet.modules),
    "mnasnet": Family(mnasnet.MnasNet, mnasnet.plan, mnasnet.modules),
    "mobilenetv2": Family(mobilenetv2.MobileNetV2, mobilenetv2.plan, mobilenetv2.modules),
    "mixnet": Family(mixnet.MixNet, mixnet.plan, mixnet.modules),
    "traced": Family(traced.Traced, traced.plan, traced.modules),
}
_OF_DESIGN: dict[type[Config], Family[Any]] = {family.design: family for family in FAMILIES.values()}


def register_family(name: str, family: Family[Any]) -> None:
    """Add a family. Designs of another family that had this name keep that family."""
    FAMILIES[name] = _OF_DESIGN[family.design] = family


def family_of(design: Config) -> Family[Any]:
    """Return the family that ``design`` belongs to."""
    return _OF_DESIGN[type(design)]


class _AnyFamily(Config):
    family: str

    @property
    def chosen(self) -> Config:
        """The design of the selected family."""
        design: Config = getattr(self, self.family)
        return design


_DESIGNS: dict[str, Any] = {
    name: (family.design, Field(default_factory=partial(family.design.model_validate, {})))
    for name, family in FAMILIES.items()
}

AnyFamily = create_model(
    "AnyFamily",
    __base__=_AnyFamily,
    __doc__="The ``network`` section of a space over several families: the family, and a design for each.",
    **{"family": (Literal[tuple(FAMILIES)], Field(description="Family of networks."))} | _DESIGNS,
)
