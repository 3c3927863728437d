"""What Tune is given and what it hands back, trial by trial; no Ray is started."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import ray.exceptions
from helpers.small_trials import job_for
from ray import cloudpickle
from ray._private import serialization
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from reports.records.study import EpochRecord
from search.executors import WorkerPool, ray_cluster, ray_private, ray_tune
from search.executors.ray_tune import MAX_RETRIES, MEMORY_PAUSES_S, _Jobs, _RayGone, _Watch
from search.trial import cgroup
from search.trial.folder import Attempts
from search.trial.job import Job

EPOCH = EpochRecord(
    epoch=1, train_loss=1, train_accuracy=0, val_loss=1, val_accuracy=0, learning_rate=0.1, wall_s=1
).model_dump_json()


@dataclass
class Given:
    """A source of so many jobs, which notes what becomes of them."""

    jobs: list = field(default_factory=list)
    lost_numbers: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    halted: str | None = None
    asked: int = 0

    def next(self):
        self.asked += 1
        return self.jobs.pop(0) if self.jobs else None

    def stopping(self):
        return False

    def epoch(self, number, epoch):
        return False

    def lost(self, number, reason, traceback=None):
        self.lost_numbers.append(number)

    def note(self, text):
        self.notes.append(text)

    def halt(self, reason):
        self.halted = reason


@dataclass
class Ended:
    """A trial that Tune has given up."""

    trial_id: str
    error_file: str | None = None
    pickled_error_file: str | None = None


@pytest.fixture
def given(tmp_path):
    job = job_for(tmp_path)
    return Given([job.model_copy(update={"number": number}) for number in range(2)])


def number(config):
    return config["number"]


def test_a_trial_whose_worker_died_before_it_began_is_handed_out_again(given):
    """Tune gives a trial up at once where the worker that was to take it is gone."""
    jobs = _Jobs(given, WorkerPool())
    assert number(jobs.suggest("a")) == 0
    for attempt in range(MAX_RETRIES):
        jobs.abandon(Ended("ab"[attempt % 2]))
        assert given.lost_numbers == []
        assert number(jobs.suggest("ba"[attempt % 2])) == 0
    jobs.abandon(Ended("ab"[MAX_RETRIES % 2]))
    assert given.lost_numbers == [0]
    assert number(jobs.suggest("c")) == 1


def test_tune_is_given_nothing_that_it_would_keep_in_pieces(given):
    """It holds a trial's configuration and last result for as long as it runs, each leaf by its path."""
    config = _Jobs(given, WorkerPool()).suggest("a")
    assert {key for key, value in config.items() if isinstance(value, dict)} == {"placement"}
    assert Job.model_validate_json(config["job"]).number == config["number"] == 0
    trial = TuneTrial("stub", stub=True)
    trial.run_metadata.last_result = {"record": "x" * 10_000, "done": True}
    _Watch(given, _Jobs(given, WorkerPool())).on_trial_complete(iteration=1, trials=[trial], trial=trial)
    assert trial.run_metadata.last_result.keys() <= {"done", "trial_id"}


def lose(jobs, trial):
    """All workers of a trial die."""
    for _ in range(MAX_RETRIES):
        lost = jobs.live(trial).number
        jobs.abandon(Ended(trial))
        assert number(jobs.suggest(trial)) == lost
    jobs.abandon(Ended(trial))


def test_a_lost_trial_keeps_what_ray_said(given, tmp_path):
    (tmp_path / "error.txt").write_text("the worker was killed by a signal\n")
    jobs, told = _Jobs(given, WorkerPool()), []
    given.lost = lambda number, reason, traceback: told.append(traceback)
    for _ in range(MAX_RETRIES + 1):
        jobs.suggest("a")
        jobs.abandon(Ended("a", error_file=str(tmp_path / "error.txt")))
    assert told == ["the worker was killed by a signal"]


def lost_after(given, crew, get_on):
    """How often a trial that gets on four times is handed out again: its workers die as often as Tune tries."""
    jobs = _Jobs(given, crew)
    jobs.suggest("a")
    job = jobs.live("a")
    job.folder.mkdir(parents=True)
    for handed in range(10):
        if handed < 4:
            get_on(job, handed)
        for _ in range(MAX_RETRIES + 1):
            jobs.abandon(Ended("a"))
            if given.lost_numbers:
                return handed
            assert number(jobs.suggest("a")) == 0
    return None


def test_a_trial_that_gets_on_may_lose_any_number_of_workers(given):
    """Later workers may die before they begin: the checkpoint says how far the trial is."""
    assert lost_after(given, WorkerPool(), lambda job, n: job.files.checkpoint.write_text(str(n))) == 4


def test_through_an_exchange_a_trial_has_got_on_where_it_began_from_another_checkpoint(given, tmp_path):
    crew = WorkerPool(exchange=str(tmp_path / "exchange"), scratch=str(tmp_path))
    attempts = [Attempts(starts=n, checkpoint=n) for n in range(1, 5)]
    assert lost_after(given, crew, lambda job, n: job.files.write_attempts(attempts[n])) == 4


def test_tune_is_told_of_no_end_while_a_trial_may_still_leave_room_for_another(given, tmp_path):
    jobs = _Jobs(given, WorkerPool())
    for trial in "ab":
        jobs.suggest(trial)
    assert jobs.suggest("c") is None
    assert jobs.suggest("c") is None
    assert given.asked == 3  # a question may be a search for what was not tried: none without a reason
    given.jobs.append(job_for(tmp_path).model_copy(update={"number": 7}))
    lose(jobs, "a")
    assert number(jobs.suggest("c")) == 7
    lose(jobs, "b")
    lose(jobs, "c")
    assert jobs.suggest("d") == Searcher.FINISHED


@pytest.fixture
def cluster(monkeypatch):
    """What a driver sees of Ray: its ``now``, and whether its parts are there. ``ended``: workers, and when."""
    cluster = SimpleNamespace(now=0.0, store=True, node=True, ended=[])
    monkeypatch.setattr(ray_tune, "time", SimpleNamespace(monotonic=lambda: cluster.now))
    monkeypatch.setattr(ray_tune, "store_answers", lambda: cluster.store)
    monkeypatch.setattr(ray_tune, "node_lives", lambda: cluster.node)
    monkeypatch.setattr(ray, "kill", lambda worker: cluster.ended.append((worker, cluster.now)))
    return cluster


def under_way(worker, status=TuneTrial.RUNNING):
    return SimpleNamespace(trial_id="a", status=status, temporary_state=SimpleNamespace(ray_actor=worker))


def watched(watch, trial, cluster, until):
    """So many seconds pass."""
    while cluster.now < until:
        watch.on_step_end(0, [trial])
        cluster.now += 1


def test_a_worker_that_stands_still_is_ended_and_the_next_one_has_all_its_time(given, cluster):
    """The first one ends itself after the 10 minutes allowed, the second one is stopped and cannot."""
    jobs = _Jobs(given, WorkerPool())
    jobs.suggest("a")
    watch = _Watch(given, jobs)
    for worker, until in (("first", 610), ("second", 1600)):
        trial = under_way(worker)
        watch.on_trial_start(0, [trial], trial)
        watched(watch, trial, cluster, until)
    assert cluster.ended == [("second", 610 + 900)]


def test_a_worker_that_stands_still_between_two_trials_is_ended(given, cluster):
    """Tune waits for it before it calls the second one running."""
    jobs = _Jobs(given, WorkerPool())
    jobs.suggest("a")
    watched(_Watch(given, jobs), under_way("worker", TuneTrial.PENDING), cluster, 1000)
    assert cluster.ended == [("worker", 900)]


def test_a_trial_that_waits_for_room_has_no_worker_to_end(given, cluster):
    jobs = _Jobs(given, WorkerPool())
    jobs.suggest("a")
    watched(_Watch(given, jobs), under_way(None, TuneTrial.PENDING), cluster, 2000)
    assert cluster.ended == []


@pytest.mark.parametrize(
    ("part", "text", "after"),
    [("node", "this machine's raylet is gone", 5), ("store", "Ray's control store is gone", 25)],
)
def test_a_driver_ends_when_a_part_of_ray_is_gone(given, cluster, part, text, after):
    watch = _Watch(given, _Jobs(given, WorkerPool()))
    watched(watch, under_way(None), cluster, 100)
    setattr(cluster, part, False)
    with pytest.raises(_RayGone, match=text):
        watched(watch, under_way(None), cluster, 200)
    assert cluster.now - 100 <= after


def test_a_control_store_may_come_back(given, cluster):
    watch = _Watch(given, _Jobs(given, WorkerPool()))
    for until in range(15, 300, 15):
        cluster.store = not cluster.store
        watched(watch, under_way(None), cluster, until)
    assert cluster.now == 285


def test_tune_takes_a_worker_that_ray_kills_for_its_memory_for_dead(monkeypatch):
    monkeypatch.setattr(serialization, "OutOfMemoryError", ray.exceptions.OutOfMemoryError)
    monkeypatch.setattr(ray_cluster, "_start", lambda pool: None)
    ray_cluster.connect(WorkerPool())
    error = getattr(serialization, "OutOfMemoryError")("low on memory")  # noqa: B009  # mypy knows no such name
    assert isinstance(error, ray.exceptions.RayActorError)
    assert str(error) == "low on memory"


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A clock, the number of processes that the system killed, and a trial that Ray killed for its memory."""
    memory = SimpleNamespace(now=0.0, kills=0)
    monkeypatch.setattr(ray_tune, "time", SimpleNamespace(monotonic=lambda: memory.now))
    monkeypatch.setattr(cgroup, "oom_kills", lambda: memory.kills)
    path = tmp_path / "error.pkl"
    path.write_bytes(cloudpickle.dumps(ray_private.KilledForMemoryError("low on memory")))
    memory.killed = lambda trial: Ended(trial, pickled_error_file=str(path))
    return memory


def test_a_trial_killed_for_memory_waits_for_the_others_and_fewer_run_at_once(tmp_path, memory):
    given = Given([job_for(tmp_path).model_copy(update={"number": number}) for number in range(6)])
    jobs = _Jobs(given, WorkerPool(workers=4))
    for trial in "abcd":
        jobs.suggest(trial)
    jobs.abandon(memory.killed("d"))
    assert given.notes == [
        "trial 3: its worker was killed because memory ran out. It continues later; from now on 1 at once"
    ]
    for trial in "abc":
        assert jobs.suggest("e") is None
        jobs.worthwhile(trial, {"epoch_record": EPOCH})  # the source stops it
    assert number(jobs.suggest("e")) == 3
    assert jobs.suggest("f") is None
    assert given.lost_numbers == []


def test_a_trial_killed_for_memory_alone_is_tried_again_after_a_pause_and_left_to_the_next_run(given, memory):
    jobs = _Jobs(given, WorkerPool())
    for pause_s in MEMORY_PAUSES_S:
        assert number(jobs.suggest("a")) == 0
        jobs.abandon(memory.killed("a"))
        memory.now += pause_s - 1
        assert jobs.suggest("a") is None  # the next trial would lack memory too
        memory.now += 1
    assert number(jobs.suggest("a")) == 0
    jobs.abandon(memory.killed("a"))
    assert (given.lost_numbers, given.halted) == ([], None)
    assert given.notes[-1].endswith("3 times without getting any further. It is left to the next resume")
    assert number(jobs.suggest("b")) == 1


def test_a_run_stops_when_two_trials_in_a_row_lack_memory(given, memory):
    jobs = _Jobs(given, WorkerPool())
    for _ in range(2 * (len(MEMORY_PAUSES_S) + 1)):
        memory.now += max(MEMORY_PAUSES_S)
        jobs.suggest("a")
        jobs.abandon(memory.killed("a"))
    assert given.halted.startswith("trial 1: its worker was killed because memory ran out, and so was trial 0's")
    assert given.lost_numbers == []


def test_a_worker_that_the_system_killed_for_memory_counts_as_such(given, memory):
    """Ray sees no more than a signal; the system counts what it kills."""
    jobs = _Jobs(given, WorkerPool())
    jobs.suggest("a")
    memory.kills = 1
    jobs.abandon(Ended("a"))
    assert "because memory ran out" in given.notes[0]
    memory.now = max(MEMORY_PAUSES_S)
    jobs.suggest("a")
    jobs.abandon(Ended("a"))
    assert len(given.notes) == 1  # the count has not risen since
    assert number(jobs.suggest("a")) == 0
