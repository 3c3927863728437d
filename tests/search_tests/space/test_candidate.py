"""A candidate's static figures and the key that says whether two candidates train the same thing."""

import itertools

import pytest

from search.errors import SpaceError
from search.space.candidate import Candidate
from search.space.loading.loader import load_space
from search.space.space import Space
from snnkit.architecture.plan import PlanError

TEXT = """\
study: {name: keys, budget: {trials: 4}, objectives: {params: minimize}}
network:
  family: squeezenet
  fire5: {keep: {choices: [true, false]}, squeeze: {choices: [16, 32]}}
neuron: {leak: {low: 0.5, high: 1.0, step: 0.1}}
data: {name: cifar10}
"""


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(TEXT)


def candidate(**overrides: str) -> Candidate:
    """The base candidate of the space with closed leaves replaced: ``train__epochs="3"``."""
    return load_space(TEXT, overrides={path.replace("__", "."): value for path, value in overrides.items()}).base


def test_plan_is_that_of_the_data_sets_images(space: Space) -> None:
    plan = space.base.plan()
    assert (plan.classes, plan.in_shape) == (10, (3, 32, 32))
    smaller = candidate(data__name="cifar100", data__resolution="16").plan()
    assert (smaller.classes, smaller.in_shape) == (100, (3, 16, 16))


def test_plan_has_an_output_for_each_chosen_class(space: Space) -> None:
    some = candidate(data__classes="[ship, cat, dog]")
    assert (some.plan().classes, candidate(data__classes="2").plan().classes) == (3, 2)
    assert some.plan().params < space.base.plan().params
    assert len({some.fingerprint, space.base.fingerprint, candidate(data__classes="[cat, ship, dog]").fingerprint}) == 3
    assert candidate(data__classes="[0, 7]").data.classes == ("0", "7")  # digits are named so


def test_static_figures_are_the_plans(space: Space) -> None:
    plan = space.base.plan()
    assert space.base.static() == {"params": plan.params, "dense_macs": plan.dense_macs}


@pytest.mark.parametrize(
    ("first", "side", "says"),
    [
        ("16", "16", r"given train.first_resolution 16 for images of 16x16 pixels; write a smaller one, such as 8"),
        ("40", "32", r"given train.first_resolution 40 for images of 32x32 pixels"),
        ("8", "32", r"with images of train.first_resolution 8: fire8.pool: .* does not fit"),
    ],
)
def test_first_resolution_that_does_not_fit_is_refused(first: str, side: str, says: str) -> None:
    overrides = {"train.first_resolution": first, "data.resolution": side, "network.stem.stride": "2"}
    with pytest.raises(SpaceError, match=says):
        load_space(TEXT, overrides=overrides)


def test_first_resolution_may_be_a_dial() -> None:
    space = load_space(TEXT, overrides={"train.first_resolution": "{choices: [16, 24]}"})
    anchors = space.template.anchors()
    candidates = [space.candidate(anchors | {"train.first_resolution": side}) for side in (16, 24)]
    assert len({each.fingerprint for each in candidates}) == 2
    assert candidates[0].plan() == candidates[1].plan()


def test_network_that_does_not_build_has_no_figures() -> None:
    # checked on load, so it is made by hand: 8x8 images, stride 8, and then two poolings of 2
    network = candidate().network
    tiny = candidate(data__resolution="8").model_copy(
        update={"network": network.model_copy(update={"stem": network.stem.model_copy(update={"stride": 8})})}  # type: ignore[attr-defined]
    )
    assert tiny.static() == {}
    with pytest.raises(PlanError):
        tiny.plan()


def test_modules_show_what_is_removed(space: Space) -> None:
    removed = space.candidate({"network.fire5.keep": False, "neuron.leak": 0.9})
    assert [module.name for module in removed.modules() if module.state == "removed"] == ["fire5"]


def test_key_does_not_depend_on_what_a_removed_module_would_have_had() -> None:
    without = {"network.fire5.keep": "false"}
    assert (
        load_space(TEXT, overrides=without | {"network.fire5.squeeze": "16"}).base.fingerprint
        == load_space(TEXT, overrides=without | {"network.fire5.squeeze": "32"}).base.fingerprint
    )


def test_key_depends_on_every_dial(space: Space) -> None:
    keep, squeeze, leak = "network.fire5.keep", "network.fire5.squeeze", "neuron.leak"
    keys = {
        space.candidate({keep: True, squeeze: width, leak: 0.5 + n / 10}).fingerprint
        for width in (16, 32)
        for n in range(6)
    }
    assert len(keys) == 12


def test_modules_that_are_alike_and_side_by_side_stand_for_each_other() -> None:
    """Fires 2 and 3 are of one size, as 6 and 7 are; behind 4 and 8 there is a pooling, so which one stays matters."""
    fires = range(2, 10)
    masks = "".join(f"  fire{n}: {{keep: {{choices: [true, false]}}}}\n" for n in fires)
    space = load_space(TEXT.split("  fire5")[0] + masks + "data: {name: cifar10}")
    keys = {}
    for kept in itertools.product([True, False], repeat=8):
        candidate = space.candidate({f"network.fire{n}.keep": keep for n, keep in zip(fires, kept, strict=True)})
        keys[kept] = candidate.fingerprint
    assert len(set(keys.values())) == 3 * 4 * 3 * 4
    for kept, key in keys.items():
        pairs = ((kept[0] + kept[1], kept[4] + kept[5]), kept[2:4], kept[6:])
        others = [other for other, same in keys.items() if same == key]
        assert {((o[0] + o[1], o[4] + o[5]), o[2:4], o[6:]) for o in others} == {pairs}


def test_neurons_that_see_one_step_do_not_leak() -> None:
    once = {"encoding__timesteps": "1"}
    assert candidate(**once, neuron__leak="0.5").fingerprint == candidate(**once, neuron__leak="0.9").fingerprint
    assert candidate(neuron__leak="0.5").fingerprint != candidate(neuron__leak="0.9").fingerprint
    assert candidate(**once, neuron__threshold="0.5").fingerprint != candidate(**once).fingerprint


def test_a_slope_counts_where_the_surrogate_has_one() -> None:
    one, other = ({"neuron__slope": slope} for slope in ("1", "2"))
    assert candidate(**one).fingerprint != candidate(**other).fingerprint
    flat = {"neuron__surrogate": "triangular"}
    assert candidate(**one, **flat).fingerprint == candidate(**other, **flat).fingerprint


def test_epochs_of_a_twin_count_where_there_is_one() -> None:
    assert candidate(train__cnn_epochs="7").fingerprint == candidate().fingerprint
    twin = {"train__start": "cnn", "train__epochs": "3"}
    assert candidate(**twin, train__cnn_epochs="7").fingerprint != candidate(**twin).fingerprint
    assert (
        candidate(**twin, train__cnn_epochs="3").fingerprint
        == candidate(**twin).fingerprint
        != candidate(train__epochs="3").fingerprint
    )


def test_key_depends_on_how_it_is_trained_and_not_on_the_price() -> None:
    key = candidate().fingerprint
    assert candidate(train__epochs="3").fingerprint != key
    assert candidate(data__subset="5000").fingerprint != key
    assert candidate(encoding__timesteps="2").fingerprint != key
    assert candidate(energy__preset="paper2602").fingerprint == key


def test_key_is_the_same_in_every_process(space: Space) -> None:
    assert space.base.fingerprint == load_space(TEXT).base.fingerprint
    assert len(space.base.fingerprint) == 16


def test_candidate_survives_json(space: Space) -> None:
    again = Candidate.model_validate_json(space.base.model_dump_json())
    assert again == space.base
    assert type(again.network) is type(space.base.network)
    assert again.fingerprint == space.base.fingerprint
