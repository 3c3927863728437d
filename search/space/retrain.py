"""How finalists are trained: the space's recipe and data, made longer, with the space's ``retrain`` section on top."""

from collections.abc import Mapping
from typing import Any

from snnkit.data.choice import DESCRIPTION, DataChoice
from snnkit.training.recipe import Recipe

# The space chooses the augmentation, because a mirrored digit is not a valid digit. The fields of
# `snnkit.training.recipe` name the sources of the other values.
LONG_RECIPE: Mapping[str, Any] = {
    "epochs": 60,
    "rungs": (),
    "schedule": "cosine",
    "label_smoothing": 0.1,
    "start": "cnn",
    "ema": 0.999,
}
ALL_IMAGES: Mapping[str, Any] = {"subset": None, "test": None}
MODELS: Mapping[str, type[Recipe] | type[DataChoice]] = {"train": Recipe, "data": DataChoice}
KEPT = (
    "data.name",
    "data.classes",
    *(f"data.{leaf}" for leaf in DESCRIPTION),
)  # replacing these would make another task


def train_of(base: Recipe, retrain: Mapping[str, Any]) -> Recipe:
    """Return the recipe that trains a finalist in full; the search used ``base``. Raises ValidationError."""
    return Recipe.model_validate({**base.model_dump(), **LONG_RECIPE, **_below("train", retrain)})


def data_of(base: DataChoice, retrain: Mapping[str, Any]) -> DataChoice:
    """Return the images that finalists are trained on. Raises ValidationError."""
    return DataChoice.model_validate({**base.model_dump(), **ALL_IMAGES, **_below("data", retrain)})


def _below(section: str, retrain: Mapping[str, Any]) -> dict[str, Any]:
    return {path.partition(".")[2]: value for path, value in retrain.items() if path.startswith(f"{section}.")}
