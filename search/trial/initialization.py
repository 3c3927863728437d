"""The first weights of a trial that does not draw them: a parent's, or those of its CNN twin. In a worker.

``start.json`` in the trial's folder says what came of it: a trial that is taken up again before its first own
checkpoint comes to the same weights, and later takes them from that.
"""

import json
import zipfile
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path

import torch

from reports.records.study import EpochRecord, Metrics, StartRecord
from search.space.candidate import Candidate
from search.trial import cnn_twin, environment
from search.trial.job import WEIGHTS, Job, log, read_start, write_start
from snnkit.base.torch_files import StoredError
from snnkit.data import Splits
from snnkit.export import pytorch
from snnkit.nn.network import Network
from snnkit.training.loop import Beat, TrainingStopped
from snnkit.training.recalibration import CALIBRATION_BATCH_SIZE, calibration_batches, recalibrate
from snnkit.weights.ann_to_snn import convert
from snnkit.weights.inherit import inherit
from snnkit.weights.model_soup import average_weights
from snnkit.weights.refit import refit_rewired_layers

BALANCE = 512  # of the images for calibration those that thresholds are balanced and layers fitted on

Epochs = Generator[EpochRecord, None, None]


def origin(job: Job) -> str:
    """Where the first weights come from, for a checkpoint to be known by."""
    start = job.candidate.train.start
    if job.twin or (start == "scratch" and job.parent is None):
        return ""
    parent = None if job.parent is None else (job.parent.number, job.parent.candidate.fingerprint)
    return f"{start} {parent}"


def first_weights(
    job: Job, network: Network, parts: Splits, device: str, *, beat: Beat
) -> Epochs:  # fmt: skip
    """Give ``network``, as it was drawn, the weights of its parent, else those that its recipe's ``start`` asks for;
    the epochs are its twin's.

    Raises TrainingStopped where the twin's training ends early, OSError where nothing can be written, and where a
    benchmark's network is to have weights that cannot be read OSError, RuntimeError or StoredError.
    """
    if not origin(job):
        return
    if job.parent is not None or job.candidate.train.start == "inherit":
        start = _inherited(job, network, parts, device)
    else:
        start = yield from _converted(job, network, parts, device, beat)
    write_start(job.folder, start)
    log(job.folder, f"event=weights start={start.kind} parent={start.parent} layers={start.layers}")


def earlier_epochs(job: Job) -> Epochs:
    """The twin's epochs again, of a trial that goes on from a checkpoint of its own."""
    start = read_start(job.folder)
    yield from start.history if start else ()


def mean_weights(job: Job, network: Network, parts: Splits, device: str) -> None:
    """Give ``network`` the mean of its parents' weights, in place of a training.

    Raises OSError where nothing can be written; OSError, RuntimeError, StoredError where weights cannot be read;
    KeyError where their neurons have other parameters.
    """
    states = [trained_network(parent.candidate, parent.weights).state_dict() for parent in job.parents]
    network.load_state_dict(average_weights(states))
    network.to(device).to(memory_format=torch.channels_last)  # as a training leaves it
    if job.candidate.train.recalibrate:
        recalibrate(network, calibration_batches(parts, job.seed, device, job.candidate.train.recalibrate))
    start = StartRecord(
        kind="mean",
        parents=tuple(parent.number for parent in job.parents),
        inherited_images=sum(parent.images for parent in job.parents),
        inherited_macs=sum(parent.macs for parent in job.parents),
    )
    write_start(job.folder, start)
    log(job.folder, f"event=weights start={start.kind} parents={start.parents}")


def _inherited(job: Job, network: Network, parts: Splits, device: str) -> StartRecord:
    if job.parent is None:
        return StartRecord(kind="scratch", reason="no relative was finished yet")
    number = job.parent.number
    try:
        parent = trained_network(job.parent.candidate, job.parent.weights)
    except (OSError, RuntimeError, StoredError) as error:
        if job.candidate.train.start != "inherit":  # these weights were asked for, not any relative's
            raise
        log(job.folder, f"event=parent_unusable parent={number} weights={job.parent.weights} error={error}")
        return StartRecord(kind="scratch", parent=number, reason=f"the weights of trial {number} cannot be read")
    found = inherit(network.to("cpu"), parent)
    images = calibration_batches(parts, job.seed, device)
    network.to(device)
    comparable = network.encoding.frames == parent.encoding.frames  # the same images go through both
    few = images[: BALANCE // CALIBRATION_BATCH_SIZE]
    fitted = refit_rewired_layers(network, parent.to(device), found, few) if comparable else ()
    recalibrate(network, images)
    return StartRecord(
        kind="inherit",
        parent=number,
        layers=dict(Counter(each.outcome for each in found)),
        refitted=len(fitted),
        inherited_images=job.parent.images,
        inherited_macs=job.parent.macs,
    )


def save_weights(job: Job, network: Network, parts: Splits, metrics: Metrics) -> None:
    """Leave the trained network in the trial's folder, with all that it takes to build it, to feed it and to know it
    again. Raises OSError."""
    metadata = {
        "producer": "snnsearch " + environment.versions().get("snnsearch", ""),
        "from": ", ".join(filter(None, (job.folder.parent.parent.name, f"trial {job.number}", job.name))),
        "commit": environment.commit() or "",
        "kind": "cnn" if job.twin else "snn",
        "candidate": job.candidate.model_dump_json(),
        "classes": json.dumps(parts.classes),
        "input": json.dumps({"mean": parts.mean, "std": parts.std, "scale": "pixels / 255"}),
        "metrics": metrics.model_dump_json(),
        "seed": str(job.seed),
    }
    scratch = job.folder / f"{WEIGHTS}.partial"
    pytorch.write(network, scratch, metadata)
    scratch.replace(job.folder / WEIGHTS)


def trained_network(candidate: Candidate, weights: Path, *, twin: bool = False) -> Network:
    """The candidate with the weights of a file that a trial has left. Raises OSError, RuntimeError, StoredError."""
    if not zipfile.is_zipfile(weights):
        raise OSError("there is no such file, or it was cut short")
    network = Network(candidate.plan(), None if twin else candidate.neuron, candidate.encoding)
    network.load_state_dict(pytorch.read(weights)[0])
    return network


def _converted(
    job: Job, network: Network, parts: Splits, device: str, beat: Beat
) -> Generator[EpochRecord, None, StartRecord]:  # fmt: skip
    twin = cnn_twin.drawn(job)
    start = StartRecord(kind="cnn", layers={"copied": len(network.plan.convs)})
    before = cnn_twin.trained(job, twin, parts, device)
    if before is not None and before.trial != job.number:
        behind = {"parent": before.trial, "inherited_images": before.images, "inherited_macs": before.macs}
        start = start.model_copy(update=behind)
    else:
        history = yield from _twin_epochs(job, twin, parts, device, beat)
        start = start.model_copy(update={"history": history})
    images = calibration_batches(parts, job.seed, device)
    convert(network.to(device), twin, images[: BALANCE // CALIBRATION_BATCH_SIZE])
    recalibrate(network, images)
    return start


def _twin_epochs(
    job: Job, twin: Network, parts: Splits, device: str, beat: Beat
) -> Generator[EpochRecord, None, tuple[EpochRecord, ...]]:  # fmt: skip
    history: list[EpochRecord] = []
    try:
        for epoch in cnn_twin.epochs(job, twin, parts, device, beat=beat):
            history.append(EpochRecord(**asdict(epoch), twin=True))
            log(job.folder, " ".join(["twin=1", *(f"{name}={value:.6g}" for name, value in asdict(epoch).items())]))
            yield history[-1]
    except TrainingStopped as stop:
        write_start(job.folder, StartRecord(kind="cnn", history=tuple(history)))
        raise TrainingStopped(f"the CNN twin: {stop.reason}", ()) from stop
    return tuple(history)
