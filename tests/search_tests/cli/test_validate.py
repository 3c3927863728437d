"""What `validate` says of a space."""

import json
from io import StringIO

import pytest
from rich.console import Console

from search.cli.validate import Survey, render, survey
from search.space.loading.loader import load_space
from search.space.space import Space

TEXT = """\
study:
  name: look
  budget: {trials: 4}
  objectives: {accuracy: maximize, params: minimize}
network:
  family: squeezenet
  stem: {width: {choices: [8, 16], default: 16}}
  fire2: {keep: {choices: [true, false]}, squeeze: {low: 4, high: 16, step: 4, default: 16}}
encoding: {timesteps: {choices: [1, 2], default: 2}}
data: {name: digits, validation: 0.2}
candidates:
  whole: {}
  cut: {network.fire2.keep: false}
"""


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(TEXT)


@pytest.fixture(scope="module")
def found(space: Space) -> Survey:
    return survey(space, samples=400, seed=1)


def printed(found: Survey) -> str:
    out = StringIO()
    render(found, Console(file=out, width=120))
    return out.getvalue()


def limited(params: int) -> Space:
    return load_space(TEXT, overrides={"study.constraints": f"{{params: {{max: {params}}}}}"})


def all_params(space: Space) -> set[int]:
    """Parameters of every candidate of the space: widths x (removed, or one of four squeezes)."""
    fires = [{"network.fire2.keep": False}]
    fires += [{"network.fire2.keep": True, "network.fire2.squeeze": squeeze} for squeeze in (4, 8, 12, 16)]
    dials = [{"network.stem.width": width, "encoding.timesteps": 1, **fire} for width in (8, 16) for fire in fires]
    return {space.candidate(params).static()["params"] for params in dials}


def test_dials_and_size_are_the_spaces(found: Survey, space: Space) -> None:
    assert [dial.path for dial in found.dials] == [dial.path for dial in space.dials]
    assert found.size == 2 * (1 + 4) * 2
    squeeze = found.dials[2]
    assert (squeeze.kind, squeeze.values, squeeze.only_with) == (
        "int",
        "4 to 16 in steps of 4",
        ("network.fire2.keep",),
    )


def test_named_candidates_have_their_figures(found: Survey, space: Space) -> None:
    for row in found.candidates:
        plan = space.candidate(space.candidates[row.name]).plan()
        assert (row.params, row.dense_macs) == (plan.params, plan.dense_macs)
    assert dict(found.candidates[1].strip)["fire2"] == "removed"


def test_ranges_are_those_of_the_samples(found: Survey, space: Space) -> None:
    assert found.params == (min(all_params(space)), max(all_params(space)))  # 400 samples of 20 candidates see all


def test_three_samples_are_listed(found: Survey) -> None:
    assert [row.name for row in found.examples] == ["sample 1", "sample 2", "sample 3"]
    assert all(row.dials and row.strip and row.params for row in found.examples)


def test_everything_meets_no_constraint(found: Survey) -> None:
    assert (found.feasible, found.refused) == (1.0, {})


def test_share_that_meets_the_constraint_is_counted(space: Space) -> None:
    bound = sorted(all_params(space))[4]
    found = survey(limited(bound), samples=2000, seed=0)
    # half of the samples remove fire2, an eighth each have one of its squeezes; halves of them by stem width
    weight = {
        space.candidate({"network.stem.width": width, "encoding.timesteps": 1, **fire}).static()["params"]: share / 2
        for width in (8, 16)
        for fire, share in [
            ({"network.fire2.keep": False}, 1 / 2),
            *(({"network.fire2.keep": True, "network.fire2.squeeze": s}, 1 / 8) for s in (4, 8, 12, 16)),
        ]
    }
    expected = sum(share for params, share in weight.items() if params <= bound)
    assert abs(found.feasible - expected) < 5 * (expected * (1 - expected) / 2000) ** 0.5
    assert found.refused == {"params": round(2000 * (1 - found.feasible))}


def test_named_candidate_above_a_limit_says_so(space: Space) -> None:
    bound = space.candidate(space.candidates["whole"]).plan().params - 1
    found = survey(limited(bound), samples=10)
    reason = f"params {bound + 1:,} is above the limit of {bound:,} by 1"
    assert found.to_dict()["candidates"][0]["refusals"] == (reason,)
    assert "whole would be refused: params" in printed(found)


NINE = "".join(f"  w{width}: {{network.stem.width: {width}}}\n" for width in range(16, 160, 16))


def refused(text: str, constraints: str) -> list[str]:
    """Return the lines about refused candidates."""
    space = load_space(text, overrides={"study.constraints": constraints})
    return [line for line in printed(survey(space, samples=10)).splitlines() if "would be refused" in line]


def test_named_candidates_that_one_cause_refuses_are_one_line() -> None:
    text = TEXT.replace("choices: [8, 16]", f"choices: {list(range(8, 160, 8))}")
    text = text[: text.index("  whole:")] + NINE
    plans = [load_space(text).candidate(params).plan() for params in load_space(text).candidates.values()]
    sizes, macs = sorted(plan.params for plan in plans), min(plan.dense_macs for plan in plans)
    said = refused(text, f"{{params: {{max: {sizes[0] - 1}}}}}")[0]
    assert said == (
        f"all 9 named candidates would be refused: params is above the limit of {sizes[0] - 1:,} by 1 to "
        f"{sizes[-1] - sizes[0] + 1:,}"
    )
    said = refused(text, f"{{params: {{max: {sizes[1]}}}}}")[0]
    assert said.startswith("w48, w64, w80, w96, w112, w128 and w144 would be refused: params is above the limit")
    both = refused(text, f"{{params: {{max: {sizes[1]}}}, dense_macs: {{max: {macs - 1}}}}}")[:2]
    assert [line.split(" would be")[0] for line in both] == [
        "w16 and w32",
        "w48, w64, w80, w96, w112, w128 and w144",
    ]
    assert "dense_macs is above the limit" in both[1]
    assert "; dense_macs" not in both[0]


def test_same_seed_gives_the_same_survey(space: Space) -> None:
    assert survey(space, samples=50, seed=3) == survey(space, samples=50, seed=3)


def test_survey_is_json(found: Survey) -> None:
    tree = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert tree["size"] == found.size
    assert tree["candidates"][0]["name"] == "whole"
    assert tree["dials"][0]["values"] == "8, 16"


def test_person_sees_dials_shares_and_candidates(found: Survey) -> None:
    text = printed(found)
    for dial in found.dials:
        assert dial.path in text
    assert "4 dials, 20 candidates" in text
    assert "100.0% of 400 random candidates" in text
    for row in (*found.candidates, *found.examples):
        assert f"{row.name} " in text
        assert f"{row.params:,}" in text


def test_continuous_space_is_not_counted() -> None:
    space = load_space(TEXT, overrides={"train.lr": "{low: 1e-4, high: 1e-2, log: true}"})
    found = survey(space, samples=5)
    assert found.size is None
    assert "continuous" in printed(found)


NIR = {"neuron.reset": "zero", "neuron.reset_delay": "false", "network.pool.kind": "avg"}


def test_export_is_surveyed_only_if_a_format_is_given(found: Survey) -> None:
    assert found.exports is None
    assert "export" not in printed(found)


def test_every_candidate_that_a_format_expresses_is_told_so() -> None:
    exports = survey(load_space(TEXT, overrides=NIR), samples=20, export_format="nir").exports
    assert exports is not None
    assert (exports.share, exports.obstacles) == (1.0, {})
    assert [(row.name, row.obstacles) for row in exports.candidates] == [("default", ()), ("whole", ()), ("cut", ())]


def test_all_obstacles_to_an_export_are_told_before_a_training(space: Space) -> None:
    found = survey(space, samples=20, export_format="nir")
    assert found.exports is not None
    assert found.exports.share == 0
    assert list(found.exports.obstacles.values()) == [20, 20, 20]
    text = printed(found)
    assert "default, whole, cut cannot be exported:" in text
    for said in ("neuron.reset: zero", "neuron.reset_delay: false", "network.pool.kind: avg"):
        assert f"search or retrain with {said}" in text
    onnx = survey(space, samples=20, export_format="onnx").exports
    assert onnx is not None
    assert onnx.share == 1


def test_share_of_candidates_that_can_be_exported_depends_on_the_dials() -> None:
    space = load_space(TEXT, overrides=NIR | {"neuron.reset": "{choices: [zero, subtract], default: zero}"})
    found = survey(space, samples=400, export_format="nir")
    assert found.exports is not None
    assert found.exports.share == pytest.approx(0.5, abs=0.1)
    assert found.exports.obstacles == {
        "neuron.reset is subtract: NIR's LIF has zero": round(400 * (1 - found.exports.share))
    }
    assert "default, whole, cut can be exported" in printed(found)


def test_missing_library_of_a_format_is_told(space: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = survey(space, samples=2, export_format="onnx")
    assert "not on this machine: onnx is not installed; pip install 'snnsearch[onnx]'" in printed(found)
