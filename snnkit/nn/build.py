"""Build a network from the name of its family."""

from collections.abc import Mapping
from typing import Any

from snnkit.architecture.plan import Shape
from snnkit.base.config import EncodingConfig, NeuronConfig
from snnkit.families import FAMILIES
from snnkit.nn.network import Network


def build_network(
    family: str,
    design: Mapping[str, Any] | None = None,
    *,
    classes: int,
    in_shape: Shape,
    neuron: NeuronConfig | None = NeuronConfig(),  # noqa: B008  # frozen
    encoding: EncodingConfig = EncodingConfig(),  # noqa: B008  # frozen
    seed: int = 0,
) -> Network:
    """Return the spiking network of ``family``, or its CNN twin if ``neuron`` is None. Weights are drawn from ``seed``.

    ``design`` holds the keys of a space's ``network`` section, for example ``{"fire4": {"keep": False}}``; the family's
    defaults fill in the rest. ``in_shape`` is (C, H, W).

    Raises ValueError for an unknown family, pydantic's ValidationError for a wrong design, and PlanError if the design
    does not fit the input.
    """
    if family not in FAMILIES:
        raise ValueError(f"given family {family!r}; allowed are {', '.join(FAMILIES)}")
    chosen = FAMILIES[family]
    plan = chosen.plan(chosen.design.model_validate(design or {}), classes, in_shape)
    return Network(plan, neuron, encoding, seed=seed)
