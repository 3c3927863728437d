"""CNN twins that spiking networks start from: each is trained once in a run, and kept for all trials that need it.

What a twin becomes depends on network, recipe, data and seed alone. Trials that differ in neurons, time steps or what
follows the twin's training share one, as do a benchmark's SNN and its CNN twin. ``twin.pt`` in a trial's folder is the
checkpoint while it trains one; what is trained lies in the run's folder ``twins``, by the digest of all it depends on.
Two workers that need the same one at the same time both train it, to the same weights.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from search.trial import oom, sync
from search.trial.checkpointing import from_checkpoint
from search.trial.job import TWIN_CHECKPOINT, Job, log
from snnkit.data import Splits
from snnkit.nn.network import Network
from snnkit.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from snnkit.training.loop import Beat, Epoch, train, training_fingerprint
from snnkit.training.step import TrainStep


@dataclass(frozen=True)
class TrainedTwin:
    trial: int  # that did it
    history: tuple[Epoch, ...]

    @property
    def images(self) -> int:
        return sum(epoch.images for epoch in self.history)

    @property
    def macs(self) -> float:
        return sum(epoch.macs for epoch in self.history)


def drawn(job: Job) -> Network:
    """The twin before its training."""
    candidate = job.candidate
    return Network(candidate.plan(), None, candidate.encoding, seed=job.seed)


def teacher(job: Job, parts: Splits, device: str, *, beat: Beat) -> Network:
    """The trained twin that ``job`` is taught by. Raises TrainingStopped and OSError as `epochs` does."""
    if job.taught_by is not None:
        job = job.model_copy(update={"candidate": job.taught_by})
    twin = drawn(job)
    for _ in epochs(job, twin, parts, device, beat=beat):
        pass
    return twin


def trained(job: Job, twin: Network, parts: Splits, device: str) -> TrainedTwin | None:
    """Give ``twin``, as it was drawn, the weights that a trial of this run has trained; None where none has, or what it
    left cannot be read."""
    path = _path(job, twin, parts)
    try:
        sync.here(job, path)
        found = load_checkpoint(path)
        twin.load_state_dict(found["network"])
        twin.to(device).to(memory_format=torch.channels_last)  # as a training leaves it
        return TrainedTwin(found["trial"], tuple(Epoch(**epoch) for epoch in found["history"]))
    except FileNotFoundError:
        return None
    except (OSError, CheckpointError, TypeError) as error:  # TypeError: its epochs are another version's
        log(job.folder, f"event=twin_unusable path={path.name} error={error}")
        return None


def epochs(job: Job, twin: Network, parts: Splits, device: str, *, beat: Beat) -> Iterator[Epoch]:
    """Train ``twin``, as it was drawn, from its checkpoint where there is one, and keep it; the epochs of one that is
    trained already are yielded as they were.

    Raises TrainingStopped where the training ends early, OSError where the checkpoint cannot be written.
    """
    if (before := trained(job, twin, parts, device)) is not None:
        yield from before.history
        return
    path, checkpoint, recipe = _path(job, twin, parts), job.folder / TWIN_CHECKPOINT, job.candidate.train.for_cnn_twin

    def begin() -> Iterator[Epoch]:
        make_step = partial(TrainStep, accumulate=oom.accumulate(job.folder))
        return train(
            twin, parts, recipe, seed=job.seed, device=device, checkpoint=checkpoint, beat=beat, make_step=make_step
        )

    history = []
    for epoch in from_checkpoint(begin, checkpoint):
        history.append(epoch)
        yield epoch
    try:
        path.parent.mkdir(exist_ok=True)
        state = {"trial": job.number, "history": [asdict(epoch) for epoch in history], "network": twin.state_dict()}
        save_checkpoint(path, state)
        sync.kept(job, path)
    except OSError as error:
        log(job.folder, f"event=twin_not_kept path={path.name} error={error}")


def _path(job: Job, twin: Network, parts: Splits) -> Path:
    digest = training_fingerprint(twin, parts, job.candidate.train.for_cnn_twin, seed=job.seed)
    return job.folder.parent.parent / "twins" / f"{digest[:16]}.pt"
