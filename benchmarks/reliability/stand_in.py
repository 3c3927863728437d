"""A stand-in for training: the same events, files and record as a real trial, at once and without a network.

Accuracy and energy are those of `benchmarks.search.standin`. Every neuron fires at the same rate.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.search.standin import outcome
from reports.records.study import EpochRecord, Metrics, TrialRecord
from search.trial.job import Job, Placement, outline
from search.trial.run import figures, layer_records
from search.trial.sync import SHARED, Sync
from snnkit.energy import estimate_all
from snnkit.energy.operations import LayerCounts, OperationCounts, silent_counts

WORLD = 0  # seed of the stand-in's accuracy and energy
FIRING_RATE = 0.12  # spikes per neuron and time step
IMAGES = 4500  # of an epoch


def stand_in(job: Job, placement: Placement, sync: Sync = SHARED) -> Iterator[EpochRecord | TrialRecord]:
    """Yield what `search.trial.run.run` yields, and store the record in the trial's folder."""
    job.files.create()
    candidate, epochs, began = job.candidate, job.candidate.train.epochs, time.time()
    accuracy, energy_mj, _ = outcome(job.params, candidate, WORLD)
    activity = _firing(silent_counts(candidate.plan(), candidate.neuron, candidate.encoding))
    history = []
    for number in range(1, epochs + 1):
        history.append(_epoch(number, number / epochs, accuracy, 3.0 * IMAGES * activity.plan.dense_macs))
        yield history[-1]
    measured = figures(activity, accuracy, candidate.energy)
    energies = measured.energy_mj | {candidate.energy.key: energy_mj}
    metrics = Metrics(
        **(dict(measured) | {"energy_mj": energies}), test_accuracy=accuracy - 0.0123, test_f1=accuracy - 0.0134567
    )
    record = outline(job, status="complete").model_copy(
        update={
            "history": tuple(history),
            "metrics": metrics,
            "layers": layer_records(activity, estimate_all(activity)),
            "device": "cpu (1 thread)",
            "threads": 1,
            "started_at": began,
            "finished_at": time.time(),
            "wall_s": sum(epoch.wall_s for epoch in history),
        }
    )
    job.files.finish(record)
    yield record


def _firing(activity: OperationCounts) -> OperationCounts:
    """Return the counts of a network in which every neuron fires at FIRING_RATE."""
    layers = tuple(
        replace(
            layer,
            synapses=FIRING_RATE * layer.dense_macs / 3,
            spikes_in=FIRING_RATE * layer.dense_macs / 700,
            spikes_out=_spikes_out(layer),
        )
        for layer in activity.layers
    )
    return replace(activity, layers=layers)


def _spikes_out(layer: LayerCounts) -> float:
    return FIRING_RATE * layer.neurons * layer.timesteps


def _epoch(number: int, share: float, accuracy: float, macs: float) -> EpochRecord:
    return EpochRecord(
        epoch=number, train_loss=2.3 - share * accuracy, train_accuracy=share * accuracy,
        val_loss=2.31 - share * accuracy, val_accuracy=share * accuracy,
        learning_rate=4e-3 * (1.0001 - share), wall_s=0.1 + share / 7, images=IMAGES,
        macs=macs,
    )  # fmt: skip
