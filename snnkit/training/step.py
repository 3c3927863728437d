"""One gradient step of a training, decided by its number alone.

Batch order, augmentation and dropout are drawn from generators seeded by (seed, epoch, step) and by nothing that ran
before: a step that is done again after an interruption is the same step.
"""

import contextlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.architecture.plan import PASSES, Dropout
from snnkit.base.seeds import derived_seed
from snnkit.data import Images, Splits
from snnkit.nn.cuda_graphs import Graphs
from snnkit.nn.modes import eval_mode
from snnkit.nn.network import Network
from snnkit.training.augment import erased, flip_crop, normalise, trivial
from snnkit.training.recipe import Recipe
from snnkit.training.synop_penalty import SynopPenalty

UPLOAD = 4096  # images copied to a GPU at once


@dataclass(frozen=True)
class Batch:
    """What a step trains on. Of mixed images ``labels`` counts for ``share`` and ``others`` for the rest."""

    images: Tensor
    labels: Tensor
    others: Tensor | None = None
    share: Tensor | None = None  # a number

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All there is of it; ``Batch(*tensors)`` is the same one."""
        return tuple(each for each in (self.images, self.labels, self.others, self.share) if each is not None)

    def parts(self, count: int) -> "list[Batch]":
        """Itself in ``count`` parts of about one size."""
        if count == 1:
            return [self]
        others = [None] * count if self.others is None else self.others.tensor_split(count)
        split = zip(self.images.tensor_split(count), self.labels.tensor_split(count), others, strict=True)
        return [replace(self, images=images, labels=labels, others=other) for images, labels, other in split]


class TrainStep:
    """The network, its optimizer, and on a GPU the training images as uint8; on a CPU they stay where they are.

    ``teacher``: a trained network on the same device, for a recipe that distils. ``accumulate``: each batch is taken in
    so many parts, for which less memory is enough, and their gradients are added up.
    """

    gives_up = True  # on a network that is dead or does no better than chance

    def __init__(
        self, network: nn.Module, splits: Splits, recipe: Recipe, *, seed: int, device: torch.device | str,
        teacher: Network | None = None, accumulate: int = 1,
    ) -> None:  # fmt: skip
        self.network, self.splits, self.recipe, self.seed = network, splits, recipe, seed
        self.teacher = teacher if recipe.distill else None
        assert bool(recipe.distill) == (self.teacher is not None), "a recipe that distils has a teacher"
        self.device = torch.device(device)
        self.resident = None if self.device.type == "cpu" else _on_device(splits.train, self.device)
        self.labels = torch.tensor(splits.train.labels, device=self.device)
        self.batch = min(recipe.batch, len(self.labels))
        self.steps = len(self.labels) // self.batch  # per epoch
        self.accumulate = min(accumulate, self.batch)
        self.bf16 = uses_bf16(recipe, self.device)
        self.optimizer = make_optimizer(network, recipe)
        self.average = None if recipe.ema is None else Average(network, recipe.ema)
        self._graphs = Graphs(list(network.parameters())) if self._recordable else None
        self._order: tuple[int, Tensor] | None = None  # of an epoch

    def step(self, epoch: int, step: int) -> tuple[float, int]:
        """Do one step, both counted from 0: its loss and how many of its batch were right.

        Where the loss is not finite, the weights are left as they were.
        """
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(derived_seed(self.seed, "network", epoch, step))  # for dropout
        with self._timesteps(epoch):
            loss, correct = self._gradients(self._batch(epoch, step), epoch, step)
        if math.isfinite(loss):
            self._descend(self.learning_rate(epoch, step))
        return loss, correct

    @property
    def images(self) -> int:
        """That networks are trained on in an epoch."""
        return self.steps * self.batch

    def macs(self, epoch: int) -> float:
        """Dense multiply-accumulates of an epoch, forward and backward; of a teacher forward alone."""
        if not isinstance(self.network, Network):
            return 0.0
        with self._timesteps(epoch):
            an_image = float(self.network.training_macs)
        if self.teacher is not None:
            an_image += self.teacher.training_macs / PASSES
        return an_image * self.images

    def learning_rate(self, epoch: int, step: int) -> float:
        """Of the step's middle, so that neither the first step nor the last has none."""
        return self.recipe.learning_rate((epoch * self.steps + step + 0.5) / (self.recipe.epochs * self.steps))

    @contextlib.contextmanager
    def _timesteps(self, epoch: int) -> Iterator[None]:
        """Within the block the network has as many as the recipe gives it in that epoch."""
        network, recipe = self.network, self.recipe
        if epoch >= recipe.short_epochs or not isinstance(network, Network):
            yield
            return
        whole, network.timesteps = network.timesteps, min(recipe.short_timesteps, network.timesteps)
        try:
            yield
        finally:
            network.timesteps = whole

    def _batch(self, epoch: int, step: int) -> Batch:
        recipe, drawn = self.recipe, partial(_generator, self.seed)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, torch.randperm(len(self.labels), generator=drawn("order", epoch))
        picked = self._order[1][step * self.batch : (step + 1) * self.batch]
        images = self._rows(picked)
        if recipe.augment != "none":
            images = flip_crop(images, drawn("augment", epoch, step))
        if recipe.augment == "trivial":
            images = trivial(images, drawn("trivial", epoch, step))
        inputs = normalise(images, self.splits)
        if recipe.erase:
            inputs = erased(inputs, recipe.erase, drawn("erase", epoch, step))
        batch = Batch(inputs, self.labels[picked.to(self.device)])
        if recipe.mixup:
            batch = mixed(batch, recipe.mixup, derived_seed(self.seed, "mixup", epoch, step))
        if inputs.dim() == 4:  # channels_last is not defined for frames
            batch = replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))
        return batch

    def _rows(self, picked: Tensor) -> Tensor:
        if self.resident is None:
            return torch.from_numpy(self.splits.train.rows(picked.numpy()))
        return self.resident[picked.to(self.device)]

    def _gradients(self, batch: Batch, epoch: int, step: int) -> tuple[float, int]:
        """Leaves gradients at the weights; the loss and how many were right."""
        if self._graphs is not None:
            assert isinstance(self.network, Network)
            return read(self._graphs(self._of_tensors, self.network.timesteps, batch.tensors))
        found = [read(self._backward(self.network, part)) for part in batch.parts(self.accumulate)]
        return sum(loss for loss, _ in found), sum(right for _, right in found)

    @property
    def _recordable(self) -> bool:
        """Whether all steps launch the same kernels, with the same numbers: dropout draws new ones, and a leak that is
        learned is read by the CPU."""
        network = self.network
        if self.device.type != "cuda" or self.accumulate > 1 or not isinstance(network, Network):
            return False
        drops = any(isinstance(op, Dropout) and op.rate for op in network.plan.ops)
        return not drops and not (network.neuron is not None and network.neuron.learn_leak)

    def _of_tensors(self, tensors: Sequence[Tensor]) -> Tensor:
        return self._backward(self.network, Batch(*tensors))

    def _backward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Adds to the gradients; the loss and how many were right (2,)."""
        traffic = SynopPenalty() if self.recipe.rate_penalty else None
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            steps = _each_step(network, batch.images, traffic)
        loss = self._loss(steps if self.recipe.loss == "each_step" else steps.mean(0, keepdim=True), batch)
        if traffic is not None:
            loss = loss + self.recipe.rate_penalty * traffic.share
        loss = loss * (len(batch.labels) / self.batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        right = (steps.mean(0).argmax(dim=1) == batch.labels).sum()
        return torch.stack([loss.detach(), right])

    def _loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Of logits (steps, B, classes) in float32, the mean of the steps' own."""
        count, recipe = len(logits), self.recipe
        flat = logits.flatten(0, 1)

        def entropy(labels: Tensor) -> Tensor:
            return functional.cross_entropy(flat, labels.repeat(count), label_smoothing=recipe.label_smoothing)

        loss = entropy(batch.labels)
        if batch.others is not None and batch.share is not None:
            loss = batch.share * loss + (1 - batch.share) * entropy(batch.others)
        if self.teacher is None:
            return loss
        wanted = self._taught(self.teacher, batch.images).repeat(count, 1)
        found = functional.log_softmax(flat / recipe.temperature, dim=1)
        # times its square, so that gradients are of one size whatever the temperature
        distance = functional.kl_div(found, wanted, reduction="batchmean") * recipe.temperature**2
        return (1 - recipe.distill) * loss + recipe.distill * distance

    @torch.no_grad()
    def _taught(self, teacher: Network, images: Tensor) -> Tensor:
        """The teacher's probabilities (B, classes)."""
        with eval_mode(teacher), torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            logits = teacher(images)
        return functional.softmax(logits.float() / self.recipe.temperature, dim=1)

    def _descend(self, rate: float) -> None:
        if self.recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        if self.average is not None:
            self.average.update()


def decay_after(steps: int, decay: float) -> float:
    """Of an average that has seen so many steps: less at first, as TensorFlow's has it, or the weights that were drawn
    would stay in it for 1 / (1 - ``decay``) steps, which a short training has not."""
    return min(decay, (1 + steps) / (10 + steps))


class Average:
    """The exponential moving average of a network's weights and of its BatchNorm's statistics (Tarvainen and Valpola
    2017, arXiv:1703.01780)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay, self._steps = decay, 0
        self._own = network.state_dict()  # the tensors themselves
        self._averaged = {name: own.clone() for name, own in self._own.items()}
        self._numbers = [name for name, own in self._own.items() if own.is_floating_point()]
        self._counts = [name for name in self._own if name not in self._numbers]

    @torch.no_grad()
    def update(self) -> None:
        """After a step."""
        share = 1 - decay_after(self._steps, self._decay) if self._steps else 1.0
        torch._foreach_lerp_(*self._both(self._numbers), share)
        torch._foreach_copy_(*self._both(self._counts))
        self._steps += 1

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the network's weights with the averaged ones."""
        for own, averaged in zip(self._own.values(), self._averaged.values(), strict=True):
            kept = own.clone()
            own.copy_(averaged)
            averaged.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint; as torch's ``AveragedModel`` has it."""
        averaged = {f"module.{name}": tensor for name, tensor in self._averaged.items()}
        return {"n_averaged": torch.tensor(self._steps), **averaged}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._steps = int(state["n_averaged"])
        for name, averaged in self._averaged.items():
            averaged.copy_(state[f"module.{name}"])

    def _both(self, names: Sequence[str]) -> tuple[list[Tensor], list[Tensor]]:
        return [self._averaged[name] for name in names], [self._own[name] for name in names]


def mixed(batch: Batch, alpha: float, seed: int) -> Batch:
    """Each image with another one of the batch, all in the same share, drawn from Beta(alpha, alpha): mixup (Zhang et
    al. 2018, arXiv:1710.09412). The larger share comes first, so that its label is the one that may be right."""
    share = random.Random(seed).betavariate(alpha, alpha)
    share = max(share, 1 - share)
    order = torch.randperm(len(batch.labels), generator=torch.Generator().manual_seed(seed)).to(batch.labels.device)
    images = torch.lerp(batch.images[order], batch.images, share)
    return Batch(images, batch.labels, batch.labels[order], torch.tensor(share, device=order.device))


def read(found: Tensor) -> tuple[float, int]:
    """A loss and how many were right, once the device has them."""
    loss, right = found.tolist()
    return loss, int(right)


def _each_step(network: nn.Module, images: Tensor, traffic: SynopPenalty | None) -> Tensor:
    """(T, B, classes) in float32; of a module that knows no steps (1, B, classes)."""
    known = isinstance(network, Network)
    steps: Tensor = network(images, traffic, each_step=True) if known else network(images)[None]
    return steps.float()


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Weight decay on the weights of convolutions alone: biases and BatchNorm have none. On a GPU a step is one kernel
    for each group."""
    on_gpu = all(parameter.is_cuda for parameter in network.parameters())
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=on_gpu)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=on_gpu)


def uses_bf16(recipe: Recipe, device: torch.device) -> bool:
    """``auto`` is bf16 where the hardware multiplies it.

    SqueezeNet, T = 2, one core with AVX512-BF16: an epoch takes 1 / 1.6 to 1 / 1.8 of the time in fp32 at 32x32 pixels,
    1 / 1.2 to 1 / 1.4 at 16x16.
    """
    if recipe.precision != "auto":
        return recipe.precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _on_device(images: Images, device: torch.device) -> Tensor:
    """(N, C, H, W) or (N, T, C, H, W), a part after the other: the whole is never in the host's memory."""
    resident = torch.empty(len(images), *images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), UPLOAD):
        part = torch.from_numpy(images.rows(slice(start, start + UPLOAD)))
        resident[start : start + UPLOAD] = part
    return resident


def _generator(seed: int, *place: object) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, *place))
