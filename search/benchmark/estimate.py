"""Estimate how long the trainings of a benchmark take: their work, and the time that such work took or takes here."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.optimize import nnls

from reports.document.wording import count, duration
from reports.records.study import StudyRecord, TrialRecord
from search.executors import WorkerPool
from search.runner.progress import PAUSED, TRAINED_TO_END
from search.space.candidate import Candidate
from search.trial.job import AverageOf, Job, Placement
from snnkit.architecture.plan import PASSES, training_macs
from snnkit.architecture.resizing import resized
from snnkit.training.recipe import Recipe

if TYPE_CHECKING:  # it needs torch
    from snnkit.data import Splits

THIRDS = (1 / 6, 1 / 2, 5 / 6)  # the middle of each third of a training; its images may grow from third to third
MEASURED_S = 1.0  # of training steps, for each network that is measured
MAX_STEPS = 20
MAX_STEP_MACS = 2e9  # of a measured step, which takes a core a second or less; batches are cut to it


@dataclass(frozen=True)
class Work:
    """Training images times epochs, the dense multiply-accumulates on them, forward and backward, and the epochs."""

    images: float = 0.0
    macs: float = 0.0
    epochs: float = 0.0  # each ends with a validation

    def __add__(self, other: Self) -> "Work":
        return Work(self.images + other.images, self.macs + other.macs, self.epochs + other.epochs)


@dataclass(frozen=True)
class Sample:
    """Some work, and the seconds that it took one thread."""

    work: Work
    thread_s: float


@dataclass(frozen=True)
class Evidence:
    """What an estimate rests on: samples, and in words where they are from."""

    samples: tuple[Sample, ...]
    basis: str


def describe_work(work: Work) -> str:
    return f"{work.images:,.0f} images x epochs, {work.macs:.3g} MACs"


def expected(work: Work, evidence: Evidence, pool: WorkerPool) -> str:
    """Return the line that says how long ``work`` takes and how this is known; empty if nothing is known."""
    if (seconds := expected_s(work, evidence.samples, pool)) is None:
        return ""
    return (
        f"expected  about {duration(seconds)} in all with {count(pool.workers or 1, 'worker')}, estimated from "
        f"{evidence.basis}"
    )


def expected_s(work: Work, samples: Sequence[Sample], pool: WorkerPool) -> float | None:
    """Return the seconds that ``pool`` takes for ``work``; None without samples.

    The time per training image, per multiply-accumulate and per epoch is fitted to the samples.
    """
    if not samples:
        return None
    return _fitted(samples)(work) / ((pool.workers or 1) * pool.placement.threads)


def corrected(samples: Sequence[Sample], own: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return ``samples`` with their times scaled so that they fit the ``own`` trainings of a run together.

    A run's first trainings are too few for a fit of their own, but they show how fast the machine is now.
    """
    if not samples or not own:
        return (*samples, *own)
    expected_s = sum(map(_fitted(samples), (sample.work for sample in own)))
    if not expected_s:
        return tuple(own)
    factor = sum(sample.thread_s for sample in own) / expected_s
    return tuple(Sample(sample.work, sample.thread_s * factor) for sample in samples)


def _fitted(samples: Sequence[Sample]) -> Callable[[Work], float]:
    """Return a function that takes some work and returns the seconds of one thread."""
    done = np.array([astuple(sample.work) for sample in samples], dtype=float)
    seen = done.any(axis=0)  # measured steps have no epochs
    unit = done.mean(axis=0)[seen]
    rates, _ = nnls(done[:, seen] / unit, np.array([sample.thread_s for sample in samples]))
    return lambda work: float(rates @ (np.array(astuple(work))[seen] / unit))


def work_left(jobs: Sequence[Job], done: Iterable[int] = ()) -> Work:
    """Return the work of all jobs but those whose numbers are ``done``.

    A CNN twin that several jobs of a seed need is trained once.
    """
    finished = set(done)
    twins = {job.twin_key for job in jobs if job.number in finished}
    total = Work()
    for job in jobs:
        if job.number in finished:
            continue
        total += own_work(job)
        if job.twin_key is not None and job.twin_key not in twins:
            twins.add(job.twin_key)
            total += twin_work(job.candidate)
    return total


def own_work(job: Job) -> Work:
    """Return the work of training the job's network itself; none if a CNN twin or a mean takes its place."""
    if job.is_twin or isinstance(job.initialization, AverageOf):
        return Work()
    return network_work(job.candidate)


def network_work(candidate: Candidate) -> Work:
    """Return the work of training a spiking network, without the work of training its CNN twin."""
    steps, recipe = candidate.encoding.timesteps, candidate.train
    short = recipe.short_epochs
    work = _epochs_work(candidate, recipe, recipe.epochs - short, steps)
    work += _epochs_work(candidate, recipe, short, min(recipe.short_timesteps, steps))
    if recipe.distill:
        images = recipe.epochs * candidate.data.train_images
        twin_macs = training_macs(candidate.plan(), timesteps=1, input_steps=1)
        work += Work(0, images * twin_macs / PASSES)  # forward through the teacher, at the full resolution
    return work


def twin_work(candidate: Candidate) -> Work:
    """Return the work of training the CNN twin."""
    recipe = candidate.train.for_cnn_twin
    return _epochs_work(candidate, recipe, recipe.epochs, 1)


def _epochs_work(candidate: Candidate, recipe: Recipe, epochs: int, timesteps: int) -> Work:
    images, plan = epochs * candidate.data.train_images, candidate.plan()
    input_steps = timesteps if candidate.encoding.frames else 1
    plans = [resized(plan, recipe.resolution(progress, plan.in_shape[1])) for progress in THIRDS]
    macs = statistics.mean(training_macs(at, timesteps=timesteps, input_steps=input_steps) for at in plans)
    return Work(images, images * macs, epochs)


def of_trainings(trials: Sequence[TrialRecord], placement: Placement) -> Evidence:
    """Return the evidence of a benchmark's own finished trainings."""
    samples = _samples(trials, placement)
    return Evidence(samples, f"{count(len(samples), 'finished training')} of this benchmark")


def of_study(record: StudyRecord, placement: Placement) -> Evidence:
    """Return the evidence of a study's trials."""
    place = f" on {record.header.machine}" if record.header.machine else ""
    return Evidence(_samples(record.trials, placement), f"the study's trials{place}")


def _samples(trials: Sequence[TrialRecord], placement: Placement) -> tuple[Sample, ...]:
    """Return what trials took. Those whose record has no number of threads are assumed to have had the placement's."""
    ended = (*TRAINED_TO_END, PAUSED)
    done = [trial for trial in trials if trial.status in ended and trial.training_macs and trial.wall_s]
    return tuple(
        Sample(
            Work(trial.training_images, trial.training_macs, len(trial.epochs)),
            trial.wall_s * (trial.threads or placement.threads),
        )
        for trial in done
    )


def measured(jobs: Sequence[Job], placement: Placement) -> Evidence:
    """Train the network with the fewest and the one with the most operations for a second each, on random images.

    Reads no data and writes nothing.
    """
    trained = [job for job in jobs if not isinstance(job.initialization, AverageOf)]
    by_macs = sorted(trained, key=_macs_per_image)
    ends = {job.number: job for job in (by_macs[0], by_macs[-1])}
    samples = tuple(_time_steps(job, placement) for job in ends.values())
    return Evidence(
        samples, "a few training steps on random images on this machine, without reading data or validation"
    )


def _macs_per_image(job: Job) -> int:
    """Return the multiply-accumulates of a training step with all time steps, per image."""
    timesteps = 1 if job.is_twin else job.candidate.encoding.timesteps
    input_steps = timesteps if job.candidate.encoding.frames else 1
    return training_macs(job.candidate.plan(), timesteps=timesteps, input_steps=input_steps)


def _time_steps(job: Job, placement: Placement) -> Sample:
    """Return what training steps of ``job`` take. The first one is not counted: it prepares kernels and memory."""
    import torch

    from search.trial.run import useful_threads
    from snnkit.kernels import prepare
    from snnkit.nn.network import Network
    from snnkit.training.step import TrainStep

    prepare(placement.device)
    threads = useful_threads(job, placement.threads) if placement.device == "cpu" else placement.threads
    torch.set_num_threads(threads)
    candidate = job.candidate
    recipe = candidate.train.for_cnn_twin if job.is_twin else candidate.train
    batch = min(recipe.batch, candidate.data.train_images, max(2, int(MAX_STEP_MACS / _macs_per_image(job))))
    recipe = recipe.model_copy(update={"batch": batch, "distill": 0.0, "short_epochs": 0, "first_resolution": None})
    network = Network(candidate.plan(), None if job.is_twin else candidate.neuron, candidate.encoding, seed=job.seed)
    network.to(placement.device).to(memory_format=torch.channels_last)
    network.train()
    step = TrainStep(network, _random_splits(candidate, batch), recipe, seed=job.seed, device=placement.device)
    step.run(0, 0)
    steps, began = 0, time.perf_counter()
    while steps < MAX_STEPS and time.perf_counter() - began < MEASURED_S:
        step.run(0, 0)  # it returns the loss, so a GPU has finished
        steps += 1
    images = steps * batch
    return Sample(Work(images, images * _macs_per_image(job)), (time.perf_counter() - began) * threads)


def _random_splits(candidate: Candidate, n_images: int) -> "Splits":
    """Return random images of the shape and type of the candidate's data."""
    from snnkit.data import Images, Splits
    from snnkit.data.events import Recordings

    channels, height, width = candidate.data.shape
    rng, frames = np.random.default_rng(0), candidate.encoding.frames
    labels = rng.integers(0, candidate.data.outputs, n_images)
    shape = (n_images, channels, height, width)
    if frames is None:
        images, moments = Images(rng.integers(0, 256, shape, np.uint8), labels), (0.5,) * channels
    else:
        images, moments = Recordings(rng.integers(0, 2**32, shape, np.uint32), labels, timesteps=frames), ()
    classes = tuple(map(str, range(candidate.data.outputs)))
    return Splits(candidate.data.name, images, images, images, moments, moments, classes)
