"""What an energy model is and what it returns. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from snnkit.energy.operations import OperationCounts

PJ_PER_MJ = 1e9


@dataclass(frozen=True)
class Energy:
    """Energy of one inference, in mJ."""

    total_mj: float
    layers: dict[str, float]  # by layer
    parts: dict[str, float]  # by component: macs and acs, or operations, weights, potentials ...
    alternatives: dict[str, float] = field(default_factory=dict)  # the total under another assumption

    @classmethod
    def from_pj(cls, layers: Mapping[str, Mapping[str, float]], alternatives_pj: Mapping[str, float]) -> Self:
        """Add up picojoules given by layer and component."""
        parts: dict[str, float] = {}
        for layer in layers.values():
            for part, pj in layer.items():
                parts[part] = parts.get(part, 0.0) + pj
        return cls(
            total_mj=sum(parts.values()) / PJ_PER_MJ,
            layers={name: sum(layer.values()) / PJ_PER_MJ for name, layer in layers.items()},
            parts={part: pj / PJ_PER_MJ for part, pj in parts.items()},
            alternatives={name: pj / PJ_PER_MJ for name, pj in alternatives_pj.items()},
        )


class EnergyOptions(Protocol):
    """The keys of the ``energy`` section that models read; see `snnkit.energy.config.EnergyConfig`."""

    @property
    def preset(self) -> str: ...

    @property
    def sram(self) -> str: ...


@dataclass(frozen=True)
class Constant:
    """A physical constant of an energy model."""

    name: str  # "addition, 32-bit float"
    value: float
    unit: str  # "pJ"
    source: str  # "Horowitz, ISSCC 2014, 45 nm"


@dataclass(frozen=True)
class EnergyModel:
    """One way to turn operation counts into energy. Register it with one line in `snnkit.energy.registry`.

    ``presets`` names the counting presets (`snnkit.energy.presets`) that the model supports. Each comes with a
    description of the rule; a study stores it when it is launched, and its report prints it.
    """

    estimate: Callable[["OperationCounts", EnergyOptions], Energy]
    presets: Mapping[str, str]
    constants: tuple[Constant, ...]
