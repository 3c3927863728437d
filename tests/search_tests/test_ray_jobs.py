"""What Tune is given and what it hands back, trial by trial; no Ray is started."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from small_trials import job_for

from search.executors import Crew, ray_tune
from search.executors.ray_tune import RETRIES, Searcher, TuneTrial, _Jobs, _Watch
from search.job import Starts, write_starts


@dataclass
class Given:
    """A source of so many jobs, which notes what becomes of them."""

    jobs: list = field(default_factory=list)
    lost_numbers: list[int] = field(default_factory=list)
    asked: int = 0

    def next(self):
        self.asked += 1
        return self.jobs.pop(0) if self.jobs else None

    def stopping(self):
        return False

    def lost(self, number, reason, traceback=None):
        self.lost_numbers.append(number)


@dataclass
class Ended:
    """A trial that Tune has given up."""

    trial_id: str
    num_failures: int = 0

    def get_error(self):
        return None

    get_pickled_error = get_error


@pytest.fixture
def given(tmp_path):
    job = job_for(tmp_path)
    return Given([job.model_copy(update={"number": number}) for number in range(2)])


def number(config):
    return config["job"]["number"]


def test_a_trial_whose_worker_died_before_it_began_is_handed_out_again(given):
    """Tune gives a trial up at once where the worker that was to take it is gone."""
    jobs = _Jobs(given, Crew())
    assert number(jobs.suggest("a")) == 0
    for attempt in range(RETRIES):
        jobs.abandon(Ended("ab"[attempt % 2]))
        assert given.lost_numbers == []
        assert number(jobs.suggest("ba"[attempt % 2])) == 0
    jobs.abandon(Ended("ab"[RETRIES % 2]))
    assert given.lost_numbers == [0]
    assert number(jobs.suggest("c")) == 1


def test_a_trial_that_tune_has_tried_often_enough_is_lost(given):
    jobs = _Jobs(given, Crew())
    jobs.suggest("a")
    jobs.abandon(Ended("a", num_failures=RETRIES + 1))
    assert given.lost_numbers == [0]


def test_a_trial_that_gets_on_may_lose_any_number_of_workers(given):
    jobs = _Jobs(given, Crew())
    jobs.suggest("a")
    job = jobs.live("a")
    job.folder.mkdir(parents=True)
    for checkpoint in range(1, 5):
        write_starts(job, Starts(starts=checkpoint, checkpoint=checkpoint))
        jobs.abandon(Ended("a", num_failures=RETRIES + 1))
        assert number(jobs.suggest("a")) == 0
    jobs.abandon(Ended("a", num_failures=RETRIES + 1))
    assert given.lost_numbers == [0]


def test_tune_is_told_of_no_end_while_a_trial_may_still_leave_room_for_another(given, tmp_path):
    jobs = _Jobs(given, Crew())
    for trial in "ab":
        jobs.suggest(trial)
    assert jobs.suggest("c") is None
    assert jobs.suggest("c") is None
    assert given.asked == 3  # a question may be a search for what was not tried: none without a reason
    given.jobs.append(job_for(tmp_path).model_copy(update={"number": 7}))
    jobs.abandon(Ended("a", num_failures=RETRIES + 1))
    assert number(jobs.suggest("c")) == 7
    jobs.abandon(Ended("b", num_failures=RETRIES + 1))
    jobs.abandon(Ended("c", num_failures=RETRIES + 1))
    assert jobs.suggest("d") == Searcher.FINISHED


def test_a_worker_that_stands_still_is_ended_and_the_next_one_has_all_its_time(given, monkeypatch):
    """The first one ends itself and is replaced, the second one is stopped and cannot."""
    now, ended = [0.0], []
    monkeypatch.setattr(ray_tune, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(ray_tune, "node_lives", lambda: True)
    monkeypatch.setattr(ray_tune.ray, "kill", lambda worker: ended.append((worker, now[0])))
    jobs = _Jobs(given, Crew())
    jobs.suggest("a")
    jobs.live("a").folder.mkdir(parents=True)
    watch = _Watch(given, jobs)
    trial = SimpleNamespace(trial_id="a", status=TuneTrial.RUNNING, temporary_state=SimpleNamespace(ray_actor=None))
    for begins, worker, until in ((0, "first", 610), (610, "second", 1600)):  # seconds; silence is 10 min, 15 here
        trial.temporary_state.ray_actor = worker
        watch.on_trial_start(0, [trial], trial)
        for now[0] in range(begins, until, 10):
            watch.on_step_end(0, [trial])
    assert ended == [("second", 610 + 900)]
