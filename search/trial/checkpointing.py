"""Start a training again if its checkpoint cannot be used."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from search.trial.folder import TrialFolder
from snnkit.training.checkpoint import CheckpointError, set_aside

Event = TypeVar("Event")


def restart_without_checkpoint(
    train: Callable[[], Iterator[Event]], checkpoint: Path, files: TrialFolder
) -> Iterator[Event]:
    """Yield the events of ``train``; if it refuses ``checkpoint``, rename that file and call ``train`` once more.

    A training refuses a checkpoint that is corrupt or belongs to another training, before its first step.
    """
    try:
        yield from train()
        return
    except CheckpointError as error:
        files.log(f"event=checkpoint_unusable moved_to={set_aside(checkpoint).name} error={error}")
    yield from train()
