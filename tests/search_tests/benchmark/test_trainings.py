"""Order of a benchmark's trainings, and the treatment of failed ones. Nothing is trained."""

from pathlib import Path

import pytest
from helpers.small_benchmarks import AVERAGED, FURTHER, TINY, with_third
from helpers.untrained import finish, trained

from reports.records.study import EpochRecord, StartRecord
from reports.storage.results import read_result
from search.benchmark.loader import load_benchmark
from search.benchmark.trainings import Trainings
from search.runner.budget import Budget
from search.runner.loop import Driver, RunError
from search.runner.observer import SILENT
from search.runner.progress import RunProgress
from search.storage.url import StorageError
from search.trial.job import AverageOf, FromParent, Job, Parent, outline

FROM_TWINS = TINY.replace("patience: 0}", "patience: 0, start: cnn, cnn_epochs: 1}")
AGAIN = "snnsearch bench tiny.yaml"


@pytest.fixture
def jobs(tmp_path: Path) -> tuple[Job, ...]:
    return load_benchmark(TINY).jobs(tmp_path / "tiny")


def parent_of(job: Job) -> Parent:
    assert isinstance(job.initialization, FromParent)
    return job.initialization.parent


def drawn(work: Trainings, *, end: bool = False) -> list[int]:
    """Draw all that can be drawn, without an end of any training or with one after each."""
    found = []
    while (job := work.next(lambda record: None)) is not None:
        found.append(job.number)
        if end:
            work.finish(trained(job))
    return found


def test_what_is_done_is_not_drawn_again(jobs) -> None:
    finish(jobs[0])
    finish(jobs[2], status="stopped", metrics=None, reason="dead network")
    work = Trainings(jobs, AGAIN)
    assert {record.number for record in work.over} == {0, 2}
    assert drawn(work) == [1, 3, 4, 5, 6, 7]


def test_twin_is_trained_directly_before_its_network(tmp_path: Path) -> None:
    jobs = load_benchmark(FROM_TWINS).jobs(tmp_path / "tiny")
    assert drawn(Trainings(jobs, AGAIN), end=True) == [1, 0, 3, 2, 5, 4, 7, 6]


def test_network_waits_for_its_twin_and_another_twin_is_trained_meanwhile(tmp_path: Path) -> None:
    jobs = load_benchmark(FROM_TWINS).jobs(tmp_path / "tiny")
    work = Trainings(jobs, AGAIN)
    assert drawn(work) == [1, 3, 5, 7]
    work.finish(trained(jobs[3]))
    assert drawn(work) == [2]


def test_networks_that_do_not_fit_are_left_but_for_the_first(tmp_path: Path) -> None:
    jobs = load_benchmark(FROM_TWINS).jobs(tmp_path / "tiny")
    asked: list[list[int]] = []

    def fits(given, done, ended) -> bool:
        asked.append([job.number for job in given if job.number not in done])
        return 2 in asked[-1]

    work = Trainings(jobs, AGAIN, fits)
    assert drawn(work, end=True) == [1, 0, 3, 2]
    assert asked == [[3, 2], [2], [5, 4], [4], [7, 6], [6]]
    assert work.left == 4


def test_interrupted_training_goes_first_and_whatever_the_budget(jobs) -> None:
    jobs[5].folder.mkdir(parents=True)
    (jobs[5].folder / "checkpoint.pt").touch()
    driver = Driver(Trainings(jobs, AGAIN), Budget(len(jobs), 0.0), RunProgress(), SILENT)
    assert driver.next().number == 5
    assert driver.next() is None  # no time is left for one that was not begun


def test_failed_training_is_tried_again_by_the_next_run(jobs) -> None:
    finish(jobs[0], status="failed", metrics=None, reason="OSError: disk full")
    (jobs[0].folder / "starts.json").write_text("{}")
    work = Trainings(jobs, AGAIN)
    assert work.next(lambda record: None) == jobs[0]
    assert read_result(jobs[0].folder) is None
    assert not (jobs[0].folder / "starts.json").exists()


def test_record_that_its_worker_could_not_write_is_written_by_the_driver(jobs) -> None:
    work = Trainings(jobs, AGAIN)
    job = work.next(lambda record: None)
    work.finish(trained(job))
    assert read_result(job.folder) == trained(job)


def test_lost_worker_is_a_failed_training(jobs) -> None:
    work = Trainings(jobs, AGAIN)
    job = work.next(lambda record: None)
    record = work.lost(job.number, "its worker died 3 times", "killed")
    assert (record.status, read_result(job.folder)) == ("failed", record)


def test_folder_that_cannot_be_written_stops_the_run_and_says_how_to_go_on(jobs, tmp_path: Path) -> None:
    work = Trainings(jobs, AGAIN)
    job = work.next(lambda record: None)
    (tmp_path / "tiny").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=f"cannot write to .*{AGAIN}"):
        work.finish(trained(job))


def test_equal_failures_in_a_row_name_the_log_and_the_command(jobs) -> None:
    driver = Driver(Trainings(jobs, AGAIN), Budget(len(jobs), None), RunProgress(), SILENT)
    for _ in range(3):
        driver.finished(outline(driver.next(), status="failed", reason="OSError: No space left on device"))
    assert isinstance(driver.failure, RunError)
    assert "log.txt" in str(driver.failure)
    assert AGAIN in str(driver.failure)


def test_weights_may_be_handed_on_and_the_teacher_is_the_first_ones_twin(tmp_path: Path) -> None:
    text = with_third("Three", "{weights: Two, train: {lr: 0.001}}").replace("[0, 1]", "[0]")
    one, _, two, _, three, twin = load_benchmark(text).jobs(tmp_path)
    assert (parent_of(two).number, parent_of(three).number) == (0, 2)
    assert two.initialization.teacher == three.initialization.teacher == twin.candidate == one.candidate
    assert parent_of(three).candidate == two.candidate


def test_network_waits_for_the_one_whose_weights_it_begins_with(tmp_path: Path) -> None:
    jobs = load_benchmark(FURTHER).jobs(tmp_path / "tiny")
    work = Trainings(jobs, AGAIN)
    assert drawn(work) == [1, 5]  # twins of One
    assert drawn(work, end=True) == []
    for number in (1, 5):
        work.finish(trained(jobs[number]))
    assert drawn(work) == [3, 0, 7, 4]  # One, and Two's twins, which are One's
    assert work.left == 2  # Two, of both seeds
    record = work.finish(trained(jobs[0]))
    two = work.next(lambda record: None)
    assert (two.number, parent_of(two)) == (2, parent_of(jobs[2]).trained(record))
    assert work.next(lambda record: None) is None


def test_mean_waits_for_all_whose_mean_it_is_and_counts_what_they_share_once(tmp_path: Path) -> None:
    one, _, two, _, mean, twin, *_ = jobs = load_benchmark(AVERAGED).jobs(tmp_path / "tiny")
    assert isinstance(mean.initialization, AverageOf)
    assert [parent.number for parent in mean.parents] == [0, 2]
    assert twin.candidate == load_benchmark(AVERAGED).jobs(tmp_path)[1].candidate
    work = Trainings(jobs, AGAIN)
    begun = drawn(work)
    assert not {2, 4} & set(begun)
    epoch = EpochRecord(
        epoch=1, train_loss=1, train_accuracy=0.5, val_loss=1, val_accuracy=0.5, learning_rate=0.1, wall_s=1, images=100
    )  # fmt: skip
    of_twin = StartRecord(kind="cnn", parent=1, inherited_images=7)
    first = work.finish(trained(one).model_copy(update={"history": (epoch, epoch), "start": of_twin}))
    second = work.next(lambda record: None)
    assert (second.number, parent_of(second).images) == (2, 207)
    assert work.next(lambda record: None) is None  # the mean waits for Two
    on = StartRecord(kind="inherit", parent=first.number, inherited_images=207)
    work.finish(trained(two).model_copy(update={"history": (epoch,), "start": on}))
    drawn_mean = work.next(lambda record: None)
    assert drawn_mean.number == 4
    assert [parent.images for parent in drawn_mean.parents] == [207, 100]


def test_network_whose_weights_will_not_be_there_is_lost_with_the_reason(tmp_path: Path) -> None:
    jobs = load_benchmark(FURTHER).jobs(tmp_path / "tiny")
    finish(jobs[0], status="stopped", metrics=None, reason="dead network")
    told = []
    work = Trainings(jobs, AGAIN)
    while work.next(told.append) is not None:
        pass
    (record,) = told
    assert (record.number, record.status, record.name) == (2, "failed", jobs[2].name)
    assert f"no weights of {jobs[0].name}, which is stopped: dead network" in record.reason
    assert read_result(jobs[2].folder) == record
