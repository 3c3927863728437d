"""The ``energy`` section of a space. No torch: a space loads without it."""

from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from snnkit.base.config import Config
from snnkit.energy.presets import PRESETS
from snnkit.energy.registry import ENERGY_MODELS

if TYPE_CHECKING:
    ModelName: TypeAlias = str
    PresetName: TypeAlias = str
else:
    ModelName, PresetName = Literal[tuple(ENERGY_MODELS)], Literal[tuple(PRESETS)]


class EnergyConfig(Config):
    """Which operations are counted, and which energy model converts the counts to joules.

    Only the ``energy_mj`` objective and constraint use it. Reports list the energy under every model and preset.
    """

    model: ModelName = Field(
        "horowitz45",
        description="Energy model. horowitz45: arithmetic only, 32-bit float (Horowitz, ISSCC 2014). lemaire2022: "
        "arithmetic, memory and addressing, 32-bit integer (Lemaire et al., ICONIP 2022). Both for 45 nm.",
    )
    preset: PresetName = Field(
        "exact",
        description="Counting rule. exact: operations counted from real spikes. paper2602: the rule of "
        "arXiv:2602.09717, to compare with its tables; horowitz45 only.",
    )
    sram: Literal["horowitz64", "lemaire"] = Field(
        "horowitz64",
        description="Energy of a 32-bit memory access in lemaire2022. horowitz64: half of Horowitz's figure, which is "
        "for 64 bits. lemaire: the whole figure, as Lemaire et al. use it. horowitz45 ignores it.",
    )

    @model_validator(mode="after")
    def _preset_is_supported(self) -> Self:
        if self.preset not in ENERGY_MODELS[self.model].presets:
            supporting = [name for name, model in ENERGY_MODELS.items() if self.preset in model.presets]
            raise ValueError(
                f"preset {self.preset} is defined for model {' and '.join(supporting)} only, not with {self.model}; "
                f"write preset: {next(iter(ENERGY_MODELS[self.model].presets))}, or model: {supporting[0]}"
            )
        return self

    @property
    def key(self) -> str:
        """The key of the rule in records and reports: ``horowitz45/exact``."""
        return f"{self.model}/{self.preset}"
