"""A training goes on from its checkpoint, or from the beginning where that cannot be used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from search.trial.job import log
from snnkit.training.checkpoint import CheckpointError, set_aside

Epoch = TypeVar("Epoch")


def from_checkpoint(
    begin: Callable[[], Iterator[Epoch]], checkpoint: Path, forget: Callable[[], None] = lambda: None
) -> Iterator[Epoch]:
    """The epochs of a training; a checkpoint that is corrupt or of another training, which it refuses before its first
    step, is kept under another name, what is known of it is forgotten, and the training starts from the beginning."""
    try:
        yield from begin()
    except CheckpointError as error:
        log(checkpoint.parent, f"event=checkpoint_unusable moved_to={set_aside(checkpoint).name} error={error}")
        forget()
        yield from begin()
