"""Give a network its first weights, if they are not random: a parent's, its CNN twin's, or the mean of several trials'.

``start.json`` in the trial's folder records the result. A trial that is interrupted before its own first checkpoint
computes the same weights again; later, they are in the checkpoint.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from reports.records.study import EpochRecord, Metrics, StartRecord
from search.space.candidate import Candidate
from search.trial import cnn_twin, environment
from search.trial.job import FromCnnTwin, FromParent, Job, Parent
from search.trial.sync import Sync
from snnkit.base.files import atomic_write
from snnkit.base.torch_files import StoredError
from snnkit.data import Splits
from snnkit.export import pytorch
from snnkit.nn.network import Network
from snnkit.training.loop import Beat, Epoch, TrainingStopped
from snnkit.training.recalibration import CALIBRATION_BATCH_SIZE, calibration_batches, recalibrate
from snnkit.weights.ann_to_snn import convert
from snnkit.weights.inherit import inherit
from snnkit.weights.model_soup import average_weights
from snnkit.weights.refit import refit_rewired_layers

FITTING_IMAGES = 512  # of the calibration images: thresholds are balanced, and layers fitted, on these


def origin(job: Job) -> str:
    """Describe the source of the first weights. A checkpoint stores this text; never change it."""
    start = job.candidate.train.start
    if isinstance(job.initialization, FromParent):
        parent = job.initialization.parent
        study = () if parent.study is None else (parent.study,)
        return f"{start} {(*study, parent.number, parent.candidate.fingerprint)}"
    if job.is_twin or start == "scratch":
        return ""
    return f"{start} None"


def set_first_weights(
    job: Job, network: Network, parts: Splits, device: str, sync: Sync, *, beat: Beat
) -> Iterator[EpochRecord]:
    """Replace the random weights of ``network`` as the job's initialization says. Yield the epochs of its CNN twin.

    Raises:
        TrainingStopped: the training of the twin ended early.
        OSError: a file cannot be written, or the weights of a benchmark's network cannot be read.
        RuntimeError, StoredError: the weights of a benchmark's network do not fit or are damaged.
    """
    match job.initialization:
        case FromParent(parent=parent):
            _write_start(job, _set_inherited_weights(job, network, parent, parts, device))
        case FromCnnTwin():
            yield from _set_twin_weights(job, network, parts, device, sync, beat)
        case _ if job.candidate.train.start == "inherit":
            _write_start(job, StartRecord(kind="scratch", reason="no relative was finished yet"))


def stored_twin_epochs(job: Job) -> Sequence[EpochRecord]:
    """Return the epochs of the CNN twin that a trial with a checkpoint of its own has started from."""
    start = job.files.read_start()
    return start.history if start else ()


def set_average_weights(job: Job, network: Network, parents: Sequence[Parent], parts: Splits, device: str) -> None:
    """Give ``network`` the mean of the weights of ``parents``, in place of a training.

    Raises:
        OSError: a file cannot be written or read.
        RuntimeError, StoredError: weights are damaged.
        KeyError: the neurons of the parents have different parameters.
    """
    states = [trained_network(parent.candidate, parent.weights).state_dict() for parent in parents]
    network.load_state_dict(average_weights(states))
    network.to(device).to(memory_format=torch.channels_last)  # as after a training
    if job.candidate.train.recalibrate:
        recalibrate(network, calibration_batches(parts, job.seed, device, job.candidate.train.recalibrate))
    start = StartRecord(
        kind="mean",
        parents=tuple(parent.number for parent in parents),
        inherited_images=sum(parent.images for parent in parents),
        inherited_macs=sum(parent.macs for parent in parents),
    )
    job.files.write_start(start)
    job.files.log(f"event=weights start={start.kind} parents={start.parents}")


def _write_start(job: Job, start: StartRecord) -> None:
    job.files.write_start(start)
    job.files.log(f"event=weights start={start.kind} parent={start.parent} layers={start.layers}")


def _set_inherited_weights(job: Job, network: Network, parent: Parent, parts: Splits, device: str) -> StartRecord:
    try:
        source = trained_network(parent.candidate, parent.weights)
    except (OSError, RuntimeError, StoredError) as error:
        if job.candidate.train.start != "inherit":  # a benchmark asks for the weights of this very network
            raise
        job.files.log(f"event=parent_unusable parent={parent.number} weights={parent.weights} error={error}")
        reason = f"the weights of trial {parent.number} cannot be read"
        return StartRecord(kind="scratch", parent=parent.number, study=parent.study, reason=reason)
    found = inherit(network.to("cpu"), source)
    images = calibration_batches(parts, job.seed, device)
    network.to(device)
    fitted: Sequence[str] = ()
    if network.encoding.frames == source.encoding.frames:  # the same images go through both
        few = images[: FITTING_IMAGES // CALIBRATION_BATCH_SIZE]
        fitted = refit_rewired_layers(network, source.to(device), found, few)
    recalibrate(network, images)
    return StartRecord(
        kind="inherit",
        parent=parent.number,
        study=parent.study,
        fidelity=parent.fidelity,
        layers=dict(Counter(each.outcome for each in found)),
        refitted=len(fitted),
        inherited_images=parent.images,
        inherited_macs=parent.macs,
    )


def _set_twin_weights(
    job: Job, network: Network, parts: Splits, device: str, sync: Sync, beat: Beat
) -> Iterator[EpochRecord]:
    """Convert the trained CNN twin into ``network``. Yield its epochs if this trial trains it."""
    twin = cnn_twin.untrained_twin(job)
    history: list[EpochRecord] = []
    start = StartRecord(kind="cnn", layers={"copied": len(network.plan.convs)})
    before = cnn_twin.load_twin(job, twin, parts, device, sync)
    if before is not None and before.trial != job.number:
        behind = {"parent": before.trial, "inherited_images": before.images, "inherited_macs": before.macs}
        start = start.model_copy(update=behind)
    else:
        try:
            for epoch in cnn_twin.train_twin(job, twin, parts, device, sync, beat=beat):
                history.append(EpochRecord(**asdict(epoch), twin=True))
                job.files.log(f"twin=1 {epoch_figures(epoch)}")
                yield history[-1]
        except TrainingStopped as stop:
            job.files.write_start(StartRecord(kind="cnn", history=tuple(history)))
            raise TrainingStopped(f"the CNN twin: {stop.reason}", ()) from stop
        start = start.model_copy(update={"history": tuple(history)})
    images = calibration_batches(parts, job.seed, device)
    convert(network.to(device), twin, images[: FITTING_IMAGES // CALIBRATION_BATCH_SIZE])
    recalibrate(network, images)
    _write_start(job, start)


def epoch_figures(epoch: Epoch) -> str:
    """Return the figures of an epoch for a line of the log."""
    return " ".join(f"{name}={value:.6g}" for name, value in asdict(epoch).items())


def save_weights(job: Job, network: Network, parts: Splits, metrics: Metrics | None) -> None:
    """Write ``weights.pt``: the trained network, with the metadata to rebuild it and to prepare its input.

    ``metrics`` is None if the network could not be measured. Raises OSError.
    """
    fidelity = "" if job.fidelity is None else f"fidelity {job.fidelity} of {job.fidelities}"
    metadata = {
        "producer": "snnsearch " + environment.versions().get("snnsearch", ""),
        "from": ", ".join(filter(None, (job.files.run.name, f"trial {job.number}", job.name, fidelity))),
        "commit": environment.commit() or "",
        "kind": "cnn" if job.is_twin else "snn",
        "candidate": job.candidate.model_dump_json(),
        "classes": json.dumps(parts.classes),
        "input": json.dumps({"mean": parts.mean, "std": parts.std, "scale": "pixels / 255"}),
        "metrics": "" if metrics is None else metrics.model_dump_json(),
        "seed": str(job.seed),
    }
    with atomic_write(job.files.weights) as partial:
        pytorch.write(network, partial, metadata)


def trained_network(candidate: Candidate, weights: Path, *, twin: bool = False) -> Network:
    """Return the candidate, or its CNN ``twin``, with the weights in a trial's file.

    Raises:
        OSError: the file is missing or cut short.
        RuntimeError: the weights are of another network.
        StoredError: the file is damaged.
    """
    if not zipfile.is_zipfile(weights):
        raise OSError("there is no such file, or it was cut short")
    network = Network(candidate.plan(), None if twin else candidate.neuron, candidate.encoding)
    network.load_state_dict(pytorch.read(weights)[0])
    return network
