"""The training loop: surrogate gradients through all time steps, an epoch a turn, resumed exactly where it stopped.

A training that was interrupted after any step ends with the weights of one that was not, bit for bit (same device,
kernels, number of threads and version of torch).
"""

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from snnkit.architecture.plan import Conv, Neurons
from snnkit.base.allocator import keep_freed_memory
from snnkit.data import Splits
from snnkit.nn.network import Fired, Network
from snnkit.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from snnkit.training.evaluation import Evaluation, evaluate
from snnkit.training.recalibration import calibration, recalibrate, recalibrated
from snnkit.training.recipe import Recipe
from snnkit.training.step import TrainStep


@dataclass(frozen=True)
class Epoch:
    epoch: int  # 1-based
    train_loss: float  # with label smoothing and augmentation, mean over the epoch's steps
    train_accuracy: float  # of the same batches, so of weights that still changed
    val_loss: float
    val_accuracy: float
    learning_rate: float  # at its last step
    images: int  # trained on
    wall_s: float  # training and validation; time lost to an interruption left out
    macs: float = 0.0  # dense multiply-accumulates of training, forward and backward


Beat = Callable[[], str | None]


class StepBy(Protocol):
    """Makes what does the steps."""

    def __call__(
        self, network: nn.Module, splits: Splits, recipe: Recipe, *, seed: int, device: torch.device | str
    ) -> TrainStep: ...


class TrainingStopped(Exception):  # noqa: N818  # an outcome, not an error
    """Training ended early for a reason of its own; ``history`` holds the epochs that were finished."""

    def __init__(self, reason: str, history: tuple[Epoch, ...]) -> None:
        super().__init__(reason)
        self.reason, self.history = reason, history


@dataclass
class TrainingProgress:
    """Where a training stands: the finished epochs, and the sums of the one under way."""

    history: list[Epoch] = field(default_factory=list)
    step: int = 0  # the next one of the epoch under way
    loss: float = 0.0
    correct: int = 0
    wall_s: float = 0.0


def train(
    network: nn.Module,
    splits: Splits,
    recipe: Recipe,
    *,
    seed: int,
    device: torch.device | str,
    step_by: StepBy = TrainStep,
    checkpoint: Path | None = None,
    checkpoint_every_s: float = 30.0,
    origin: str = "",
    beat: Beat = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Epoch]:
    """Train ``network`` in place, yielding after each epoch; where the recipe averages weights or estimates BatchNorm's
    statistics anew, it has these then, and when all is done.

    Where there is a file ``checkpoint``, training continues from it, and its finished epochs are yielded again first: a
    caller sees the same epochs whether or not there was an interruption. It is written at the end of each epoch, and
    within one every ``checkpoint_every_s``. ``origin`` says where the network's first weights came from: a checkpoint
    of other ones is of another training. ``beat`` is called after each step, and
    may give a reason to stop.

    Raises:
        TrainingStopped: the loss is not finite, the network is dead or does no better than chance; or ``beat`` says so.
        CheckpointError: the checkpoint is corrupt or of another training.
        OSError: the checkpoint cannot be written; the one before it is untouched.
    """
    if torch.device(device).type == "cpu":
        keep_freed_memory()
    # mypy knows no overload with both; channels_last is 1.2 to 1.4 times faster on a CPU, in fp32 and in bf16
    network.to(device).to(memory_format=torch.channels_last)
    stepper = step_by(network, splits, recipe, seed=seed, device=device)
    training = identity(network, splits, recipe, seed=seed, origin=origin)
    progress = _resumed(checkpoint, stepper, training)
    yield from tuple(progress.history)
    while len(progress.history) < recipe.epochs:
        began, saved = clock() - progress.wall_s, clock()
        network.train()
        while progress.step < stepper.steps:
            _advance(progress, stepper)
            if reason := beat():
                raise TrainingStopped(reason, tuple(progress.history))
            if checkpoint is not None and clock() - saved >= checkpoint_every_s:
                progress.wall_s = clock() - began
                save_checkpoint(checkpoint, _state(stepper, progress, training))
                saved = clock()
        with _judged(stepper):
            validation = evaluate(network, splits.validation, splits, device=device)
            epoch = _finished(progress, stepper, validation, clock() - began)
            progress = TrainingProgress([*progress.history, epoch])
            reason = _why_stop(progress.history, stepper)
        if reason:
            raise TrainingStopped(reason, tuple(progress.history))
        if checkpoint is not None:
            save_checkpoint(checkpoint, _state(stepper, progress, training))
        with _judged(stepper):
            yield epoch
    if stepper.average is not None:
        stepper.average.swap()
    if recipe.recalibrate:
        recalibrate(network, _calibration(stepper))


@contextlib.contextmanager
def _judged(stepper: TrainStep) -> Iterator[None]:
    """Within the block the network is as it would be if training ended here: with its averaged weights and with
    BatchNorm's statistics of images as they are, where the recipe wants these."""
    with contextlib.ExitStack() as stack:
        if stepper.average is not None:
            stepper.average.swap()
            stack.callback(stepper.average.swap)
        if stepper.recipe.recalibrate:
            stack.enter_context(recalibrated(stepper.network, _calibration(stepper)))
        yield


def _calibration(stepper: TrainStep) -> list[Tensor]:
    return calibration(stepper.splits, stepper.seed, stepper.device, stepper.recipe.recalibrate)


class DeadLayerDetector:
    """An observer that notes which layers are active at all."""

    def __init__(self) -> None:
        self._active: dict[str, Tensor] = {}

    def __call__(self, op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if fired is not None:
            active = fired.count > 0
            self._active[op.name] = self._active[op.name] | active if op.name in self._active else active

    def silent(self) -> tuple[str, ...]:
        return tuple(name for name, active in self._active.items() if not active)


def identity(network: nn.Module, splits: Splits, recipe: Recipe, *, seed: int, origin: str = "") -> str:
    """A digest of all that a training depends on, but for its network's first weights, of which ``origin`` tells."""
    shapes = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    what = network.describe() if isinstance(network, Network) else repr(network)  # torch's changes with its version
    parts = [what, shapes, recipe.effective(), seed, splits.describe(), splits.mean, splits.std, origin]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def chance_accuracy(labels: Tensor) -> float:
    """What guessing the most frequent class reaches, and two standard errors of it."""
    share = float(labels.bincount().max()) / len(labels)
    return share + 2 * math.sqrt(share * (1 - share) / len(labels))


def _advance(progress: TrainingProgress, stepper: TrainStep) -> None:
    epoch = len(progress.history)
    loss, correct = stepper.step(epoch, progress.step)
    if not math.isfinite(loss):
        reason = f"loss is {loss} at epoch {epoch + 1}, step {progress.step + 1}; try a lower lr, or clip_norm: 1"
        raise TrainingStopped(reason, tuple(progress.history))
    progress.step += 1
    progress.loss += loss
    progress.correct += correct


def _finished(progress: TrainingProgress, stepper: TrainStep, validation: Evaluation, wall_s: float) -> Epoch:
    return Epoch(
        epoch=len(progress.history) + 1,
        train_loss=progress.loss / stepper.steps,
        train_accuracy=progress.correct / (stepper.steps * stepper.batch),
        val_loss=validation.loss,
        val_accuracy=validation.accuracy,
        learning_rate=stepper.learning_rate(len(progress.history), stepper.steps - 1),
        images=stepper.images,
        wall_s=wall_s,
        macs=stepper.macs(len(progress.history)),
    )


def _why_stop(history: list[Epoch], stepper: TrainStep) -> str | None:
    """A silent layer ends a training only where accuracy is at chance: a network lives with a silent branch."""
    last, splits, recipe = history[-1], stepper.splits, stepper.recipe
    if not math.isfinite(last.val_loss):
        return f"validation loss is {last.val_loss} after epoch {last.epoch}; try a lower lr, or clip_norm: 1"
    if not stepper.gives_up:
        return None
    chance = chance_accuracy(torch.tensor(splits.validation.labels))
    if last.val_accuracy <= chance and (silent := _silent(stepper)):
        where = f"{', '.join(silent)} over {len(splits.validation):,} validation images"
        return f"dead network: after epoch {last.epoch} no spike in {where}, and accuracy is at chance"
    if last.epoch == recipe.chance_patience and max(epoch.val_accuracy for epoch in history) <= chance:
        return f"accuracy is at chance (up to {chance:.3f}) after {last.epoch} epochs: {last.val_accuracy:.3f}"
    return None


def _silent(stepper: TrainStep) -> tuple[str, ...]:
    """The layers that no validation image brings to spike."""
    watch = DeadLayerDetector()
    splits = stepper.splits
    evaluate(stepper.network, splits.validation, splits, device=stepper.device, observe=watch)
    return watch.silent()


def _resumed(checkpoint: Path | None, stepper: TrainStep, training: str) -> TrainingProgress:
    if checkpoint is None or not checkpoint.exists():
        return TrainingProgress()
    state = load_checkpoint(checkpoint)
    if state.get("training") != training:
        raise CheckpointError(f"{checkpoint}: of another network, recipe, data or seed; move it away to start anew")
    stepper.network.load_state_dict(state["network"])
    stepper.optimizer.load_state_dict(state["optimizer"])
    if stepper.average is not None:
        stepper.average.load_state_dict(state["average"])
    progress = state["progress"]
    return TrainingProgress(**progress | {"history": [Epoch(**epoch) for epoch in progress["history"]]})


def _state(stepper: TrainStep, progress: TrainingProgress, training: str) -> dict[str, Any]:
    return {
        "training": training,
        "network": stepper.network.state_dict(),
        "optimizer": stepper.optimizer.state_dict(),
        "average": None if stepper.average is None else stepper.average.state_dict(),
        "progress": asdict(progress),
    }
