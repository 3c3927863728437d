"""Families of networks: each says what of it may be chosen, and turns a choice into a plan. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from snnkit.families import mixnet, mnasnet, mobilenetv2, shufflenet, squeezenet
from snnkit.plan import ModuleView, Plan, Shape
from snnkit.values import Value

Design = TypeVar("Design", bound=Value)


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
