"""One gradient step of a training, determined by its number alone.

Batch order, augmentation and dropout use generators seeded by (seed, epoch, step) and by nothing that ran before.
Repeating a step after an interruption therefore gives the same result.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.architecture.plan import PASSES, Dropout
from snnkit.base.seeds import derived_seed
from snnkit.data import Splits
from snnkit.nn.cuda_graphs import Graphs
from snnkit.nn.modes import eval_mode
from snnkit.nn.network import Network
from snnkit.training.augment import area_resized
from snnkit.training.averaging import WeightAverage
from snnkit.training.batch import Batch, BatchLoader
from snnkit.training.optimizer import make_optimizer, uses_bf16
from snnkit.training.recipe import Recipe
from snnkit.training.synop_penalty import SynopPenalty


class TrainStep:
    """Run training steps on a network: load a batch, compute gradients, update weights and their average.

    ``teacher`` is a trained network on the same device, needed if the recipe distils. ``accumulate`` splits each batch
    into that many parts and adds up their gradients, to use less memory.
    """

    stops_at_chance = True  # `train` stops a network that has a dead layer or learns nothing while at chance accuracy

    def __init__(
        self, network: nn.Module, splits: Splits, recipe: Recipe, *, seed: int, device: torch.device | str,
        teacher: Network | None = None, accumulate: int = 1,
    ) -> None:  # fmt: skip
        self.network, self.splits, self.recipe, self.seed = network, splits, recipe, seed
        self.teacher = teacher if recipe.distill else None
        assert bool(recipe.distill) == (self.teacher is not None), "a recipe that distils needs a teacher"
        self.device = torch.device(device)
        self.batches = BatchLoader(splits, recipe, seed=seed, device=self.device)
        self.batch_size, self.steps_per_epoch = self.batches.batch_size, self.batches.steps_per_epoch
        self.accumulate = min(accumulate, self.batch_size)
        self.bf16 = uses_bf16(recipe, self.device)
        self.optimizer = make_optimizer(network, recipe)
        self.average = None if recipe.ema is None else WeightAverage(network, recipe.ema)
        self._graphs = Graphs(list(network.parameters())) if self._can_use_cuda_graphs else None

    def run(self, epoch: int, step: int) -> tuple[float, int]:
        """Run one step and return its loss and the number of correct predictions in its batch.

        ``epoch`` and ``step`` count from 0. If the loss is not finite, the weights stay unchanged.
        """
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(derived_seed(self.seed, "network", epoch, step))  # for dropout
        with self._training_size(epoch, step):
            loss, correct = self._compute_gradients(self.batches.load(epoch, step), epoch, step)
        if math.isfinite(loss):
            self._update_weights(epoch, step)
        return loss, correct

    @property
    def images_per_epoch(self) -> int:
        """Number of images that pass forward and backward in an epoch."""
        return self.steps_per_epoch * self.batch_size

    def epoch_macs(self, epoch: int) -> float:
        """Dense multiply-accumulates of an epoch: forward and backward, and forward through the teacher."""
        if not isinstance(self.network, Network):
            return 0.0
        macs_per_image = 0 if self.teacher is None else self.teacher.training_macs / PASSES
        total = macs_per_image * self.images_per_epoch
        for side, steps in Counter(self.resolution(epoch, step) for step in range(self.steps_per_epoch)).items():
            with self._epoch_timesteps(epoch), self.network.at_resolution(side):
                total += self.network.training_macs * steps * self.batch_size
        return total

    def learning_rate(self, epoch: int, step: int) -> float:
        """Learning rate at the middle of the step, so that it is not 0 at the first or the last step."""
        return self.recipe.learning_rate(self._progress(epoch, step))

    def resolution(self, epoch: int, step: int) -> int:
        """Side in pixels of the images that the network is trained on in this step."""
        return self.recipe.resolution(self._progress(epoch, step), self.splits.train.shape[-2])

    def _progress(self, epoch: int, step: int) -> float:
        """Share of all steps, 0..1, at the middle of this one."""
        steps = self.steps_per_epoch
        return (epoch * steps + step + 0.5) / (self.recipe.epochs * steps)

    @contextlib.contextmanager
    def _training_size(self, epoch: int, step: int) -> Iterator[None]:
        """Within the block, the network has the time steps and the resolution of this step."""
        network = self.network
        sized = network.at_resolution(self.resolution(epoch, step)) if isinstance(network, Network) else nullcontext()
        with self._epoch_timesteps(epoch), sized:
            yield

    @contextlib.contextmanager
    def _epoch_timesteps(self, epoch: int) -> Iterator[None]:
        """Within the block, the network has the number of time steps that the recipe uses in this epoch."""
        network, recipe = self.network, self.recipe
        if epoch >= recipe.short_epochs or not isinstance(network, Network):
            yield
            return
        timesteps, network.timesteps = network.timesteps, min(recipe.short_timesteps, network.timesteps)
        try:
            yield
        finally:
            network.timesteps = timesteps

    def _compute_gradients(self, batch: Batch, epoch: int, step: int) -> tuple[float, int]:
        """Leave gradients in the weights; return the loss and the number of correct predictions."""
        if self._graphs is not None:
            assert isinstance(self.network, Network)
            kind = self.network.timesteps, self.network.plan.in_shape
            return loss_and_correct(self._graphs(self._backward_tensors, kind, batch.tensors))
        found = [loss_and_correct(self._backward(self.network, part)) for part in batch.split(self.accumulate)]
        return sum(loss for loss, _ in found), sum(correct for _, correct in found)

    @property
    def _can_use_cuda_graphs(self) -> bool:
        """Whether all steps launch the same kernels with the same constants.

        Dropout draws new numbers at each step, and a learned leak is read by the CPU.
        """
        network = self.network
        if self.device.type != "cuda" or self.accumulate > 1 or not isinstance(network, Network):
            return False
        has_dropout = any(isinstance(op, Dropout) and op.rate for op in network.plan.ops)
        return not has_dropout and not (network.neuron is not None and network.neuron.learn_leak)

    def _backward_tensors(self, tensors: Sequence[Tensor]) -> Tensor:
        return self._backward(self.network, Batch(*tensors))

    def _backward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Add to the gradients; return the loss and the number of correct predictions as one tensor (2,)."""
        penalty = SynopPenalty() if self.recipe.rate_penalty else None
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            logits = _logits_per_timestep(network, batch.images, penalty)
        loss = self._loss(logits if self.recipe.loss == "each_step" else logits.mean(0, keepdim=True), batch)
        if penalty is not None:
            loss = loss + self.recipe.rate_penalty * penalty.synops_per_synapse
        loss = loss * (len(batch.labels) / self.batch_size)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        correct = (logits.mean(0).argmax(dim=1) == batch.labels).sum()
        return torch.stack([loss.detach(), correct])

    def _loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Mean loss over time steps, given logits (T, B, classes) in float32."""
        timesteps, recipe = len(logits), self.recipe
        flat = logits.flatten(0, 1)

        def cross_entropy(labels: Tensor) -> Tensor:
            return functional.cross_entropy(flat, labels.repeat(timesteps), label_smoothing=recipe.label_smoothing)

        loss = cross_entropy(batch.labels)
        if batch.mixup_labels is not None and batch.mixup_share is not None:
            loss = batch.mixup_share * loss + (1 - batch.mixup_share) * cross_entropy(batch.mixup_labels)
        if self.teacher is None:
            return loss
        wanted = self._teacher_probabilities(self.teacher, batch.images).repeat(timesteps, 1)
        found = functional.log_softmax(flat / recipe.temperature, dim=1)
        # the factor temperature**2 keeps gradients at the same scale for every temperature
        distance = functional.kl_div(found, wanted, reduction="batchmean") * recipe.temperature**2
        return (1 - recipe.distill) * loss + recipe.distill * distance

    @torch.no_grad()
    def _teacher_probabilities(self, teacher: Network, images: Tensor) -> Tensor:
        """The teacher's class probabilities (B, classes) at the recipe's temperature."""
        with eval_mode(teacher), torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            logits = teacher(images)
        return functional.softmax(logits.float() / self.recipe.temperature, dim=1)

    def _update_weights(self, epoch: int, step: int) -> None:
        if self.recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        learning_rate = self.learning_rate(epoch, step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group.get("lr_factor", 1.0)
        self.optimizer.step()
        if self.average is not None:
            if self._resolution_changes(epoch, step):
                self.average.restart()
            self.average.update_parameters(self.network)

    def _resolution_changes(self, epoch: int, step: int) -> bool:
        """Whether the step before this one had another resolution, or there was none."""
        before = (epoch, step - 1) if step else (epoch - 1, self.steps_per_epoch - 1)
        return before[0] < 0 or self.resolution(*before) != self.resolution(epoch, step)


def loss_and_correct(result: Tensor) -> tuple[float, int]:
    """Copy a step's result (2,) from its device: the loss and the number of correct predictions."""
    loss, correct = result.tolist()
    return loss, int(correct)


def _logits_per_timestep(network: nn.Module, images: Tensor, penalty: SynopPenalty | None) -> Tensor:
    """Logits (T, B, classes) in float32. A module without time steps gives (1, B, classes)."""
    if isinstance(network, Network):
        images = area_resized(images, network.plan.in_shape[1])
        logits: Tensor = network(images, penalty, each_step=True)
    else:
        logits = network(images)[None]
    return logits.float()
