"""The ``energy`` section of a space. No torch: a space loads without it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from snnkit.base.config import Config
from snnkit.base.spelling import did_you_mean
from snnkit.energy.described import EnergyDescription
from snnkit.energy.model import EnergyModel
from snnkit.energy.presets import PRESETS
from snnkit.energy.registry import BUILT_IN, ENERGY_MODELS

if TYPE_CHECKING:
    PresetName: TypeAlias = str
else:
    PresetName = Literal[tuple(PRESETS)]


class EnergyConfig(Config):
    """Which operations are counted, and which energy model converts the counts to joules.

    Only the ``energy_mj`` objective and constraint use it. Reports list the energy under every model and preset.
    """

    models: dict[str, EnergyDescription] = Field(
        default_factory=dict,
        description="Energy models by description, each under a name of its own. Reports list them beside the built-in "
        "ones.",
        examples=["models: {my-chip: {ac_pj: 0.18, mac_pj: 1.2}}"],
    )
    model: Annotated[str, WithJsonSchema({"enum": BUILT_IN})] = Field(
        "horowitz45",
        description="Energy model. horowitz45: arithmetic only, 32-bit float (Horowitz, ISSCC 2014). lemaire2022: "
        "arithmetic, memory and addressing, 32-bit integer (Lemaire et al., ICONIP 2022). Both for 45 nm. Or a key of "
        "`models`, or a plug-in.",
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

    @field_validator("models")
    @classmethod
    def _names_are_free(cls, models: dict[str, EnergyDescription]) -> dict[str, EnergyDescription]:
        if taken := [name for name in models if name in BUILT_IN or not _is_name(name)]:
            raise ValueError(
                f"given models: {taken[0]}; a name of your own has letters, digits, - and _, and is not "
                f"{' or '.join(BUILT_IN)}"
            )
        return models

    @field_validator("model")
    @classmethod
    def _model_exists(cls, model: str, info: ValidationInfo) -> str:
        if model not in ENERGY_MODELS and "models" in info.data and model not in info.data["models"]:
            allowed = (*BUILT_IN, *info.data["models"])
            raise ValueError(f"given {model}; allowed are {', '.join(allowed)}{did_you_mean(model, allowed)}")
        return model

    @model_validator(mode="after")
    def _preset_is_supported(self) -> Self:
        models = self.energy_models
        if self.preset not in models[self.model].presets:
            supporting = [name for name, model in models.items() if self.preset in model.presets]
            raise ValueError(
                f"preset {self.preset} is defined for model {' and '.join(supporting)} only, not with {self.model}; "
                f"write preset: {next(iter(models[self.model].presets))}, or model: {supporting[0]}"
            )
        return self

    @property
    def energy_models(self) -> Mapping[str, EnergyModel]:
        """The built-in models, the described ones, and the selected one if a plug-in has registered it, by name."""
        described = {name: each.as_model(name) for name, each in self.models.items()}
        selected = {self.model: ENERGY_MODELS[self.model]} if self.model in ENERGY_MODELS else {}
        return {name: ENERGY_MODELS[name] for name in BUILT_IN} | described | selected

    @property
    def rules(self) -> Mapping[str, str]:
        """The description of every rule of `energy_models` by its key, ``model/preset``. Records store energies under
        these keys."""
        models = self.energy_models
        return {f"{name}/{preset}": rule for name, model in models.items() for preset, rule in model.presets.items()}

    @property
    def key(self) -> str:
        """The key of the rule in records and reports: ``horowitz45/exact``."""
        return f"{self.model}/{self.preset}"


def _is_name(name: str) -> bool:
    return bool(name) and name.replace("-", "_").replace(".", "_").isidentifier()


def without_empty_models(energy: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ``energy`` section without ``models`` if there are none, as earlier versions stored it.

    Fingerprints of spaces and benchmarks are computed from it, so that they match those of stored runs.
    """
    return {name: value for name, value in energy.items() if name != "models" or value}
