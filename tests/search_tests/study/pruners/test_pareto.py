"""Early stopping: which trials are stopped, what is stored, and that neither kills nor executors change it."""

import random

import optuna
import pytest
from helpers.untrained import SPACES, header_for, options_for, trained

from reports.analysis.front import front_trials
from reports.analysis.pareto import dominates
from reports.records.study import EpochRecord, Measured
from reports.storage.studies import read_study, sqlite_url
from search.errors import SpaceError
from search.runner.budget import Budget
from search.runner.launch import launch
from search.runner.loop import Driver
from search.runner.observer import SILENT
from search.runner.progress import RunProgress
from search.space.loading.loader import load_space
from search.space.sections import EarlyStopping
from search.study import create
from search.study.pruners.pareto import ParetoPruner

optuna.logging.set_verbosity(optuna.logging.ERROR)
OBJECTIVES = {"accuracy": "maximize", "energy_mj": "minimize", "params": "minimize"}


def rungs_of(points, **rule):
    rungs = ParetoPruner(EarlyStopping(**({"first": 1, "margin": 0.0} | rule)), OBJECTIVES)
    for trial, point in enumerate(points):
        rungs.add(1, trial, point)
    return rungs


def drawn(seed, count):
    rng = random.Random(seed)
    return [(rng.random(), rng.uniform(0.01, 0.1), rng.randrange(10, 30)) for _ in range(count)]


def losses(point):
    return (-point[0], *point[1:])


@pytest.mark.parametrize("seed", range(20))
def test_trial_that_nothing_dominates_is_never_stopped(seed):
    points = drawn(seed, 30)
    rungs = rungs_of(points, reduction=100.0)
    for trial, point in enumerate(points):
        dominated = any(dominates(losses(other), losses(point)) for other in points)
        assert (rungs.prune_reason(1, trial) is not None) <= dominated


@pytest.mark.parametrize("seed", range(20))
def test_trial_is_stopped_exactly_when_the_rule_says_so(seed):
    points = drawn(seed, 25)
    rungs = rungs_of(points, reduction=2.0, margin=0.05)
    for trial, point in enumerate(points):
        better = _of_better_rank(point, points)
        lifted = (point[0] + 0.05, *point[1:])
        expected = better * 2 >= len(points) and _dominated(lifted, points)
        assert (rungs.prune_reason(1, trial) is not None) == expected


def _of_better_rank(point, among):
    """Count the points on fronts before that of ``point``."""
    front = [other for other in among if not _dominated(other, among)]
    if point in front:
        return 0
    return len(front) + _of_better_rank(point, [other for other in among if other not in front])


def _dominated(point, among):
    return any(dominates(losses(other), losses(point)) for other in among)


def test_first_trials_at_a_rung_are_not_stopped():
    good, bad = (0.9, 0.01, 10), (0.1, 0.1, 20)
    assert rungs_of([good, good, good, bad], first=5).prune_reason(1, 3) is None
    assert rungs_of([good, good, good, good, bad], first=5).prune_reason(1, 4) is not None


def test_trial_within_the_accuracy_margin_is_not_stopped():
    good = [(0.50, 0.01, 10)] * 5
    assert rungs_of([*good, (0.49, 0.02, 20)], margin=0.02).prune_reason(1, 5) is None
    assert rungs_of([*good, (0.47, 0.02, 20)], margin=0.02).prune_reason(1, 5) is not None


def test_reason_names_the_dominating_trials():
    reason = rungs_of([(0.9, 0.01, 10)] * 5 + [(0.1, 0.1, 20)]).prune_reason(1, 5)
    assert reason == (
        "early: after epoch 1 dominated by trials 0, 1, 2 and 2 more, and 5 of 6 trials there have a better rank"
    )


# -- in a study -----------------------------------------------------------------------------------------------------


@pytest.fixture
def space():
    return load_space(early(""))


def early(replaced, text=""):
    """Return the smoke space with rungs and early stopping, and with ``replaced`` replaced by ``text``."""
    source = (SPACES / "smoke.yaml").read_text()
    source = source.replace("  budget:", "  stopping: {first: 3, margin: 0}\n  budget:")
    source = source.replace("  epochs: 4", "  epochs: 4\n  rungs: [1, 2]")
    assert replaced in source
    return source.replace(replaced, text) if replaced else source


@pytest.fixture
def opened(space, tmp_path):
    folder = tmp_path / "smoke"
    folder.mkdir()
    return create.create_study(header_for(space, tmp_path), space, folder, sqlite_url(folder / "study.db"))


def epoch_of(number, goodness):
    """Return an epoch record. The lower ``goodness``, the worse all objectives."""
    price = {"horowitz45/exact": 2 - goodness}
    measured = Measured(
        accuracy=goodness, params=int(1000 * (2 - goodness)), acs=1.0, macs=1.0, dense_macs=1, spikes=1.0,
        firing_rate=0.1, timesteps=1, energy_mj=price, twin_energy_mj=price,
    )  # fmt: skip
    return EpochRecord(
        epoch=number, train_loss=1.0, train_accuracy=0.1, val_loss=1.0, val_accuracy=goodness, learning_rate=0.1,
        wall_s=2.0, measured=measured,
    )  # fmt: skip


def driver_of(opened):
    return Driver(opened, Budget(None, None), RunProgress(), SILENT)


def good_trials(driver, count):
    for _ in range(count):
        job = driver.next()
        assert driver.epoch(job.number, epoch_of(1, 0.9))
        driver.finished(trained(job))


def test_stopped_trial_is_pruned_and_on_no_front(opened):
    driver = driver_of(opened)
    good_trials(driver, 5)
    job = driver.next()
    job.folder.mkdir(parents=True)
    (job.folder / "checkpoint.pt").touch()
    assert not driver.epoch(job.number, epoch_of(1, 0.2))
    record = read_study(sqlite_url(opened.folder / "study.db"), "smoke")
    stopped = record.trials[job.number]
    assert (stopped.status, stopped.values, stopped.metrics, stopped.wall_s) == ("stopped", {}, None, 2.0)
    assert [epoch.epoch for epoch in stopped.history] == [1]
    assert stopped.number not in [trial.number for trial in front_trials(record)]
    assert not (job.folder / "checkpoint.pt").exists()
    assert driver.progress.trained == 6
    loaded = optuna.load_study(study_name="smoke", storage=sqlite_url(opened.folder / "study.db"))
    assert loaded.trials[job.number].state == optuna.trial.TrialState.PRUNED


def test_named_candidates_are_never_stopped(opened):
    driver = driver_of(opened)
    jobs = [driver.next() for _ in range(3)]
    assert all(job.name for job in jobs)
    for job, goodness in zip(jobs, (0.9, 0.5, 0.1), strict=True):
        assert driver.epoch(job.number, epoch_of(1, goodness))


def test_rungs_include_the_trials_of_earlier_drivers(opened, space):
    driver = driver_of(opened)
    good_trials(driver, 5)
    left = driver.next()  # the driver is killed after this trial's rung
    assert driver.epoch(left.number, epoch_of(1, 0.9))
    again = create.load_study(opened.header, space, opened.folder, sqlite_url(opened.folder / "study.db"))
    again.recover()
    driver = driver_of(again)
    taken_up = driver.next()
    assert taken_up.number == left.number
    assert driver.epoch(left.number, epoch_of(1, 0.9))  # it continues from its checkpoint and reports the rung again
    other = driver.next()
    assert not driver.epoch(other.number, epoch_of(1, 0.2))
    reason = read_study(sqlite_url(opened.folder / "study.db"), "smoke").trials[other.number].reason
    assert "6 of 7 trials there" in reason


@pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=pytest.mark.slow)])
def test_study_stops_trials_at_rungs(executor, tmp_path):
    space = load_space(early(""), overrides={"data.subset": "300", "train.chance_patience": "0"})
    record = launch(space, options_for(tmp_path, executor=executor, trials=7))
    stopped = [trial for trial in record.trials if trial.status == "stopped"]
    assert stopped
    for trial in stopped:
        assert trial.history[-1].epoch in (1, 2)
        assert trial.history[-1].measured.accuracy == trial.history[-1].val_accuracy
        assert trial.reason.startswith(f"early: after epoch {trial.history[-1].epoch} dominated by trial")
        assert not list((tmp_path / "smoke/trials" / str(trial.number)).glob("checkpoint*"))
    complete = [trial for trial in record.trials if trial.status == "complete"]
    assert all([e.epoch for e in trial.history if e.measured] == [1, 2] for trial in complete)
    assert not any(trial.status in ("running", "failed") for trial in record.trials)


def test_rule_of_the_space_decides_which_trials_are_stopped(tmp_path):
    space, folder = load_space(early("{first: 3", "{rule: median, first: 3")), tmp_path / "smoke"
    folder.mkdir()
    opened = create.create_study(header_for(space, tmp_path), space, folder, sqlite_url(folder / "study.db"))
    driver = driver_of(opened)
    good_trials(driver, 5)
    job = driver.next()
    assert not driver.epoch(job.number, epoch_of(1, 0.2))
    reason = read_study(sqlite_url(folder / "study.db"), "smoke").trials[job.number].reason
    assert reason == "early: after epoch 1 accuracy 0.200, worse than the median 0.900 of 5 trials"


# -- what is refused ------------------------------------------------------------------------------------------------


def test_stopping_is_refused_with_a_sampler_that_ignores_stopped_trials():
    with pytest.raises(SpaceError, match=r"sampler gp does not learn .* write sampler: ehvi"):
        load_space(early("sampler: tpe", "sampler: gp"))


def test_stopping_without_rungs_is_refused():
    with pytest.raises(SpaceError, match=r"study.stopping: there is no epoch .* write train: \{rungs: \[1, 3\]\}"):
        load_space(early("  rungs: [1, 2]\n"))


@pytest.mark.parametrize("rungs", ["[2, 1]", "[0]", "[4]", "[1, 1]"])
def test_rungs_must_be_rising_epochs(rungs):
    with pytest.raises(SpaceError, match="rising order, from 1 to less than 4: such as"):
        load_space(early("rungs: [1, 2]", f"rungs: {rungs}"))
