"""Train one candidate in a worker, from its job to its record.

    run -> train -> measure -> record

`run` yields the record of each epoch, and finally the record of the trial. All files are in the job's folder
(`search.trial.folder`). The result is written before it is yielded, so nothing is lost if the driver dies.
"""

import json
import math
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reports.records.study import (
    EpochRecord,
    FidelityRecord,
    LayerRecord,
    Measured,
    Metrics,
    Operations,
    TrialRecord,
)
from search.plugins.objective import TrainedNetwork, measure_figure
from search.space.candidate import Candidate
from search.trial import cnn_twin, oom
from search.trial.checkpointing import restart_without_checkpoint
from search.trial.failures import failure_kind
from search.trial.folder import Attempts
from search.trial.initialization import (
    epoch_figures,
    origin,
    save_weights,
    set_average_weights,
    set_first_weights,
    stored_twin_epochs,
)
from search.trial.job import AverageOf, Job, Placement, TwinFromScratch, outline
from search.trial.sync import SHARED, Sync
from search.trial.watchdog import Watchdog
from snnkit.data import DataChoice, DataSet, DataSource, Splits, load_dataset, split_dataset
from snnkit.energy import PRESETS, Energy, EnergyConfig, estimate_all
from snnkit.energy.consistency import Contradiction, crosscheck
from snnkit.energy.operations import OperationCounts, count_operations, twin_counts
from snnkit.energy.presets import Operations as LayerOperations
from snnkit.kernels import prepare
from snnkit.nn.modes import eval_mode
from snnkit.nn.network import Network
from snnkit.training import loop
from snnkit.training.evaluation import batches, evaluate, evaluate_and_count
from snnkit.training.loop import Beat, Epoch, TrainingStopped
from snnkit.training.step import TrainStep

MAX_IDLE_STARTS = 8  # in a row without a new checkpoint; then the trial itself is what kills its workers

SMALL_BATCH_MACS = 5e7  # below this, threads wait longer than they compute (docs/performance/threads.md)


@dataclass(frozen=True)
class Trained:
    """The last event of a training: its epochs, and the measurements of the trained network."""

    history: tuple[EpochRecord, ...]
    measured: "Measurements"


@dataclass(frozen=True)
class Reached:
    """The last event of a training at a fidelity below the full one: its epochs and its measurement."""

    history: tuple[EpochRecord, ...]
    measured: Measured


class Measurements(NamedTuple):
    """The figures of a trained network. ``doubts`` say which of them disagree."""

    metrics: Metrics
    layers: tuple[LayerRecord, ...]
    doubts: tuple[str, ...] = ()


def run(job: Job, placement: Placement, sync: Sync = SHARED) -> Iterator[EpochRecord | TrialRecord]:
    """Train ``job`` and yield each epoch, then the trial's record, whatever happened. Only interruptions are raised."""
    files = job.files
    if (stored := files.read_result()) is not None:  # the worker died between writing it and yielding it
        yield stored
        return
    if placement.device == "cpu":
        placement = placement.model_copy(update={"threads": useful_threads(job, placement.threads)})
    threads = placement.threads if placement.device == "cpu" else None
    record = outline(job).model_copy(
        update={"started_at": time.time(), "device": device_name(placement), "threads": threads}
    )
    try:
        files.create()
        torch.set_num_threads(placement.threads)
        record = record.model_copy(update={"restarts": _count_start(job)})
        place = f"device={record.device!r} threads={placement.threads} kernel={prepare(placement.device)}"
        files.log(f"event=start restarts={record.restarts} {place} params={json.dumps(job.params)}")
        watchdog = Watchdog(files, job.limits)
        attempt = partial(train, job, placement, sync, watchdog.beat)
        restarting = partial(restart_without_checkpoint, attempt, files.checkpoint, files)
        with watchdog.watching():
            for event in oom.retry_in_parts(restarting, files):
                match event:
                    case Trained():
                        outcome = {"history": event.history, **event.measured._asdict()}
                        record = record.model_copy(update={"status": "complete", **outcome})
                    case Reached():
                        fidelities = (_fidelity_record(job, event),)
                        record = record.model_copy(update={"status": "paused", "fidelities": fidelities})
                    case _:
                        yield event
    except TrainingStopped as stop:
        record = record.model_copy(
            update={"status": "stopped", "reason": stop.reason, "history": _storable(stop.history)}
        )
    except Exception as error:  # the one place where a trial's failure becomes a record
        record = record.model_copy(update=_failure(job, error))
    if record.status != "paused":  # else the fidelity has it
        record = record.model_copy(update={"start": files.read_start()})
    record = record.model_copy(update={"accumulate": files.read_batch_parts(), "finished_at": time.time()})
    record = record.model_copy(update={"wall_s": _spent_s(record)})
    files.finish(record)
    yield record


def _fidelity_record(job: Job, event: Reached) -> FidelityRecord:
    assert job.fidelity is not None
    return FidelityRecord(
        fidelity=job.fidelity,
        of=job.fidelities,
        measured=event.measured,
        start=job.files.read_start(),
        history=event.history,
    )


def useful_threads(job: Job, allowed: int) -> int:
    """Return how many of the ``allowed`` CPU threads train the job: one if a batch is small."""
    candidate = job.candidate
    steps = 1 if job.is_twin else candidate.encoding.timesteps
    macs = candidate.plan().dense_macs * steps * candidate.train.batch  # forward
    return 1 if macs < SMALL_BATCH_MACS else allowed


def train(job: Job, placement: Placement, sync: Sync, beat: Beat) -> Iterator[EpochRecord | Trained | Reached]:
    """Train or resume, and yield each epoch. Then measure the network, save its weights, and yield the measurements.

    The weights are saved even if the measurement fails. Below the full fidelity, the test images are not used.
    Raises what `_epochs` and `measure` raise.
    """
    device, candidate = placement.device, job.candidate
    _restore_twin_below(job, placement, sync, beat)
    parts = splits_of(candidate, placement.data_root, job.seed)
    neuron = None if job.is_twin else candidate.neuron
    network = Network(candidate.plan(), neuron, candidate.encoding, seed=job.seed)
    if not job.files.checkpoint.exists():
        job.files.discard_progress()
    history: list[EpochRecord] = []
    for epoch in _epochs(job, network, parts, device, sync, beat):
        if isinstance(epoch, EpochRecord):  # of the CNN twin that the weights come from
            yield epoch
            continue
        measured = None
        if not job.is_twin and epoch.epoch in candidate.train.rungs:
            measured = _measure_rung(job, epoch, network, parts, device)
        history.append(EpochRecord(**asdict(epoch), measured=measured))
        job.files.log(epoch_figures(epoch))
        yield history[-1]
    if network.neuron is not None and network.neuron.learn_leak:
        leaks = " ".join(f"{op.name}={network.lif(op).current_neuron.leak:.3f}" for op in network.spiking_ops)
        job.files.log(f"event=leaks {leaks}")
    if job.fidelity is not None:
        save_weights(job, network, parts, None)
        validation, activity = evaluate_and_count(network, parts, device=device)
        own = own_figures(job.own_figures, network, activity, validation.accuracy, parts, device)
        yield Reached(tuple(history), figures(activity, validation.accuracy, candidate.energy, own))
        return
    try:
        found = measure(network, candidate, parts, device, job.own_figures)
    except Exception:
        save_weights(job, network, parts, None)
        raise
    save_weights(job, network, parts, found.metrics)
    for doubt in found.doubts:
        job.files.log(f"event=doubt about={doubt!r}")
    yield Trained(tuple(history), found)


def _restore_twin_below(job: Job, placement: Placement, sync: Sync, beat: Beat) -> None:
    """Train the CNN twin of the fidelity below once more if ``job`` continues from it and its file is gone.

    The files of a study may have been moved without its twins. Raises TrainingStopped and OSError as `train_twin` does.
    """
    below = job.one_below
    if below is None or job.candidate.train.start != "cnn" or not cnn_twin.lacks_twin_below(job, sync):
        return
    below.files.create()
    _restore_twin_below(below, placement, sync, beat)
    parts = splits_of(below.candidate, placement.data_root, below.seed)
    job.files.log(f"event=twin_below_missing fidelity={below.fidelity}; it is trained again")
    for _ in cnn_twin.train_twin(below, cnn_twin.untrained_twin(below), parts, placement.device, sync, beat=beat):
        pass
    below.files.twin_checkpoint.unlink(missing_ok=True)


def _epochs(
    job: Job, network: Network, parts: Splits, device: str, sync: Sync, beat: Beat
) -> Iterator[EpochRecord | Epoch]:
    """Train ``network`` in place, and yield its epochs. Epochs of its CNN twin come first, as records.

    Raises:
        TrainingStopped: the training ended early.
        CheckpointError: the checkpoint cannot be used.
        OSError: a file cannot be written or read.
    """
    if isinstance(job.initialization, TwinFromScratch):
        yield from cnn_twin.train_twin(job, network, parts, device, sync, beat=beat)
        return
    if isinstance(job.initialization, AverageOf):
        set_average_weights(job, network, job.initialization.parents, parts, device)
        return
    recipe, checkpoint = job.candidate.train, job.files.checkpoint

    def measure_rung(epoch: Epoch, evaluated: nn.Module) -> None:
        assert isinstance(evaluated, Network)
        if epoch.epoch in recipe.rungs:
            _measure_rung(job, epoch, evaluated, parts, device)

    if checkpoint.exists():
        yield from stored_twin_epochs(job)
    else:
        yield from set_first_weights(job, network, parts, device, sync, beat=beat)
    teacher = cnn_twin.trained_teacher(job, parts, device, sync, beat=beat) if recipe.distill else None
    yield from loop.train(
        network, parts, recipe,
        seed=job.seed, device=device, checkpoint=checkpoint, origin=origin(job), beat=beat,
        make_step=partial(TrainStep, teacher=teacher, accumulate=job.files.read_batch_parts()),
        after_epoch=measure_rung,
    )  # fmt: skip


def measure(
    network: Network, candidate: Candidate, parts: Splits, device: str, own: Sequence[str] = ()
) -> Measurements:
    """Return the measurements of a trained network: on validation images, and its accuracy on test images.

    ``own`` are the objectives of plug-ins to measure too. If the figures cannot all be right, the measurements list
    what disagrees.
    """
    validation, activity = evaluate_and_count(network, parts, device=device)
    test = evaluate(network, parts.test, parts, device=device)
    prices = estimate_all(activity, candidate.energy)
    shares = {"validation accuracy": validation.accuracy, "test accuracy": test.accuracy, "macro F1": test.macro_f1}
    try:
        crosscheck(network, next(batches(parts.test, parts, device, batch=1)), activity, prices, shares)
        doubts: tuple[str, ...] = ()
    except Contradiction as contradiction:
        doubts = contradiction.found
    found = own_figures(own, network, activity, validation.accuracy, parts, device)
    measured = figures(activity, validation.accuracy, candidate.energy, found)
    metrics = Metrics(**dict(measured), test_accuracy=test.accuracy, test_f1=test.macro_f1)
    return Measurements(metrics, layer_records(activity, prices), doubts)


def _measure_rung(job: Job, epoch: Epoch, network: Network, parts: Splits, device: str) -> Measured:
    """Return the measurement after ``epoch``, which is made once and stored.

    When the trial is resumed later, the network is no longer the one of this epoch.
    """
    if (stored := job.files.read_rung(epoch.epoch)) is not None:
        return stored
    activity = count_operations(network, batches(parts.validation, parts, device))
    own = own_figures(job.own_figures, network, activity, epoch.val_accuracy, parts, device)
    measured = figures(activity, epoch.val_accuracy, job.candidate.energy, own)
    job.files.write_rung(epoch.epoch, measured)
    return measured


def own_figures(
    names: Sequence[str], network: Network, activity: OperationCounts, accuracy: float, parts: Splits, device: str
) -> dict[str, float]:
    """Return the values of the objectives ``names``, which plug-ins measure. Raises what their functions raise."""
    if not names:
        return {}

    def images(number: int) -> Tensor:
        return next(batches(parts.validation, parts, device, batch=number))

    with eval_mode(network):
        trained = TrainedNetwork(network, activity, accuracy, images)
        return {name: measure_figure(name, trained) for name in names}


def figures(
    activity: OperationCounts, accuracy: float, pricing: EnergyConfig, own: Mapping[str, float] = MappingProxyType({})
) -> Measured:
    """Return the measurements that the search may use; ``own`` are the figures of plug-ins."""
    prices, twin = (estimate_all(each, pricing) for each in (activity, twin_counts(activity.plan)))
    return Measured(
        accuracy=accuracy,
        params=activity.plan.params,
        dense_macs=activity.plan.dense_macs,
        macs=activity.macs,
        acs=activity.acs,
        spikes=activity.spikes,
        firing_rate=activity.firing_rate,
        timesteps=activity.timesteps,
        energy_mj={key: energy.total_mj for key, energy in prices.items()},
        energy_alternatives_mj={key: energy.alternatives for key, energy in prices.items() if energy.alternatives},
        twin_energy_mj={key: energy.total_mj for key, energy in twin.items()},
        operations={name: _operations(count(activity)) for name, count in PRESETS.items()},
        nonzero_macs=activity.nonzero_macs,
        own=dict(own),
    )


def _operations(layers: Mapping[str, LayerOperations]) -> Operations:
    counts = layers.values()
    return Operations(macs=sum(layer.macs for layer in counts), acs=sum(layer.acs for layer in counts))


def layer_records(activity: OperationCounts, prices: Mapping[str, Energy]) -> tuple[LayerRecord, ...]:
    """Return the counts and the energies of each layer."""
    return tuple(
        LayerRecord(
            name=layer.name,
            macs=layer.macs,
            acs=layer.acs,
            dense_macs=layer.dense_macs,
            spikes_in=layer.spikes_in,
            spikes_out=layer.spikes_out,
            neurons=layer.neurons,
            firing_rate=layer.firing_rate,
            params=layer.params,
            energy_mj={key: energy.layers[layer.name] for key, energy in prices.items()},
        )
        for layer in activity.layers
    )


@lru_cache(maxsize=1)  # a worker trains many candidates on the same images
def _data(name: str | DataSource, root: Path | None, side: int | None) -> DataSet:
    return load_dataset(name, root, side=side)


def splits_of(candidate: Candidate, root: Path | None, seed: int) -> Splits:
    """Return the images that a candidate is trained, validated and tested on. The latest ones are kept in memory.

    Raises DataError.
    """
    return _splits(candidate.data, candidate.encoding.frames, root, seed)


@lru_cache(maxsize=1)
def _splits(choice: DataChoice, frames: int | None, root: Path | None, seed: int) -> Splits:
    return split_dataset(_data(choice.source, root, choice.resolution), choice, seed, frames=frames)


def device_name(placement: Placement) -> str:
    """Return for example ``cpu (1 thread)`` or ``cuda: NVIDIA H200``."""
    if placement.device == "cuda":
        return f"cuda: {torch.cuda.get_device_name()}"
    return f"cpu ({placement.threads} thread{'s' if placement.threads > 1 else ''})"


def _count_start(job: Job) -> int:
    """Note another start, and return the number of earlier ones.

    Raises RuntimeError if too many of them in a row led to no new checkpoint.
    """
    before, digest = job.files.read_attempts() or Attempts(), job.files.checkpoint_digest()
    idle = before.idle + 1 if before.starts and digest == before.checkpoint else 0
    now = Attempts(starts=before.starts + 1, idle=idle, checkpoint=digest, name=job.name, params=job.params)
    job.files.write_attempts(now)
    if idle >= MAX_IDLE_STARTS:
        raise RuntimeError(f"started {now.starts} times, the last {idle + 1} without getting any further; given up")
    return before.starts


def _failure(job: Job, error: Exception) -> dict[str, str]:
    """Return the fields of the record that describe ``error``."""
    # without the folder, so that one cause reads the same in every trial
    reason = f"{type(error).__name__}: {error}".splitlines()[0].replace(str(job.folder), "its folder")
    if oom.is_out_of_memory(error):  # another start on this machine would run out of memory too
        reason = f"out of memory, with each batch in {job.files.read_batch_parts()} parts too: {reason}"
        return {"status": "stopped", "reason": reason, "traceback": traceback.format_exc()}
    failed = {"status": "failed", "failure_kind": failure_kind(error)}
    return {**failed, "reason": reason, "traceback": traceback.format_exc()}


def _storable(history: tuple[Epoch, ...]) -> tuple[EpochRecord, ...]:
    """Return the records of the epochs with finite losses: a record holds no other numbers."""
    finite = (epoch for epoch in history if math.isfinite(epoch.train_loss) and math.isfinite(epoch.val_loss))
    return tuple(EpochRecord(**asdict(epoch)) for epoch in finite)


def _spent_s(record: TrialRecord) -> float:
    """Return the seconds of work: of all epochs, or of the whole trial if it was never interrupted."""
    epochs = sum(epoch.wall_s for epoch in record.epochs)
    return epochs if record.restarts or record.started_at is None else max(epochs, time.time() - record.started_at)
