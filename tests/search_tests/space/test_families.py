"""A space over several families: which family is a dial, and each has dials of its own."""

import random

import pytest

from search.errors import SpaceError
from search.space.loading.loader import load_space
from search.space.space import Space
from snnkit.families import FAMILIES

TEXT = """\
study:
  name: several
  budget: {trials: 4}
  objectives: {accuracy: maximize, params: minimize}
network:
  family: {choices: [squeezenet, mnasnet, shufflenet], default: mnasnet}
  squeezenet:
    fire3: {keep: {choices: [true, false]}, squeeze: {choices: [8, 16]}}
    fire4: {keep: {choices: [true, false]}}
  mnasnet:
    stage6: {keep: {choices: [true, false]}, width: {choices: [32, 64, 192]}, block2: {keep: {choices: [true, false]}}}
data: {name: digits}
candidates:
  largest: {network.family: mnasnet}
  no-fire3: {network.family: squeezenet, network.squeezenet.fire3.keep: false}
"""


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(TEXT)


def message(text: str) -> str:
    with pytest.raises(SpaceError) as caught:
        load_space(text)
    return str(caught.value)


def test_size_adds_up_over_the_families(space: Space) -> None:
    assert space.size == (1 + 2) * 2 + (1 + 3 * 2) + 1


def test_samples_have_dials_of_one_family(space: Space) -> None:
    rng = random.Random(0)
    seen = set()
    for _ in range(300):
        params = space.sample(rng)
        family = params["network.family"]
        assert all(path.split(".")[1] in ("family", family) for path in params)
        assert type(space.candidate(params).network) is FAMILIES[str(family)].design
        seen.add(space.candidate(params).fingerprint)
    assert len(seen) == space.size


def test_candidate_is_that_of_a_space_over_its_family_alone(space: Space) -> None:
    params = {"network.family": "squeezenet", "network.squeezenet.fire3.keep": False}
    alone = load_space(
        "study: {name: alone, budget: {trials: 1}, objectives: {accuracy: maximize}}\n"
        "network: {family: squeezenet, fire3: {keep: false}}\ndata: {name: digits}\n"
    )
    assert space.candidate(params | {"network.squeezenet.fire4.keep": True}).fingerprint == alone.base.fingerprint


def test_neighbour_of_another_family_is_complete(space: Space) -> None:
    rng = random.Random(1)
    for _ in range(100):
        params = space.neighbour(space.sample(rng), rng)
        assert space.active(params) == params


def test_dump_loads_to_an_equal_space(space: Space) -> None:
    again = load_space(space.dump())
    assert again == space
    assert again.fingerprint == space.fingerprint
    assert "mixnet" not in space.dump()


def test_named_candidate_may_not_name_a_dial_of_another_family() -> None:
    text = TEXT.replace(
        "network.family: squeezenet, network.squeezenet", "network.family: shufflenet, network.squeezenet"
    )
    assert "belongs to squeezenet, which network.family does not choose" in message(text)


def test_section_of_a_family_that_is_not_chosen_is_refused() -> None:
    assert "network.family does not choose squeezenet" in message(TEXT.replace("[squeezenet, ", "[mixnet, "))


def test_every_family_is_looked_at_on_load() -> None:
    text = TEXT.replace("  squeezenet:\n", "  squeezenet:\n    stem: {stride: {choices: [1, 8]}}\n")
    assert "network.squeezenet.stem.stride: at 8 the network does not build" in message(text)
    assert load_space(text.replace("[1, 8]", "[1, 2]"))


def test_candidates_that_do_not_build_are_not_the_same(space: Space) -> None:
    """Each is refused with its own reason, none is a duplicate of another."""
    image = space.base.data.model_copy(update={"resolution": 8})
    designs = [{"stem": {"stride": stride}, "pool": {"kernel": 8}} for stride in (4, 8)]
    made = [
        space.base.model_copy(update={"data": image, "network": FAMILIES["squeezenet"].design.model_validate(design)})
        for design in designs
    ]
    assert [candidate.static() for candidate in made] == [{}, {}]
    assert made[0].fingerprint != made[1].fingerprint
