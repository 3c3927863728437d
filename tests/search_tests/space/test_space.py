"""A space: its dials and size, drawing from it, profiles and overrides, and the text it is stored as."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from reports.records.study import Leaf
from search.space.constraints import Refusal
from search.space.loading.loader import load_space
from search.space.space import ParamsError, Space

TEXT = """\
study:
  name: small
  budget: {trials: 4}
  objectives: {accuracy: maximize, params: }
  constraints: {params: {max: 20_000}, dense_macs: {max: 900_000}}
network:
  family: squeezenet
  stem: {width: {choices: [8, 16]}, stride: 1}
  fire2: {keep: true, squeeze: 4, expand1x1: 8, expand3x3: 8}
  fire3: {squeeze: {low: 4, high: 16, step: 4}, keep: {choices: [true, false]}, expand3x3: {choices: [8, 12, 16]}}
  fire4: {keep: {choices: [false, true]}, squeeze: {low: 2, high: 4}}
  fire5: {keep: false, squeeze: {choices: [4, 8]}}
  fire6: {keep: false}
  fire7: {keep: false}
  fire8: {keep: false}
  fire9: {keep: false}
  pool: {after: [stem, fire4]}
encoding: {timesteps: {choices: [1, 2], default: 2}}
train: {epochs: 2}
data: {name: digits, validation: 0.2}
candidates:
  wide: {network.stem.width: 16, network.fire3.squeeze: 16, network.fire3.expand3x3: 16, network.fire4.squeeze: 4}
  thin: {network.stem.width: 8, network.fire3.keep: false, network.fire4.keep: false}
reference:
  - {label: published, accuracy: 0.8, energy_mj: 0.03, params: 5_000}
profiles:
  cpu: {train.batch: 32}
  cuda:
    train.epochs: 60
    study.budget: {time: 8h}
    encoding.timesteps: {choices: [2, 4, 8]}
"""
FIRE3 = ["network.fire3.keep", "network.fire3.squeeze", "network.fire3.expand3x3"]
FIRE4 = ["network.fire4.keep", "network.fire4.squeeze"]


@pytest.fixture(scope="module")
def space() -> Space:
    return load_space(TEXT)


def with_continuous() -> Space:
    return load_space(TEXT, overrides={"train.lr": "{low: 1e-4, high: 1e-2, log: true}"})


class FakeTrial:
    """Draws as ``optuna.Trial`` would, and remembers what it was asked."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.asked: list[str] = []

    def suggest_categorical(self, name: str, choices: Sequence[Leaf]) -> Leaf:
        self.asked.append(name)
        return self._rng.choice(list(choices))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.asked.append(name)
        return self._rng.randrange(low, high + 1, step)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.asked.append(name)
        return (
            self._rng.uniform(low, high)
            if step is None
            else low + step * self._rng.randint(0, round((high - low) / step))
        )


def every_candidate(space: Space) -> set[tuple[tuple[str, Leaf], ...]]:
    """All distinct sets of active dials, by trying every value of every dial with every other."""
    grids = [[(dial.path, value) for value in _grid(dial.values)] for dial in space.dials]
    return {tuple(space.active(dict(point)).items()) for point in itertools.product(*grids)}


def _grid(values: object) -> list[Leaf]:
    if hasattr(values, "values"):
        return list(values.values)
    return list(range(values.low, values.high + 1, values.step))  # type: ignore[attr-defined]


def test_dials_are_those_left_open_with_keep_before_what_it_decides_on(space: Space) -> None:
    paths = [dial.path for dial in space.dials]
    assert paths == ["network.stem.width", *FIRE3, *FIRE4, "encoding.timesteps"]


def test_dial_under_a_module_removed_for_good_is_no_dial(space: Space) -> None:
    assert not any(dial.path.startswith("network.fire5") for dial in space.dials)


def test_size_equals_enumeration_of_active_dials(space: Space) -> None:
    width, fire3, fire4, steps = 2, 1 + 4 * 3, 1 + 3, 2
    assert space.size == width * fire3 * fire4 * steps
    assert space.size == len(every_candidate(space))


def test_size_counts_distinct_candidates(space: Space) -> None:
    assert len({space.candidate(dict(params)).fingerprint for params in every_candidate(space)}) == space.size


def test_size_of_a_continuous_space_is_unknown() -> None:
    assert with_continuous().size is None


def test_space_without_dials_has_one_candidate() -> None:
    study = "study: {name: one, budget: {trials: 1}, objectives: {params: }}"
    assert load_space(f"{study}\nnetwork: {{family: squeezenet}}\ndata: {{name: digits}}").size == 1


def test_samples_lie_inside_and_cover_the_space(space: Space) -> None:
    rng = random.Random(0)
    drawn = Counter(tuple(space.sample(rng).items()) for _ in range(6000))
    assert set(drawn) == every_candidate(space)


def test_sample_draws_each_choice_equally_often(space: Space) -> None:
    rng = random.Random(0)
    kept = sum(bool(space.sample(rng)["network.fire3.keep"]) for _ in range(4000))
    assert abs(kept - 2000) < 5 * (4000 * 0.25) ** 0.5  # five standard deviations of a fair coin


def test_logarithmic_dial_is_uniform_over_the_logarithm() -> None:
    space, rng = with_continuous(), random.Random(0)
    below = sum(float(space.sample(rng)["train.lr"]) < 1e-3 for _ in range(4000))  # the middle of 1e-4 to 1e-2
    assert abs(below - 2000) < 5 * (4000 * 0.25) ** 0.5


def test_same_seed_draws_the_same_samples(space: Space) -> None:
    first, second = random.Random(3), random.Random(3)
    assert [space.sample(first) for _ in range(5)] == [space.sample(second) for _ in range(5)]


def test_suggest_asks_for_active_dials_only(space: Space) -> None:
    everything = every_candidate(space)
    for seed in range(200):
        trial = FakeTrial(seed)
        params = space.suggest(trial)
        assert trial.asked == list(params)
        assert tuple(params.items()) in everything
        if not params["network.fire3.keep"]:
            assert not {*FIRE3[1:]} & set(trial.asked)


def test_suggested_float_lies_on_its_grid() -> None:
    space = load_space(TEXT, overrides={"train.label_smoothing": "{low: 0.0, high: 0.3, step: 0.1}"})
    grid = {0.0, 0.1, 0.2, 0.3}  # 3 * 0.1 is 0.30000000000000004
    assert {space.suggest(FakeTrial(seed))["train.label_smoothing"] for seed in range(60)} == grid


def test_neighbour_changes_one_dial_and_what_follows_from_it(space: Space) -> None:
    rng = random.Random(0)
    everything = every_candidate(space)
    for _ in range(500):
        params = space.sample(rng)
        near = space.neighbour(params, rng)
        assert tuple(near.items()) in everything
        changed = [path for path in params if path in near and params[path] != near[path]]
        assert len(changed) == 1
        came_or_went = params.keys() ^ near.keys()
        assert all(path.rsplit(".", 1)[0] == changed[0].removesuffix(".keep") for path in came_or_went)


def test_neighbours_reach_the_whole_space(space: Space) -> None:
    rng = random.Random(0)
    params = space.sample(rng)
    seen = set()
    for _ in range(6000):
        params = space.neighbour(params, rng)
        seen.add(tuple(params.items()))
    assert seen == every_candidate(space)


def test_active_drops_what_lies_in_a_removed_module(space: Space) -> None:
    params = space.candidates["wide"] | {"network.fire3.keep": False}
    assert [path for path in space.active(params) if "fire3" in path] == ["network.fire3.keep"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"network.fire3.squeze": 4},
            "network.fire3.squeze: no dial of space small; did you mean network.fire3.squeeze",
        ),
        ({"network.fire3.squeeze": 6}, "network.fire3.squeeze: given 6; allowed is 4 to 16 in steps of 4"),
        ({"network.stem.width": True}, "network.stem.width: given true; allowed are 8, 16"),
    ],
)
def test_params_that_are_no_candidate_are_refused(space: Space, change: dict[str, Leaf], says: str) -> None:
    with pytest.raises(ParamsError, match=says):
        space.candidate(space.candidates["wide"] | change)


def test_missing_active_dial_is_refused(space: Space) -> None:
    params = {path: value for path, value in space.candidates["wide"].items() if path != "encoding.timesteps"}
    with pytest.raises(ParamsError, match=r"encoding\.timesteps: not given; allowed is 1, 2"):
        space.candidate(params)


def test_named_candidate_takes_defaults_for_what_it_does_not_mention(space: Space) -> None:
    assert space.candidates["wide"] == {
        "network.stem.width": 16,
        "network.fire3.keep": True,  # the family's default
        "network.fire3.squeeze": 16,
        "network.fire3.expand3x3": 16,
        "network.fire4.keep": True,
        "network.fire4.squeeze": 4,
        "encoding.timesteps": 2,  # the dial's own
    }
    assert list(space.candidates["thin"]) == ["network.stem.width", FIRE3[0], FIRE4[0], "encoding.timesteps"]


def test_objective_without_a_direction_has_its_natural_one(space: Space) -> None:
    assert space.study.objectives == {"accuracy": "maximize", "params": "minimize"}


def test_constraint_is_broken_by_the_candidate_above_it(space: Space) -> None:
    candidate = space.candidate(space.candidates["wide"])
    params, macs = candidate.plan().params, candidate.plan().dense_macs
    assert space.violations(candidate) == {"params": params - 20_000, "dense_macs": macs - 900_000}
    assert space.refusals(candidate) == []
    tight = load_space(TEXT, overrides={"study.constraints": f"{{params: {{max: {params - 1}}}}}"})
    refusal = Refusal("bound", "params", value=params, bound=params - 1)
    assert tight.refusals(candidate) == [refusal]
    assert str(refusal) == f"params {params:,} is above the limit of {params - 1:,} by 1"
    assert tight.violations(candidate) == {"params": 1}


def test_candidate_at_its_limit_is_admitted(space: Space) -> None:
    candidate = space.candidate(space.candidates["wide"])
    exact = load_space(TEXT, overrides={"study.constraints.params": f"{{max: {candidate.plan().params}}}"})
    assert exact.refusals(candidate) == []
    assert exact.violations(candidate)["params"] == 0


def test_candidate_that_does_not_build_is_refused_with_the_reason() -> None:
    # each end builds, as do all smallest and all largest: stride 4 on 8x8 images leaves nothing to pool
    text = TEXT.replace("stride: 1}", "stride: {choices: [1, 4], default: 1}}")
    space = load_space(text.replace("validation: 0.2", "resolution: {choices: [8, 32], default: 32}"))
    candidate = space.candidate(space.candidates["thin"] | {"network.stem.stride": 4, "data.resolution": 8})
    (refusal,) = space.refusals(candidate)
    assert refusal.kind == "build"
    assert str(refusal) == f"does not build: {refusal.reason}"
    assert candidate.static() == {}
    assert space.violations(candidate) == {"params": 20_000, "dense_macs": 900_000}


def test_profile_replaces_leaves_on_its_device_only(space: Space) -> None:
    cuda = load_space(TEXT, device="cuda")
    assert (space.base.train.epochs, space.base.train.batch) == (2, 32)
    assert (cuda.base.train.epochs, cuda.base.train.batch) == (60, 64)
    assert (cuda.study.budget.trials, cuda.study.budget.seconds) == (None, 8 * 3600)
    assert [str(dial.values) for dial in cuda.dials if dial.path == "encoding.timesteps"] == ["2, 4, 8"]


def test_override_has_the_last_word() -> None:
    cuda = load_space(
        TEXT, device="cuda", overrides={"train.epochs": "5", "study.name": "other", "encoding.timesteps": "2"}
    )
    assert (cuda.base.train.epochs, cuda.study.name, cuda.base.encoding.timesteps) == (5, "other", 2)
    assert "encoding.timesteps" not in [dial.path for dial in cuda.dials]


def test_override_may_be_a_value_that_is_no_text() -> None:
    assert load_space(TEXT, overrides={"train.epochs": 7}).base.train.epochs == 7


def test_override_may_leave_out_the_named_candidates() -> None:
    assert load_space(TEXT, overrides={"candidates": "{}", "network.stem.width": "8"}).candidates == {}


def test_candidate_may_repeat_what_an_override_fixes() -> None:
    fixed = load_space(
        TEXT.replace("network.stem.width: 16", "network.stem.width: 8"), overrides={"network.stem.width": "8"}
    )
    assert "network.stem.width" not in fixed.candidates["wide"]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_dump_loads_to_an_equal_space(device: str) -> None:
    space = load_space(TEXT, device=device, overrides={"train.lr": "{low: 1e-4, high: 1e-2, log: true}"})  # type: ignore[arg-type]
    again = load_space(space.dump())
    assert again == space
    assert again.fingerprint == space.fingerprint
    assert again.dump() == space.dump()
    assert "profiles" not in space.dump()


def test_dump_writes_defaults_out(space: Space) -> None:
    assert "leak: 0.9" in space.dump()
    assert "neuron" not in TEXT


def test_spaces_are_equal_however_written(space: Space) -> None:
    spelled = TEXT.replace("network.fire3.squeeze: 16", "network.fire3.squeeze: 16, network.fire3.keep: true")
    assert load_space(spelled.replace("train: {epochs: 2}", "train: {epochs: 2, optimizer: adamw}")) == space


def test_former_key_is_accepted_with_a_hint(caplog: pytest.LogCaptureFixture) -> None:
    former = load_space(TEXT, overrides={"study.limits.silence": "5m"})
    assert "--set: study.limits.silence is now called" in caplog.text
    now = load_space(TEXT, overrides={"study.limits.stall_timeout": "5m"})
    assert (former, former.fingerprint) == (now, now.fingerprint)
    assert "stall_timeout: 5m" in former.dump()
    assert "silence" not in former.dump()


def test_stored_fingerprint_is_that_of_the_file_as_read_now() -> None:
    stored = Path(__file__).parents[2] / "golden" / "stored" / "old-study"
    header = json.loads((stored / "header.json").read_text())
    assert load_space(stored / "space.yaml").fingerprint == header["space_hash"]


def test_family_of_an_override_decides_which_other_paths_there_are() -> None:
    space = load_space(
        "study: {name: a, budget: {trials: 1}, objectives: {accuracy: maximize}}\n"
        "network: {family: squeezenet}\ndata: {name: digits}\n",
        overrides={"network.head.width": 64, "network.family": "mixnet"},
    )
    assert space.base.network.head.width == 64  # type: ignore[attr-defined]


def test_hash_leaves_out_name_and_budget(space: Space) -> None:
    assert (
        load_space(TEXT, overrides={"study.name": "b", "study.budget": "{time: 1h}"}).fingerprint == space.fingerprint
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("study.seed", "1"),
        ("study.sampler", "gp"),
        ("study.objectives", "{params: , accuracy: }"),
        ("network.fire4.squeeze", "{low: 2, high: 5}"),
        ("encoding.timesteps", "2"),
        ("train.epochs", "3"),
        ("energy.preset", "paper2602"),
        ("candidates", "{}"),
    ],
)
def test_hash_depends_on_everything_else(space: Space, path: str, value: str) -> None:
    assert load_space(TEXT, overrides={path: value}).fingerprint != space.fingerprint


def test_text_that_looks_like_a_number_survives_the_dump() -> None:
    text = TEXT.replace("label: published", "label: '1e3'")
    assert load_space(load_space(text).dump()).reference[0].label == "1e3"


def test_leaves_that_stored_spaces_lack_count_only_where_they_are_set() -> None:
    plain = load_space(TEXT, overrides={"data.resolution": 16}).fingerprint
    for path, default, other in (("muon_lr", 0.05, 0.1), ("first_resolution", "null", 8)):
        same, changed = (
            load_space(TEXT, overrides={"data.resolution": 16, f"train.{path}": value}).fingerprint
            for value in (default, other)
        )
        assert same == plain != changed
