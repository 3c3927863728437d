"""Every key of the network, neuron, encoding and energy sections has a description for the reference page."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.energy import EnergyConfig
from snnkit.families import FAMILIES, AnyFamily

SECTIONS = {"neuron": NeuronConfig, "encoding": EncodingConfig, "energy": EnergyConfig}
DESIGNS = {name: family.design for name, family in FAMILIES.items()}


def keys(model: type[BaseModel], place: str) -> Iterator[tuple[str, str | None]]:
    for name, field in model.model_fields.items():
        yield f"{place}.{name}", field.description
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{place}.{name}")


@pytest.mark.parametrize("name", [*SECTIONS, *DESIGNS])
def test_every_key_has_a_description_that_ends_in_a_full_stop(name: str) -> None:
    found = dict(keys((SECTIONS | DESIGNS)[name], name))
    assert found
    assert [place for place, text in found.items() if text is None or not text.endswith(".")] == []


def test_choice_of_a_family_has_a_description() -> None:
    assert AnyFamily.model_fields["family"].description
