"""How finalists are trained: a space's recipe and data with what a search has no time for, and its ``retrain`` section
over that."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from search.errors import Problem, nearest
from search.space.document import Document
from search.space.schema import problems
from snnkit.data.choice import DataChoice
from snnkit.training.recipe import Recipe

# Augmentation is left to the space, for a mirrored digit is no digit. The rest has its source at its field in
# `snnkit.training.recipe`.
LONG: Mapping[str, Any] = {
    "epochs": 60,
    "rungs": (),
    "schedule": "cosine",
    "label_smoothing": 0.1,
    "start": "cnn",
    "ema": 0.999,
}
WHOLE: Mapping[str, Any] = {"subset": None, "test": None}
MODELS: Mapping[str, type[Recipe] | type[DataChoice]] = {"train": Recipe, "data": DataChoice}
SAME = ("data.name", "data.classes")  # else it is another task


def train_of(base: Recipe, retrain: Mapping[str, Any]) -> Recipe:
    """The recipe of a finalist whose own is ``base``. Raises ValidationError."""
    return Recipe.model_validate({**base.model_dump(), **LONG, **_below("train", retrain)})


def data_of(base: DataChoice, retrain: Mapping[str, Any]) -> DataChoice:
    """The images that finalists are trained on. Raises ValidationError."""
    return DataChoice.model_validate({**base.model_dump(), **WHOLE, **_below("data", retrain)})


def retrain_problems(
    retrain: Mapping[str, Any], train: Recipe, data: DataChoice, document: Document
) -> Iterator[Problem]:
    """Paths that are no leaves of training or data, and values that these cannot have."""
    wrong = False
    paths = [f"{name}.{field}" for name, model in MODELS.items() for field in model.model_fields]
    allowed = [path for path in paths if path not in SAME]
    for path in retrain:
        if path not in allowed:
            wrong = True
            text = f"no leaf that retrain may replace; it may those of train and data{nearest(path, allowed)}"
            yield Problem(document.place(("retrain", path)), f"retrain.{path}", text)
    if wrong:
        return
    for section, build in (("train", lambda: train_of(train, retrain)), ("data", lambda: data_of(data, retrain))):
        try:
            build()
        except ValidationError as error:
            yield from (
                Problem(document.place(("retrain", each.path)), f"retrain.{each.path}", each.text)
                for each in problems(error, MODELS[section], (section,), document, MODELS)
            )


def _below(section: str, retrain: Mapping[str, Any]) -> dict[str, Any]:
    return {path.partition(".")[2]: value for path, value in retrain.items() if path.startswith(f"{section}.")}
