"""One gradient step of a training, decided by its number alone.

Batch order, augmentation and dropout are drawn from generators seeded by (seed, epoch, step) and by nothing that ran
before: a step that is done again after an interruption is the same step.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.augment import flip_crop, normalise
from snnkit.data import Images, Splits
from snnkit.network import Network
from snnkit.recipe import Recipe
from snnkit.seeds import derived_seed

UPLOAD = 4096  # images copied to a GPU at once


class Stepper:
    """The network, its optimizer, and on a GPU the training images as uint8; on a CPU they stay where they are."""

    gives_up = True  # on a network that is dead or does no better than chance

    def __init__(
        self, network: nn.Module, splits: Splits, recipe: Recipe, *, seed: int, device: torch.device | str
    ) -> None:
        self.network, self.splits, self.recipe, self.seed = network, splits, recipe, seed
        self.device = torch.device(device)
        self.resident = None if self.device.type == "cpu" else _on_device(splits.train, self.device)
        self.labels = torch.tensor(splits.train.labels, device=self.device)
        self.batch = min(recipe.batch, len(self.labels))
        self.steps = len(self.labels) // self.batch  # per epoch
        self.bf16 = uses_bf16(recipe, self.device)
        self.optimizer = make_optimizer(network, recipe)

    def step(self, epoch: int, step: int) -> tuple[float, int]:
        """Do one step, both counted from 0: its loss and how many of its batch were right.

        Where the loss is not finite, the weights are left as they were.
        """
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(derived_seed(self.seed, "network", epoch, step))  # for dropout
        loss, correct = self._gradients(*self._batch(epoch, step), epoch, step)
        if math.isfinite(loss):
            self._descend(self.learning_rate(epoch, step))
        return loss, correct

    @property
    def images(self) -> int:
        """That networks are trained on in an epoch."""
        return self.steps * self.batch

    def macs(self, epoch: int) -> float:
        """Dense multiply-accumulates of an epoch, forward and backward."""
        return float(self.network.training_macs) * self.images if isinstance(self.network, Network) else 0.0

    def learning_rate(self, epoch: int, step: int) -> float:
        """Of the step's middle, so that neither the first step nor the last has none."""
        return self.recipe.learning_rate((epoch * self.steps + step + 0.5) / (self.recipe.epochs * self.steps))

    def _batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        order = torch.randperm(len(self.labels), generator=_generator(self.seed, "order", epoch))
        picked = order[step * self.batch : (step + 1) * self.batch]
        images = self._rows(picked)
        if self.recipe.augment == "flip_crop":
            images = flip_crop(images, _generator(self.seed, "augment", epoch, step))
        inputs = normalise(images, self.splits)
        if inputs.dim() == 4:  # channels_last is not defined for frames
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs, self.labels[picked.to(self.device)]

    def _rows(self, picked: Tensor) -> Tensor:
        if self.resident is None:
            return torch.from_numpy(self.splits.train.rows(picked.numpy()))
        return self.resident[picked.to(self.device)]

    def _gradients(self, images: Tensor, labels: Tensor, epoch: int, step: int) -> tuple[float, int]:
        """Leaves gradients at the weights; the loss and how many were right."""
        return self._backward(self.network, images, labels)

    def _backward(self, network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, int]:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            logits = network(images)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return loss.item(), int((logits.argmax(dim=1) == labels).sum())

    def _descend(self, rate: float) -> None:
        if self.recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Weight decay on the weights of convolutions alone: biases and BatchNorm have none."""
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999))
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


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
