"""The smallest and the largest candidate: what they are, when they are left out, and that a study begins with them."""

from pathlib import Path

import optuna
import pytest
from helpers.untrained import SPACES, header_for, trained

from reports.storage.studies import read_study, sqlite_url
from search.errors import InputError
from search.samplers.initial_design import initial_design
from search.space.loading.loader import load_space
from search.study import create, study

optuna.logging.set_verbosity(optuna.logging.ERROR)
FREE = {"study.constraints": "{}", "candidates": "{}"}
FILES = [path for path in SPACES.glob("*.yaml") if not path.stem.startswith("benchmark")]


def test_smallest_removes_every_module_and_largest_keeps_every_module_at_full_width():
    smallest, largest = initial_design(load_space(SPACES / "squeezenet_prune.yaml", overrides=FREE))
    assert smallest == {
        "network.stem.width": 32, "network.stem.stride": 2,  # a larger stride leaves less work
        **{f"network.fire{n}.keep": False for n in range(2, 10)},
    }  # fmt: skip
    assert (largest["network.stem.width"], largest["network.stem.stride"]) == (128, 1)
    assert all(largest[f"network.fire{n}.keep"] for n in range(2, 10))
    assert (largest["network.fire4.squeeze"], largest["network.fire9.squeeze"]) == (32, 96)


def test_dials_that_are_no_size_stay_at_their_anchor():
    overrides = {**FREE, "train.lr": "{low: 1e-4, high: 1e-2, log: true, default: 2e-3}"}
    for params in initial_design(load_space(SPACES / "squeezenet_resize.yaml", overrides=overrides)):
        assert params["train.lr"] == 2e-3
        assert params["network.pool.kind"] == "max"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_corners_are_trainable_and_differ_from_named_candidates(file: Path):
    space = load_space(file)
    found = [space.candidate(params) for params in initial_design(space)]
    named = {space.candidate(params).fingerprint for params in space.candidates.values()}
    assert not any(space.refusals(candidate) for candidate in found)
    assert len({candidate.fingerprint for candidate in found} | named) == len(found) + len(named)


def test_corner_that_breaks_a_constraint_is_left_out():
    space = load_space(SPACES / "squeezenet_prune.yaml", overrides={"study.constraints": "{params: {max: 800_000}}"})
    assert [space.candidate(params).static()["params"] < 800_000 for params in initial_design(space)] == [True]


@pytest.mark.parametrize(
    ("candidates", "left"),
    [("{}", ["small", "large"]), ("{baseline: {}}", ["small"]),
     ("{smallest: {network.stem.width: 8, network.fire3.keep: false, network.fire4.keep: false, "
      "network.fire5.keep: false, encoding.timesteps: 1}}", ["large"])],
)  # fmt: skip
def test_named_candidate_with_similar_work_replaces_a_corner(candidates, left):
    overrides = FREE | {"candidates": candidates}
    found = initial_design(load_space(SPACES / "smoke.yaml", overrides=overrides))
    assert ["large" if params["network.fire3.keep"] else "small" for params in found] == left


def opened(space, folder: Path) -> study.Study:
    folder.mkdir(parents=True, exist_ok=True)
    return create.create_study(header_for(space, folder.parent), space, folder, sqlite_url(folder / "study.db"))


def test_study_trains_corners_after_the_named_candidates(tmp_path):
    space = load_space(SPACES / "smoke.yaml", overrides=FREE | {"candidates": "{baseline: {}}"})
    begun, jobs = opened(space, tmp_path / "s"), []
    for _ in range(2):
        jobs.append(begun.next(lambda record: None))
        begun.finish(trained(jobs[-1]))
    assert [job.name for job in jobs] == ["baseline", None]
    assert [jobs[1].params] == initial_design(space)


def test_interrupted_launch_with_corners_can_be_repeated_and_a_finished_one_cannot(tmp_path, monkeypatch):
    space = load_space(SPACES / "smoke.yaml", overrides=FREE)
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            opened(space, tmp_path / "s")
    opened(space, tmp_path / "s")
    waiting = read_study(sqlite_url(tmp_path / "s" / "study.db"), "smoke")
    assert waiting.header.name == "smoke"
    with pytest.raises(InputError, match="exists"):
        opened(space, tmp_path / "s")
