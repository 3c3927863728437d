"""What an energy model is asked for and what it answers. No torch: a space loads without it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from pydantic import model_validator

from snnkit.base.config import Config

PJ_PER_MJ = 1e9


class EnergyConfig(Config):
    """The ``energy`` section of a space: which counts, and which price on each."""

    model: Literal["horowitz45", "lemaire2022"] = "horowitz45"
    preset: Literal["exact", "paper2602"] = "exact"
    sram: Literal["horowitz64", "lemaire"] = "horowitz64"  # lemaire2022: published figures are per 64 or per 32 bits

    @model_validator(mode="after")
    def _priced_together(self) -> Self:
        if self.preset == "paper2602" and self.model != "horowitz45":
            raise ValueError(
                f"preset paper2602 counts operations alone and is defined with model horowitz45 only, not with "
                f"{self.model}; write preset: exact, or model: horowitz45"
            )
        return self

    @property
    def key(self) -> str:
        """As records and reports name it: ``horowitz45/exact``."""
        return f"{self.model}/{self.preset}"


@dataclass(frozen=True)
class Energy:
    """Energy of one inference, in mJ."""

    total_mj: float
    layers: dict[str, float]  # by layer
    parts: dict[str, float]  # by component: macs and acs, or operations, weights, potentials ...
    alternatives: dict[str, float] = field(default_factory=dict)  # the total under another assumption

    @classmethod
    def from_pj(cls, layers: Mapping[str, Mapping[str, float]], alternatives_pj: Mapping[str, float]) -> Self:
        """From picojoules by layer and component."""
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
