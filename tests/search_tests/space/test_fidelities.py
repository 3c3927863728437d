"""``study.fidelities`` in a space: what a fidelity may change, and what is wrong with a bad one."""

import pytest
from helpers.untrained import SPACES

from search.errors import InputError
from search.space.loading.loader import load_space
from search.space.space import Space

GOOD = {"study.sampler": "ehvi", "data.validation": 300}


def load(fidelities: str, **overrides: object) -> Space:
    return load_space(SPACES / "smoke.yaml", overrides=GOOD | {"study.fidelities": fidelities} | overrides)


def test_fidelities_are_laid_over_the_candidate() -> None:
    space = load("[{data.subset: 400, train.epochs: 1, encoding.timesteps: 1}, {data.resolution: 8}]")
    candidate = space.candidate(space.candidates["baseline"])
    cheap, small, full = space.fidelities(candidate)
    assert (cheap.data.subset, cheap.train.epochs, cheap.encoding.timesteps) == (400, 1, 1)
    assert cheap.network == candidate.network
    assert small.data.shape == (1, 8, 8)
    assert full == candidate


def test_stored_spaces_without_fidelities_keep_their_fingerprint() -> None:
    space = load_space(SPACES / "smoke.yaml")
    assert load_space(space.dump()).fingerprint == space.fingerprint
    assert "fidelities: []" in space.dump()
    old = space.dump().replace("  fidelities: []\n", "")
    assert load_space(old).fingerprint == space.fingerprint


def test_fidelities_survive_the_stored_space() -> None:
    space = load("[{data.subset: 400, train.rungs: [1, 2]}]")
    again = load_space(space.dump())
    assert again == space
    assert again.fingerprint == space.fingerprint != load("[{data.subset: 500}]").fingerprint


@pytest.mark.parametrize(
    ("fidelities", "overrides", "message"),
    [
        ("[{train.epoch: 1}]", {}, "study.fidelities[0].train.epoch: a fidelity cannot change this; it can change"),
        ("[{train.epoch: 1}]", {}, "did you mean train.epochs?"),
        ("[{data.validation: 10}]", {}, "it can change leaves of train, data.subset, data.resolution and encoding"),
        ("[{train.epochs: 0}]", {}, "study.fidelities[0].train.epochs: given 0; write a number not below 1"),
        (
            "[{train.epochs: 1}, {data.subset: 1}]",
            {},
            "study.fidelities[1].data.subset: given 1; write a number not below 2",
        ),
        (
            "[{encoding.timesteps: 0}]",
            {},
            "study.fidelities[0].encoding.timesteps: given 0; write a number not below 1",
        ),
        ("[{train.rungs: [7]}]", {}, "given rungs [7]"),
        ("[{data.subset: 300}]", {}, "validation takes 300 of 300 images"),
        (
            "[{data.subset: 400}]",
            {"data.validation": 0.2},
            "with data.subset in study.fidelities, a share of the images would validate on others at each fidelity: "
            "write the number of images, such as validation: ",
        ),
        ("[{train.epochs: 1}]", {"study.sampler": "tpe"}, "sampler tpe cannot choose which candidates continue"),
        ("[]", {"study.promote": "[baseline]"}, "given promote without fidelities"),
        ("[{train.epochs: 1}]", {"study.promote": "[base]"}, "study.promote[0]: given 'base'; allowed are baseline"),
        ("[3]", {}, "given 3; write {train.epochs: 60, train.augment: flip_crop}"),
        (
            "[{train.epochs: 1}]",
            {"study.stopping": "{}", "train.rungs": "[1]"},
            "fidelities and stopping both end the training of poor candidates early",
        ),
    ],
)
def test_bad_fidelities_are_refused(fidelities: str, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(fidelities, **overrides)
    assert message in str(caught.value)


def test_wrong_candidate_is_the_only_problem_of_a_space_that_promotes_it() -> None:
    wrong = {"study.promote": "[baseline]", "candidates.baseline": "{network.stem.wdth: 4}"}
    with pytest.raises(InputError, match=r"candidates.baseline: network\.stem\.wdth: no such dial") as caught:
        load("[{train.epochs: 1}]", **wrong)
    assert "study.promote" not in str(caught.value)
