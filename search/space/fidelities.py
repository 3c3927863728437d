"""``study.fidelities``: how a candidate is trained at the fidelities below the full one."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from search.space.candidate import Candidate
from snnkit.base.config import Config
from snnkit.training.recipe import Recipe

DATA = ("subset", "resolution")  # others would change the task, or the images that candidates are compared on
FIDELITY_LEAVES = "leaves of train, data.subset, data.resolution and encoding.timesteps"
SECTIONS = ("train", "data", "encoding")
TIMESTEPS = "encoding.timesteps"


class FidelityError(ValueError):
    """A section of a candidate refuses a value of a fidelity."""

    def __init__(self, section: str, error: ValidationError) -> None:
        super().__init__(str(error))
        self.section, self.error = section, error


def fidelity_paths() -> tuple[str, ...]:
    """Return the paths that a fidelity may change."""
    return (*(f"train.{leaf}" for leaf in Recipe.model_fields), *(f"data.{leaf}" for leaf in DATA), TIMESTEPS)


def at_fidelity(candidate: Candidate, changes: Mapping[str, Any]) -> Candidate:
    """Return ``candidate`` with ``changes``, path -> value. Raises FidelityError."""
    update: dict[str, Config] = {}
    for name in SECTIONS:
        own = {path.partition(".")[2]: value for path, value in changes.items() if path.startswith(f"{name}.")}
        section: Config = getattr(candidate, name)
        try:
            update[name] = type(section).model_validate({**section.model_dump(), **own}) if own else section
        except ValidationError as error:
            raise FidelityError(name, error) from error
    return candidate.model_copy(update=update)
