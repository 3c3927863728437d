"""One candidate, from its job to its record: load, build, train, count, price. Runs in a worker; imports torch.

Everything of it lies in the job's folder: ``checkpoint.pt`` while it trains, ``weights.pt`` once it has, ``log.txt``,
``rung-<epoch>.json`` where it was measured on the way, what `search.trial.initialization` keeps, ``result.json``. The
record is written before it is handed back, so that a driver that dies loses nothing.
"""

import json
import math
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn

from reports.records.study import EpochRecord, LayerRecord, Measured, Metrics, Operations, TrialRecord
from reports.storage.files import replace_text
from reports.storage.results import read_result
from search.space.candidate import Candidate
from search.trial import cnn_twin, oom
from search.trial.checkpointing import from_checkpoint
from search.trial.initialization import earlier_epochs, first_weights, mean_weights, origin, save_weights
from search.trial.job import (
    CHECKPOINT,
    START,
    Job,
    Placement,
    Starts,
    keep,
    log,
    outline,
    reached,
    read_start,
    read_starts,
    write_starts,
)
from search.trial.watchdog import Watchdog
from snnkit.data import DataChoice, DataSet, Splits, load_dataset, split_dataset
from snnkit.energy import PRESETS, Energy, EnergyConfig, estimate_all
from snnkit.energy.consistency import crosscheck
from snnkit.energy.operations import OperationCounts, count_operations, twin_counts
from snnkit.energy.presets import Operations as LayerOperations
from snnkit.kernels import prepare
from snnkit.nn.network import Network
from snnkit.training.evaluation import batches, evaluate, evaluate_and_count
from snnkit.training.loop import Beat, Epoch, TrainingStopped, train
from snnkit.training.step import TrainStep

RUNG = "rung-{}.json"  # of an epoch
IDLE_STARTS = 8  # starts in a row without a new checkpoint after which a trial counts as what kills its worker

Events = Generator[EpochRecord, None, TrialRecord]
Prices = dict[str, Energy]  # by price name: horowitz45/exact ...


def run(job: Job, placement: Placement) -> Iterator[EpochRecord | TrialRecord]:
    """Train ``job`` epoch by epoch; the last event is its record, whatever happened. Only interruptions get out."""
    if (kept := read_result(job.folder)) is not None:  # its worker died between writing it and handing it over
        yield kept
        return
    record = outline(job).model_copy(update={"started_at": time.time(), "device": device_name(placement)})
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(placement.threads)
        record = record.model_copy(update={"restarts": _count_start(job)})
        params = json.dumps(job.params)
        place = f"device={record.device!r} threads={placement.threads} kernel={prepare(placement.device)}"
        log(job.folder, f"event=start restarts={record.restarts} {place} params={params}")
        watchdog = Watchdog(job.folder, job.limits)
        with watchdog.watching():
            record = yield from _within_memory(job, placement, record, watchdog.beat)
    except TrainingStopped as stop:
        record = record.model_copy(
            update={"status": "stopped", "reason": stop.reason, "history": _storable(stop.history)}
        )
    except Exception as error:  # the one place where a trial's failure becomes a record
        record = record.model_copy(update=_failure(job, error))
    record = record.model_copy(update={"start": read_start(job.folder), "accumulate": oom.accumulate(job.folder)})
    record = record.model_copy(update={"finished_at": time.time(), "wall_s": _spent(record)})
    keep(job.folder, record)
    yield record


def _failure(job: Job, error: Exception) -> dict[str, str]:
    """What the record says of it."""
    # without the folder, so that one cause reads the same in every trial: a driver stops after equal ones in a row
    reason = f"{type(error).__name__}: {error}".splitlines()[0].replace(str(job.folder), "its folder")
    if oom.is_out_of_memory(error):  # of the candidate and its machine: another start would come to the same
        reason = f"out of memory, with each batch in {oom.accumulate(job.folder)} parts too: {reason}"
        return {"status": "stopped", "reason": reason, "traceback": traceback.format_exc()}
    return {"status": "failed", "reason": reason, "traceback": traceback.format_exc()}


def _within_memory(job: Job, placement: Placement, record: TrialRecord, beat: Beat) -> Events:
    """`_train`, and once more with less on the device at a time where that was too much."""
    try:
        return (yield from _train(job, placement, record, beat))
    except Exception as error:
        if not oom.is_out_of_memory(error) or oom.accumulate(job.folder) > 1:
            raise
        log(job.folder, f"event=out_of_memory accumulate={oom.PARTS} error={str(error).splitlines()[0]!r}")
    oom.split(job.folder)  # here, where the error's traceback, which held the step's tensors, is gone
    return (yield from _train(job, placement, record, beat))


def _train(job: Job, placement: Placement, record: TrialRecord, beat: Beat) -> Events:
    candidate, device = job.candidate, placement.device
    parts = parts_of(candidate, placement.data_root, job.seed)
    neuron = None if job.twin else candidate.neuron
    network = Network(candidate.plan(), neuron, candidate.encoding, seed=job.seed)
    checkpoint = job.folder / CHECKPOINT
    recipe = candidate.train

    def measure_at_rung(epoch: Epoch, evaluated: nn.Module) -> None:
        assert isinstance(evaluated, Network)
        if epoch.epoch in recipe.rungs:
            _at_rung(job, epoch, lambda: count_operations(evaluated, batches(parts.validation, parts, device)))

    def begin() -> Iterator[EpochRecord | Epoch]:
        if job.twin:
            yield from cnn_twin.epochs(job, network, parts, device, beat=beat)
            return
        if job.is_mean:
            mean_weights(job, network, parts, device)
            return
        goes_on = checkpoint.exists()
        yield from earlier_epochs(job) if goes_on else first_weights(job, network, parts, device, beat=beat)
        teacher = cnn_twin.teacher(job, parts, device, beat=beat) if recipe.distill else None
        yield from train(
            network, parts, recipe,
            seed=job.seed, device=device, checkpoint=checkpoint, origin=origin(job), beat=beat,
            make_step=partial(TrainStep, teacher=teacher, accumulate=oom.accumulate(job.folder)),
            after_epoch=measure_at_rung,
        )  # fmt: skip

    if not checkpoint.exists():
        _forget(job.folder)
    history: list[EpochRecord] = []
    for epoch in from_checkpoint(begin, checkpoint, lambda: _forget(job.folder)):
        if isinstance(epoch, EpochRecord):  # of the twin that it starts from
            yield epoch
            continue
        measured = None
        if not job.twin and epoch.epoch in recipe.rungs:
            measured = _at_rung(job, epoch, lambda: count_operations(network, batches(parts.validation, parts, device)))
        history.append(EpochRecord(**asdict(epoch), measured=measured))
        log(job.folder, " ".join(f"{name}={value:.6g}" for name, value in asdict(epoch).items()))
        yield history[-1]
    if network.neuron is not None and network.neuron.learn_leak:
        leaks = " ".join(f"{op.name}={network.lif(op).current_neuron.leak:.3f}" for op in network.spiking_ops)
        log(job.folder, f"event=leaks {leaks}")
    metrics, layers = assessed(network, candidate, parts, device)
    save_weights(job, network, parts, metrics)
    return record.model_copy(
        update={"status": "complete", "history": tuple(history), "metrics": metrics, "layers": layers}
    )


def assessed(
    network: Network, candidate: Candidate, parts: Splits, device: str
) -> tuple[Metrics, tuple[LayerRecord, ...]]:
    """What is recorded of a trained network: accuracy, operations and energy on the validation images, and a look at
    the test images. Raises Contradiction where they cannot all be right."""
    validation, activity = evaluate_and_count(network, parts, device=device)
    test = evaluate(network, parts.test, parts, device=device)
    prices = estimate_all(activity, candidate.energy)
    shares = {"validation accuracy": validation.accuracy, "test accuracy": test.accuracy, "macro F1": test.macro_f1}
    crosscheck(network, next(batches(parts.test, parts, device, batch=1)), activity, prices, shares)
    measured = figures(activity, validation.accuracy, candidate.energy)
    metrics = Metrics(**dict(measured), test_accuracy=test.accuracy, test_f1=test.macro_f1)
    return metrics, layer_records(activity, prices)


def _at_rung(job: Job, epoch: Epoch, activity: Callable[[], OperationCounts]) -> Measured:
    """Measured once and kept: when the trial is taken up again later, the network is no longer what it was here."""
    path = job.folder / RUNG.format(epoch.epoch)
    try:
        return Measured.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        measured = figures(activity(), epoch.val_accuracy, job.candidate.energy)
    replace_text(path, measured.model_dump_json())
    return measured


def figures(activity: OperationCounts, accuracy: float, pricing: EnergyConfig) -> Measured:
    """What the search may see of a network."""
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
        twin_energy_mj={key: energy.total_mj for key, energy in twin.items()},
        operations={name: _operations(count(activity)) for name, count in PRESETS.items()},
        nonzero_macs=activity.nonzero_macs,
    )


def _operations(layers: Mapping[str, LayerOperations]) -> Operations:
    counts = layers.values()
    return Operations(macs=sum(layer.macs for layer in counts), acs=sum(layer.acs for layer in counts))


def layer_records(activity: OperationCounts, prices: Prices) -> tuple[LayerRecord, ...]:
    """Of each layer, by each price."""
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


@lru_cache(maxsize=1)  # a worker trains one candidate after the other on the same images
def _data(name: str, root: Path | None, side: int | None) -> DataSet:
    return load_dataset(name, root, side=side)


def parts_of(candidate: Candidate, root: Path | None, seed: int) -> Splits:
    """The images that a candidate is trained, validated and tested on; those of the last one are kept. Raises
    DataError."""
    return _parts(candidate.data, candidate.encoding.frames, root, seed)


@lru_cache(maxsize=1)
def _parts(choice: DataChoice, frames: int | None, root: Path | None, seed: int) -> Splits:
    return split_dataset(_data(choice.name, root, choice.resolution), choice, seed, frames=frames)


def device_name(placement: Placement) -> str:
    """``cpu (1 thread)`` or ``cuda: NVIDIA H200``."""
    if placement.device == "cuda":
        return f"cuda: {torch.cuda.get_device_name()}"
    return f"cpu ({placement.threads} thread{'s' if placement.threads > 1 else ''})"


def _count_start(job: Job) -> int:
    """The number of earlier starts. Raises RuntimeError where too many of them in a row led nowhere."""
    before, now = read_starts(job.folder) or Starts(), reached(job.folder)
    idle = before.idle + 1 if before.starts and now == before.checkpoint else 0
    write_starts(job, Starts(starts=before.starts + 1, idle=idle, checkpoint=now))
    if idle >= IDLE_STARTS:
        raise RuntimeError(
            f"started {before.starts + 1} times, the last {idle + 1} without getting any further; given up"
        )
    return before.starts


def _forget(folder: Path) -> None:
    """What is known of a training that is not continued."""
    for path in (*folder.glob(RUNG.format("*")), *folder.glob(START)):
        path.unlink()


def _storable(history: tuple[Epoch, ...]) -> tuple[EpochRecord, ...]:
    """Records of the epochs up to the one whose loss is no number, which no record holds."""
    finite = (epoch for epoch in history if math.isfinite(epoch.train_loss) and math.isfinite(epoch.val_loss))
    return tuple(EpochRecord(**asdict(epoch)) for epoch in finite)


def _spent(record: TrialRecord) -> float:
    """Seconds of work: all epochs, and in a trial that was never interrupted what came around them too."""
    epochs = sum(epoch.wall_s for epoch in record.epochs)
    return epochs if record.restarts or record.started_at is None else max(epochs, time.time() - record.started_at)
