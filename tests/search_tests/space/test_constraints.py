"""A bound on energy: what cannot meet it is never trained, what was trained and does not is on no front."""

from io import StringIO
from pathlib import Path

import optuna
import pytest
from helpers.untrained import SPACES, header_for, trained
from rich.console import Console

from reports.analysis.front import front_trials
from reports.records.study import EpochRecord, Measured, StudyRecord, TrialRecord
from reports.storage.studies import read_study, sqlite_url
from reports.study.report import markdown, page
from search.cli.tables import ending
from search.cli.validate import survey
from search.errors import SpaceError
from search.registries import SAMPLERS
from search.space.loading.loader import load_space
from search.space.space import Space
from search.study import create
from search.study.study import Study

optuna.logging.set_verbosity(optuna.logging.ERROR)
EXACT = "horowitz45/exact"


def bounded(most: float, **overrides: object) -> Space:
    limit = f"{{energy_mj: {{max: {most}}}}}"
    return load_space(SPACES / "smoke.yaml", overrides={"study.constraints": limit, **overrides})


def opened_in(folder: Path, space: Space) -> Study:
    folder.mkdir(parents=True)
    return create.create_study(header_for(space, folder.parent), space, folder, sqlite_url(folder / "study.db"))


def read(opened: Study) -> StudyRecord:
    return read_study(sqlite_url(opened.folder / "study.db"), opened.header.name)


def stored(opened: Study) -> optuna.Study:
    return optuna.load_study(study_name=opened.header.name, storage=sqlite_url(opened.folder / "study.db"))


def ignore(record: TrialRecord) -> None:
    return None


def at_energy(record: TrialRecord, energy_mj: float) -> TrialRecord:
    assert record.metrics is not None
    metrics = record.metrics.model_copy(update={"energy_mj": record.metrics.energy_mj | {EXACT: energy_mj}})
    return record.model_copy(update={"metrics": metrics})


@pytest.mark.parametrize("energy", ["{}", "{model: lemaire2022}", "{preset: paper2602}"])
def test_what_cannot_meet_the_bound_without_a_spike_is_refused_with_both_figures(energy: str) -> None:
    free = load_space(SPACES / "smoke.yaml", overrides={"energy": energy})
    candidate = free.candidate(free.candidates["baseline"])
    least = candidate.least_energy_mj()
    assert least > 0
    bound = 0.75 * least
    reason = f"energy_mj {least:.4g}, the least if no neuron fires, is above the limit of {bound:.4g} by "
    assert str(bounded(bound, energy=energy).refusals(candidate)[0]).startswith(reason)
    assert bounded(least, energy=energy).refusals(candidate) == []
    assert bounded(least, energy=energy).violations(candidate) == {"energy_mj": 0}


def test_refused_candidates_are_never_trained_and_named_ones_say_so(tmp_path: Path) -> None:
    free = load_space(SPACES / "smoke.yaml")
    least = {name: free.candidate(params).least_energy_mj() for name, params in free.candidates.items()}
    space = bounded(sorted(least.values())[1] * 0.999)
    opened, refused = opened_in(tmp_path / "s", space), []
    for _ in range(6):
        job = opened.next(refused.append)
        assert job is not None
        assert job.candidate.least_energy_mj() <= space.study.constraints["energy_mj"]["max"]
        opened.finish(trained(job))
    assert {record.name for record in refused} >= {name for name in least if name != min(least, key=least.__getitem__)}
    for record in refused:
        excess = stored(opened).trials[record.number].constraints["energy_mj"]
        assert record.status != "refused" or excess > 0


def test_what_was_trained_and_lies_above_the_bound_is_infeasible_and_on_no_front(tmp_path: Path) -> None:
    opened = opened_in(tmp_path / "s", bounded(0.02))
    for energy_mj in (0.015, 0.03, 0.02):  # named candidates; the second one is by far the most accurate
        job = opened.next(ignore)
        assert job is not None
        record = at_energy(trained(job), energy_mj)
        better = record.metrics.model_copy(update={"accuracy": 0.9 if energy_mj == 0.03 else 0.5})
        opened.finish(record.model_copy(update={"metrics": better}))
    found = read(opened)
    asked = [trial for trial in found.trials if trial.status != "waiting"]  # the smallest network still waits
    assert [trial.status for trial in asked] == ["complete", "infeasible", "complete"]
    above = found.trials[1]
    assert above.reason == "energy_mj 0.03 is above the limit of 0.02 by 0.01"
    assert above.values["energy_mj"] == 0.03  # what a sampler learns from
    assert above.number not in [trial.number for trial in front_trials(found)]
    told = stored(opened).trials[:3]
    assert [trial.state.name for trial in told] == ["COMPLETE"] * 3
    assert [trial.constraints["energy_mj"] for trial in told] == pytest.approx([-0.005, 0.01, 0.0])
    assert above.number not in [trial.number for trial in stored(opened).best_trials]


def test_report_says_what_was_infeasible_and_why(tmp_path: Path) -> None:
    opened = opened_in(tmp_path / "s", bounded(0.02))
    for energy_mj in (0.015, 0.03):
        opened.finish(at_energy(trained(opened.next(ignore)), energy_mj))
    found = read(opened)
    for text in (page(found), markdown(found).replace("\\", "")):
        assert "energy per inference at most 0.0200 mJ by horowitz45/exact" in text
        assert "1 complete, 1 infeasible" in text
        assert "energy_mj 0.03 is above the limit of 0.02 by 0.01" in text
        assert "Trials left out" in text


def test_a_run_that_found_nothing_within_the_bound_says_so(tmp_path: Path) -> None:
    opened = opened_in(tmp_path / "s", bounded(0.02))
    opened.finish(at_energy(trained(opened.next(ignore)), 0.03))
    out = StringIO()
    Console(file=out, width=200).print(ending(read(opened), opened.folder))
    assert "1 tried, but each exceeds a bound: no candidate meets the constraints yet" in out.getvalue()


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_samplers_go_on_with_infeasible_stopped_and_refused_trials(sampler: str, tmp_path: Path) -> None:
    opened = opened_in(tmp_path / "s", bounded(0.5, **{"study.sampler": sampler}))
    for _ in range(14):  # energies are drawn from 0.01 to 1.01
        job = opened.next(ignore)
        assert job is not None
        opened.finish(trained(job))
    found = read(opened)
    for trial in found.trials:
        if trial.metrics is not None:
            assert (trial.status == "infeasible") == (trial.metrics.energy_mj[EXACT] > 0.5)
    assert {trial.status for trial in found.trials} >= {"complete", "infeasible"}


def test_driver_that_died_before_it_told_leaves_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = opened_in(tmp_path / "s", bounded(0.02))
    job = opened.next(ignore)
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "tell", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            opened.finish(at_energy(trained(job), 0.03))
    again = create.load_study(opened.header, bounded(0.02), opened.folder, sqlite_url(opened.folder / "study.db"))
    assert again.recover() == ([job.number], [])
    told = stored(opened).trials[job.number]
    assert (told.state.name, read(opened).trials[job.number].status) == ("COMPLETE", "infeasible")
    assert told.constraints["energy_mj"] == pytest.approx(0.01)


def test_what_is_above_a_bound_at_a_rung_stops_no_other(tmp_path: Path) -> None:
    rules = {"study.stopping": "{first: 1, margin: 0}", "train.rungs": "[1]", "candidates": "{}"}
    opened = opened_in(tmp_path / "s", bounded(0.02, **rules, **{"study.objectives": "{accuracy: maximize}"}))
    verdicts = []
    for accuracy, energy_mj in ((0.9, 0.03), (0.5, 0.01), (0.7, 0.01), (0.4, 0.01)):
        job = opened.next(ignore)
        measured = at_energy(trained(job), energy_mj).metrics.model_copy(update={"accuracy": accuracy})
        epoch = EpochRecord(
            epoch=1, train_loss=1, train_accuracy=0, val_loss=1, val_accuracy=accuracy, learning_rate=0.1, wall_s=1,
            measured=measured,
        )  # fmt: skip
        verdicts.append(opened.prune(job.number, epoch))
    assert [verdict is not None for verdict in verdicts] == [False, False, False, True]
    assert stored(opened).trials[3].constraints["energy_mj"] == pytest.approx(-0.01)


def test_validate_counts_what_would_be_refused() -> None:
    free = survey(load_space(SPACES / "smoke.yaml", overrides={"study.constraints": "{}"}), samples=100)
    assert free.least_energy_mj is not None
    low, high = free.least_energy_mj
    assert 0 < low < high
    found = survey(bounded((low + high) / 2), samples=100)
    assert 0 < found.refused["energy_mj"] < 100
    assert found.feasible == 1 - found.refused["energy_mj"] / 100
    assert survey(bounded(high), samples=100).refused == {}
    assert survey(bounded(low / 2), samples=100).feasible == 0


# -- bounds on figures that only training can tell ----------------------------------------------------------------


def accurate(least: float, **overrides: object) -> Space:
    limits = f"{{accuracy: {{min: {least}}}, spikes: {{max: 1_000_000}}}}"
    return load_space(SPACES / "smoke.yaml", overrides={"study.constraints": limits, **overrides})


def with_accuracy(record: TrialRecord, accuracy: float) -> TrialRecord:
    assert record.metrics is not None
    return record.model_copy(update={"metrics": record.metrics.model_copy(update={"accuracy": accuracy})})


def test_candidate_below_the_bound_on_accuracy_is_on_no_front(tmp_path: Path) -> None:
    opened = opened_in(tmp_path / "s", accurate(0.5))
    for accuracy in (0.49, 0.5, 0.6):
        job = opened.next(ignore)
        assert job is not None
        opened.finish(with_accuracy(trained(job), accuracy))
    record = read(opened)
    below, on_bound, above = (trial for trial in record.trials if trial.metrics)
    assert (below.status, on_bound.status, above.status) == ("infeasible", "complete", "complete")
    assert below.reason == "accuracy 0.49 is below the limit of 0.5 by 0.01"
    assert below.number not in {trial.number for trial in front_trials(record)}
    assert stored(opened).trials[below.number].constraints["accuracy"] == pytest.approx(0.01)
    assert "validation accuracy at least 0.5" in markdown(record)


def test_nothing_is_refused_before_training_for_its_accuracy() -> None:
    space = accurate(0.9)
    candidate = space.candidate(space.candidates["baseline"])
    assert space.refusals(candidate) == []
    assert space.violations(candidate) == {"accuracy": 0.0, "spikes": 0.0}


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ("{accuracy: {max: 0.7}}", r"accuracy: given \{max: 0.7\}; write accuracy: \{min: 0.7\}"),
        ("{accuracy: {min: 70}}", r"accuracy: given \{min: 70\}; write accuracy: \{min: 0.7\}"),
        ("{spikes: {min: 5}}", r"spikes: given \{min: 5\}; write spikes: \{max: 50_000\}"),
        ("{accurracy: {min: 0.7}}", r"cannot be bounded; allowed are accuracy, .*did you mean accuracy\?"),
    ],
)
def test_bound_on_the_wrong_side_is_refused(limits: str, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        load_space(SPACES / "smoke.yaml", overrides={"study.constraints": limits})


def test_low_accuracy_at_a_rung_does_not_hide_a_trial_from_early_stopping() -> None:
    space = accurate(0.5)
    measured = Measured(
        accuracy=0.2, params=1, dense_macs=1, macs=1, acs=1, spikes=2e6, firing_rate=0.1, timesteps=2,
        energy_mj={EXACT: 1.0}, twin_energy_mj={EXACT: 1.0},
    )  # fmt: skip
    assert [refusal.name for refusal in space.exceeded(measured)] == ["accuracy", "spikes"]
    assert [refusal.name for refusal in space.exceeded(measured, at_rung=True)] == ["spikes"]


def test_search_stays_where_accuracy_meets_its_bound(tmp_path: Path) -> None:
    """Accuracy follows the width of the stem; below the bound there is nothing to gain, however small the network."""

    def proposals(space: Space, folder: Path) -> list[int]:
        opened, widths = opened_in(folder, space), []
        for _ in range(14):
            job = opened.next(ignore)
            assert job is not None
            width = int(job.params["network.stem.width"])
            widths.append(width)
            opened.finish(with_accuracy(trained(job), 0.3 + 0.04 * width / 8))
        return widths[6:]

    stem = {"network.stem.width": "{low: 8, high: 80, step: 8}", "candidates": "{}", "study.sampler": "ehvi"}
    free = load_space(SPACES / "smoke.yaml", overrides=stem)
    bound = accurate(0.6, **stem)
    without, within = (proposals(space, tmp_path / name) for name, space in (("free", free), ("bound", bound)))
    assert sum(width >= 64 for width in within) >= 6
    assert sum(width >= 64 for width in within) > sum(width >= 64 for width in without)
