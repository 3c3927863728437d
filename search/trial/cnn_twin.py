"""CNN twins that spiking networks start from or learn from. A run trains each of them once, for all of its trials.

A trained twin depends on network, recipe, data and seed only. So trials that differ in neurons, time steps or their own
recipe share one, and so do an SNN of a benchmark and its CNN twin. ``twin.pt`` in the trial's folder is the checkpoint
of the training; the trained twin is stored in the run's folder ``twins`` by its training fingerprint. If two workers
need the same twin at the same time, both train it, to the same weights.

At a higher fidelity of a study, a twin continues from the weights of the twin at the fidelity below.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from reports.storage.files import replace_text
from search.trial.checkpointing import restart_without_checkpoint
from search.trial.job import FromParent, Job
from search.trial.sync import Sync
from snnkit.data import Splits
from snnkit.nn.network import Network
from snnkit.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from snnkit.training.loop import Beat, Epoch, train, training_fingerprint
from snnkit.training.step import TrainStep


@dataclass(frozen=True)
class TrainedTwin:
    """``trial`` is the number of the trial that trained the twin."""

    trial: int
    history: tuple[Epoch, ...]

    @property
    def images(self) -> int:
        return sum(epoch.images for epoch in self.history)

    @property
    def macs(self) -> float:
        return sum(epoch.macs for epoch in self.history)


def untrained_twin(job: Job) -> Network:
    """Return the twin with its random initial weights."""
    candidate = job.candidate
    return Network(candidate.plan(), None, candidate.encoding, seed=job.seed)


def trained_teacher(job: Job, parts: Splits, device: str, sync: Sync, *, beat: Beat) -> Network:
    """Return the trained twin that teaches ``job``, after training it if necessary.

    Raises TrainingStopped and OSError as `train_twin` does.
    """
    if isinstance(job.initialization, FromParent) and job.initialization.teacher is not None:
        job = job.model_copy(update={"candidate": job.initialization.teacher})
    twin = untrained_twin(job)
    for _ in train_twin(job, twin, parts, device, sync, beat=beat):
        pass
    return twin


def load_twin(job: Job, twin: Network, parts: Splits, device: str, sync: Sync) -> TrainedTwin | None:
    """Give ``twin`` the weights that a trial of this run has trained; return None if there are no readable ones."""
    path = _path(job, twin, parts, sync)
    try:
        sync.fetch_missing(path)
        found = load_checkpoint(path)
        twin.load_state_dict(found["network"])
        twin.to(device).to(memory_format=torch.channels_last)  # as after a training
        if job.fidelity is not None:
            replace_text(job.files.twin_name, path.name)
        return TrainedTwin(found["trial"], tuple(Epoch(**epoch) for epoch in found["history"]))
    except FileNotFoundError:
        return None
    except (OSError, CheckpointError, TypeError) as error:  # TypeError: another version stored its epochs
        job.files.log(f"event=twin_unusable path={path.name} error={error}")
        return None


def train_twin(job: Job, twin: Network, parts: Splits, device: str, sync: Sync, *, beat: Beat) -> Iterator[Epoch]:
    """Train ``twin``, which has its initial weights, store it, and yield its epochs.

    An interrupted training resumes from its checkpoint. If the run has this twin already, its stored epochs are
    yielded and nothing is trained.

    Raises:
        TrainingStopped: the training ended early.
        OSError: the checkpoint cannot be written.
    """
    if (before := load_twin(job, twin, parts, device, sync)) is not None:
        yield from before.history
        return
    files = job.files
    if (below := _twin_below(job, sync)) is not None:
        twin.load_state_dict(load_checkpoint(below)["network"])
    history: list[Epoch] = []
    attempt = partial(
        train, twin, parts, job.candidate.train.for_cnn_twin,
        seed=job.seed, device=device, checkpoint=files.twin_checkpoint, origin=_origin(below), beat=beat,
        make_step=partial(TrainStep, accumulate=files.read_batch_parts()),
    )  # fmt: skip
    for epoch in restart_without_checkpoint(attempt, files.twin_checkpoint, files):
        history.append(epoch)
        yield epoch
    path = _path(job, twin, parts, sync)
    try:
        path.parent.mkdir(exist_ok=True)
        state = {"trial": job.number, "history": [asdict(epoch) for epoch in history], "network": twin.state_dict()}
        save_checkpoint(path, state)
        sync.hand_over(path)
        if job.fidelity is not None:
            replace_text(files.twin_name, path.name)
    except OSError as error:
        files.log(f"event=twin_not_kept path={path.name} error={error}")


def _path(job: Job, twin: Network, parts: Splits, sync: Sync) -> Path:
    recipe, origin = job.candidate.train.for_cnn_twin, _origin(_twin_below(job, sync))
    return job.files.run.twin(training_fingerprint(twin, parts, recipe, seed=job.seed, origin=origin))


def lacks_twin_below(job: Job, sync: Sync) -> bool:
    """Return whether the twin of ``job`` continues from one at the fidelity below that cannot be read."""
    below = job.one_below
    if below is None or below.candidate.train.start != "cnn":
        return False
    try:
        if (path := _twin_below(job, sync)) is not None:
            load_checkpoint(path)
            return False
    except (OSError, CheckpointError) as error:
        job.files.log(f"event=twin_below_unusable error={error}")
    return True


def _twin_below(job: Job, sync: Sync) -> Path | None:
    """Return the file of the trained twin at the fidelity below; None if that fidelity has left none."""
    below = job.one_below
    if below is None or below.candidate.train.start != "cnn":
        return None
    sync.fetch_missing(below.files.twin_name)
    try:
        path = job.files.run.twins / below.files.twin_name.read_text()
    except FileNotFoundError:
        return None
    sync.fetch_missing(path)
    return path


def _origin(twin_below: Path | None) -> str:
    """Describe the first weights of a twin. A checkpoint stores this text; never change it."""
    return "" if twin_below is None else f"twin {twin_below.stem}"
