"""Candidates ranked by shared weights: all of them, once, in the right order, and the first are trained."""

import optuna
import pytest
from helpers.untrained import header_for, trained

from reports.analysis.comparisons import shared_weights_agreement
from reports.analysis.pareto import as_losses, ranks
from reports.records.study import SharedRecord, SupernetRecord
from reports.storage.studies import read_study, sqlite_url
from reports.study.sections.findings import findings
from search.errors import SpaceError
from search.runner.budget import Budget
from search.samplers.initial_design import initial_design
from search.space.loading.loader import load_space
from search.study import create
from search.study.supernet import Ranking, pool, rank, recalled
from search.trial.folder import RunFolder
from search.trial.job import Placement

optuna.logging.set_verbosity(optuna.logging.ERROR)

FIRE = "{keep: {choices: [true, false]}, squeeze: 3, expand1x1: 4, expand3x3: 4}"
TEXT = f"""\
study:
  name: ranked
  budget: {{trials: 6}}
  objectives: {{accuracy: maximize, energy_mj: minimize, params: minimize}}
  constraints: {{params: {{max: 5_000}}}}
  supernet: {{epochs: 1, paths: 2, finalists: 3}}
network:
  family: squeezenet
  stem: {{width: {{choices: [4, 8]}}, stride: 2}}
  fire2: {FIRE}
  fire3: {FIRE}
  fire4: {FIRE}
  fire5: {{keep: false}}
  fire6: {{keep: false}}
  fire7: {{keep: false}}
  fire8: {{keep: false}}
  fire9: {{keep: false}}
  pool: {{after: [stem]}}
encoding: {{timesteps: 1}}
train: {{epochs: 1, batch: 32, augment: none}}
data: {{name: digits, subset: 200, validation: 0.25}}
candidates:
  baseline: {{network.stem.width: 4, network.fire2.keep: true, network.fire3.keep: false, network.fire4.keep: false}}
"""


@pytest.fixture(scope="module")
def space():
    return load_space(TEXT)


@pytest.mark.parametrize(
    ("leaf", "value", "says"),
    [
        ("optimizer", "muon", "train.optimizer: muon needs whole weights.*write optimizer: adamw"),
        ("first_resolution", "8", "train.first_resolution: study.supernet trains at one resolution"),
    ],
)
def test_training_that_shared_weights_cannot_have_is_refused(leaf, value, says):
    overrides = {f"train.{leaf}": value, "data.resolution": "16"}
    with pytest.raises(SpaceError, match=says):
        load_space(TEXT, overrides=overrides)


def ranked(space, folder):
    said = []
    return rank(space, RunFolder(folder), Placement(), said.append), said


def test_every_network_within_the_constraints_enters_once_the_largest_first(space):
    """Three Fires that are alike, side by side: only how many are kept tells networks apart."""
    entrants = [entrant.candidate for entrant in pool(space)]
    assert len({entrant.fingerprint for entrant in entrants}) == len(entrants) == 2 * 4
    sizes = [entrant.static()["dense_macs"] for entrant in entrants]
    assert sizes == sorted(sizes, reverse=True)
    bounded = load_space(TEXT, overrides={"study.constraints": "{params: {max: 300}}"})
    fewer = pool(bounded)
    assert 0 < len(fewer) < len(entrants)
    assert all(entrant.candidate.static()["params"] <= 300 for entrant in fewer)


def test_a_large_space_is_drawn_from(space):
    few = load_space(TEXT, overrides={"study.supernet": "{candidates: 3}"})
    assert len(pool(few)) == 3
    assert space.candidate(space.candidates["baseline"]).fingerprint in {
        entrant.candidate.fingerprint for entrant in pool(few)
    }


def test_places_are_those_of_the_objectives(space, tmp_path):
    found, said = ranked(space, tmp_path)
    assert sorted(place.place for place in found.places.values()) == list(range(1, 9))
    ordered = sorted(found.places.values(), key=lambda place: place.place)
    points = [as_losses(list(place.values.values()), ["maximize", "minimize", "minimize"]) for place in ordered]
    assert [place.rank for place in ordered] == sorted(ranks(points))
    assert [space.candidate(params).fingerprint for params in found.first] == [
        next(key for key, place in found.places.items() if place.place == at) for at in (1, 2, 3)
    ]
    assert (found.cost.ranked, found.cost.epochs) == (8, 1)
    assert found.cost.images > 150 // 32 * 32 * 2 > 0
    assert said[0].startswith("epoch 1 of 1: loss ")
    assert said[-1] == "8 of 8 candidates evaluated"


def test_what_was_judged_is_not_judged_again(space, tmp_path, monkeypatch):
    first, _ = ranked(space, tmp_path)
    lines = RunFolder(tmp_path).supernet_ranking.read_text().splitlines(keepends=True)
    RunFolder(tmp_path).supernet_ranking.write_text(
        "".join(lines[:5]) + lines[5][:40]
    )  # killed in the middle of a line
    again, said = ranked(space, tmp_path)
    assert said[-1] == "8 of 8 candidates evaluated"
    assert again.places == first.places
    monkeypatch.setattr("snnkit.weights.supernet_evaluation.evaluate_in_supernet", None)
    assert ranked(space, tmp_path)[0].places == first.places


def test_a_ranking_is_recalled_without_its_supernet(space, tmp_path):
    found, _ = ranked(space, tmp_path)
    RunFolder(tmp_path).supernet_checkpoint.unlink()
    again = recalled(space, RunFolder(tmp_path), found.cost)
    assert (again.places, again.first) == (found.places, found.first)
    RunFolder(tmp_path).supernet_ranking.unlink()
    assert recalled(space, RunFolder(tmp_path), found.cost).places == {}


def ranking_of(space):
    """Made up: places in the order of the pool."""
    entrants = pool(space)
    places = {
        entrant.candidate.fingerprint: SharedRecord(
            place=at, rank=0, values={"accuracy": 0.1 * at, "energy_mj": 1.0 / at, "params": float(at)}
        )
        for at, entrant in enumerate(entrants, start=1)
    }
    cost = SupernetRecord(ranked=len(entrants), epochs=1, images=100, macs=1e6, wall_s=90.0)
    return Ranking(cost, places, tuple(entrant.params for entrant in entrants[:3]))


def opened(space, folder):
    folder.mkdir()
    return create.create_study(header_for(space, folder.parent), space, folder, sqlite_url(folder / "study.db"))


def test_finalists_follow_what_a_study_begins_with(space, tmp_path):
    first = opened(space, tmp_path / "s")
    ranking = ranking_of(space)
    first.apply_ranking(ranking)
    url = sqlite_url(tmp_path / "s" / "study.db")
    again = create.load_study(read_study(url, "ranked").header, space, tmp_path / "s", url)
    again.recover()
    again.apply_ranking(ranking)  # a second time: nothing is asked for twice
    asked = []
    for _ in range(5):
        job = again.next(lambda record: None)
        asked.append(job.candidate.fingerprint)
        again.finish(trained(job))
    best = [space.candidate(params).fingerprint for params in ranking.first]
    begun = [
        space.candidate(space.candidates["baseline"]).fingerprint,
        *(space.candidate(p).fingerprint for p in initial_design(space)),
    ]
    assert asked[: len(begun)] == begun
    assert [key for key in asked[len(begun) :] if key in best] == [key for key in best if key not in begun]
    record = read_study(url, "ranked")
    assert record.header.supernet == ranking.cost
    complete = [trial for trial in record.trials if trial.status == "complete"]
    assert all(trial.shared == ranking.places[space.candidate(trial.params).fingerprint] for trial in complete)
    agreement = shared_weights_agreement(record)
    assert agreement.trials == 5
    assert set(agreement.correlations) == {"accuracy", "energy_mj", "params"}
    text = next(line for line in findings(record) if "ranked by the weights of one supernet" in line)
    assert "8 candidates were ranked" in text
    assert f"baseline at {complete[0].shared.place}" in text
    assert "Rank correlation with the results of the 5 that were then trained" in text


def test_rank_correlation_is_spearmans(space, tmp_path):
    from scipy.stats import spearmanr

    first = opened(space, tmp_path / "s")
    first.apply_ranking(ranking_of(space))
    for _ in range(5):
        first.finish(trained(first.next(lambda record: None)))
    record = read_study(sqlite_url(tmp_path / "s" / "study.db"), "ranked")
    complete = [trial for trial in record.trials if trial.status == "complete"]
    for name, value in shared_weights_agreement(record).correlations.items():
        pairs = zip(*((trial.shared.values[name], trial.values[name]) for trial in complete), strict=True)
        assert value == pytest.approx(spearmanr(*pairs).statistic)


def test_dials_that_change_what_weights_are_trained_for_are_refused():
    with pytest.raises(SpaceError, match=r"encoding.timesteps: cannot be a dial with study.supernet.* write encoding"):
        load_space(TEXT, overrides={"encoding.timesteps": "{choices: [1, 2]}"})


def test_what_ranking_takes_is_taken_from_the_budget():
    left = Budget(10, 60.0, 1e9).less(20.0, 4e8)
    assert (left.trials, left.seconds, left.macs) == (10, 40.0, 6e8)
    assert Budget(10, None).less(20.0, 4e8) == Budget(10, None)
