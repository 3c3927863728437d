"""A plan for images of another size is the plan that its family makes for them."""

from typing import Any

import pytest
from helpers.designs import CLASSES, IMAGE, built, default, examples, planned
from hypothesis import given
from hypothesis import strategies as st

from snnkit.architecture.plan import PlanError
from snnkit.architecture.resizing import resized
from snnkit.families import FAMILIES


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize(("full", "side"), [(32, 16), (32, 24), (16, 32), (32, 32)])
def test_resized_default_is_the_family_s_plan(family: str, full: int, side: int) -> None:
    design = default(family)
    assert resized(planned(family, design, full), side) == planned(family, design, side)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@examples(20)
@given(data=st.data())
def test_resized_variant_is_the_family_s_plan(family: str, data: Any) -> None:
    design, plan = data.draw(built(family))
    assert plan.in_shape == IMAGE
    assert plan.classes == CLASSES
    assert resized(plan, 32) == planned(family, design, 32)


def test_images_that_are_too_small_are_refused() -> None:
    design = FAMILIES["squeezenet"].design.model_validate({"stem": {"kernel": 7, "padding": 0}})
    plan = FAMILIES["squeezenet"].plan(design, 10, (3, 32, 32))
    with pytest.raises(PlanError, match="does not fit the incoming 3x4x4"):
        resized(plan, 4)
