"""How long a benchmark takes is estimated from its work, and from what such work took."""

from pathlib import Path

import pytest
from helpers.small_benchmarks import AVERAGED, FURTHER, TINY, build_benchmark
from helpers.untrained import options_for

from reports.document.wording import duration
from reports.records.study import EpochRecord, TrialRecord
from reports.storage.benchmarks import write_header
from search.benchmark import estimate
from search.benchmark.benchmark import Benchmark
from search.benchmark.estimate import Evidence, Sample, Work, expected_s, work_left
from search.benchmark.loader import load_benchmark
from search.benchmark.run import preview
from search.executors import WorkerPool
from search.trial.job import Job, Placement, outline
from snnkit.architecture.plan import PASSES, training_macs

IMAGES = 160  # of TINY's digits: 200 without a fifth for validation


def macs(job: Job, timesteps: int) -> int:
    return training_macs(job.candidate.plan(), timesteps=timesteps, input_steps=1)


def timed(job: Job, *, threads: int | None = 2) -> TrialRecord:
    """A training that took its threads 2 ms an image and 1 ns a multiply-accumulate."""
    work = IMAGES * 2 * (macs(job, 1) if job.is_twin else macs(job, 2))
    epoch = EpochRecord(
        epoch=1, train_loss=1, train_accuracy=0.1, val_loss=1, val_accuracy=0.1, learning_rate=0.1, wall_s=1,
        images=2 * IMAGES, macs=work,
    )  # fmt: skip
    spent = {"history": (epoch,), "wall_s": (2 * IMAGES * 0.002 + work * 1e-9) / 2, "threads": threads}
    return outline(job, status="complete").model_copy(update=spent)


def jobs_of(text: str) -> tuple[Benchmark, tuple[Job, ...]]:
    benchmark = load_benchmark(text)
    return benchmark, benchmark.jobs(Path("runs", "tiny"))


def test_work_is_images_times_epochs_and_their_operations() -> None:
    _, jobs = jobs_of(TINY)
    one, one_twin, two, two_twin = jobs[:4]
    expected = 2 * 2 * IMAGES * (macs(one, 2) + macs(one_twin, 1) + macs(two, 2) + macs(two_twin, 1))
    assert work_left(jobs) == Work(8 * 2 * IMAGES, expected, 8 * 2)
    half = work_left(jobs, range(4))
    assert half == Work(4 * 2 * IMAGES, expected / 2, 4 * 2)


def test_short_epochs_have_fewer_time_steps() -> None:
    _, jobs = jobs_of(TINY.replace("train: {epochs: 2}", "train: {epochs: 2, short_epochs: 1, short_timesteps: 1}"))
    assert estimate.own_work(jobs[0]) == Work(2 * IMAGES, IMAGES * (macs(jobs[0], 1) + macs(jobs[0], 2)), 2)


def test_twin_that_several_networks_need_is_trained_once() -> None:
    """One and Two are the same network, and Two continues from One with One's twin as its teacher."""
    benchmark, jobs = jobs_of(FURTHER)
    spiking = {job.number: estimate.own_work(job) for job in jobs if not job.is_twin}
    twin = estimate.twin_work(jobs[0].candidate)
    total = sum((*spiking.values(), *(twin for _ in benchmark.section.seeds)), Work())
    assert work_left(jobs) == total
    two = next(job for job in jobs if job.candidate.train.distill)
    assert spiking[two.number].macs == IMAGES * 2 * (macs(two, 3) + macs(two, 1) / PASSES)
    trained_twins = [job.number for job in jobs if job.is_twin]
    assert work_left(jobs, trained_twins) == sum(spiking.values(), Work())


def test_growing_resolution_is_less_work() -> None:
    _, jobs = jobs_of(TINY)
    candidate = next(job.candidate for job in jobs if not job.is_twin)
    growing = candidate.train.model_copy(update={"first_resolution": candidate.data.shape[1] // 2})
    whole, fewer = map(estimate.twin_work, (candidate, candidate.model_copy(update={"train": growing})))
    assert fewer.images == whole.images
    # a third each at a quarter, at nine sixteenths and at all of the pixels
    assert 0.55 * whole.macs < fewer.macs < 0.7 * whole.macs


def test_mean_of_networks_is_no_work() -> None:
    _, jobs = jobs_of(AVERAGED)
    mean = next(job for job, cell in zip(jobs, load_benchmark(AVERAGED).cells, strict=True) if cell.network == "Mean")
    assert estimate.own_work(mean) == Work()


@pytest.mark.parametrize("threads", [2, None])  # None: a record before version 8; then as many as workers have now
def test_time_follows_the_finished_trainings(threads: int | None) -> None:
    _, jobs = jobs_of(TINY)
    pool = WorkerPool(workers=2, placement=Placement(threads=2))
    evidence = estimate.of_trainings([timed(job, threads=threads) for job in jobs[:3]], pool.placement)
    left = work_left(jobs, range(3))
    seconds = (left.images * 0.002 + left.macs * 1e-9) / 4
    assert expected_s(left, evidence.samples, pool) == pytest.approx(seconds)
    assert estimate.expected(left, evidence, pool) == (
        f"expected  about {duration(seconds)} in all with 2 workers, estimated from 3 finished trainings of this "
        "benchmark"
    )


def test_time_of_validation_is_not_taken_for_that_of_training() -> None:
    """Cheap trainings have few images in an epoch, and as long a validation after it as full ones."""

    def seconds(work: Work) -> float:
        return 0.001 * work.images + 2e-11 * work.macs + 3.0 * work.epochs

    trainings = [(3000, 1e6, 3), (3000, 4e6, 3), (16_000, 9e6, 4)]
    works = [Work(images, images * macs, epochs) for images, macs, epochs in trainings]
    full = Work(500_000, 500_000 * 5e6, 10)
    samples = tuple(Sample(work, seconds(work)) for work in works)
    assert estimate.expected_s(full, samples, WorkerPool()) == pytest.approx(seconds(full), rel=1e-3)


def test_nothing_is_said_without_evidence() -> None:
    assert estimate.expected(Work(1, 1), Evidence((), "nothing"), WorkerPool()) == ""


EVENTS = (
    TINY[: TINY.index("published:")]
    .replace("digits: {subset: 200, validation: 0.2, test: 50, train: {epochs: 2}}", "nmnist: {subset: 200}")
    .replace("encoding: {timesteps: 2}", "encoding: {kind: frames, timesteps: 2}")
)


@pytest.mark.parametrize("text", [TINY, FURTHER, EVENTS], ids=["images", "twins", "events"])
def test_speed_is_measured_on_random_images(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "MAX_STEPS", 2)
    monkeypatch.setattr("snnkit.data.loading.load_dataset", lambda *_, **__: pytest.fail("read"))
    samples = estimate.measured(load_benchmark(text).jobs(tmp_path / "runs"), Placement()).samples
    assert len(samples) == 2
    assert samples[0].work.macs < samples[1].work.macs
    assert all(sample.thread_s > 0 for sample in samples)
    assert list(tmp_path.iterdir()) == []


def test_measured_batch_is_cut_for_a_large_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "MAX_STEPS", 1)
    monkeypatch.setattr(estimate, "MAX_STEP_MACS", 1)
    _, jobs = jobs_of(TINY)
    assert {sample.work.images for sample in estimate.measured(jobs, Placement()).samples} == {2}


def test_preview_rests_on_trainings_before_it_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Evidence((Sample(Work(100, 1e6), 1.0),), "a measurement")
    monkeypatch.setattr(estimate, "measured", lambda jobs, placement: measured)
    benchmark, options = load_benchmark(TINY), options_for(tmp_path)
    jobs = benchmark.jobs(tmp_path / "tiny")
    assert "work      8 trainings left: 2,560 images x epochs, " in (text := preview(benchmark, options))
    assert text.endswith("estimated from a measurement")
    cluster = preview(benchmark, options_for(tmp_path, address="10.0.0.1:6379"))
    assert cluster.endswith("expected  unknown: none of these networks was trained yet on the cluster at 10.0.0.1:6379")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "tiny").mkdir()
    header = build_benchmark().header.model_copy(update={"benchmark_hash": benchmark.fingerprint})
    write_header(tmp_path / "tiny", header)
    for job in jobs[:3]:
        job.files.create()
        job.files.write_result(timed(job))
    text = preview(benchmark, options)
    assert "work      5 trainings left, 3 done: 1,600 images x epochs, " in text
    assert text.endswith("estimated from 3 finished trainings of this benchmark")
    for job in jobs[3:]:
        job.files.create()
        job.files.write_result(timed(job))
    assert "expected" not in preview(benchmark, options)
