"""The images and labels of one training step, assembled from the training images by epoch and step number alone."""

import random
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from snnkit.base.seeds import derived_seed
from snnkit.data import Images, Splits
from snnkit.training.augment import cutout, flip_crop, normalise, trivial_augment
from snnkit.training.recipe import Recipe

IMAGES_PER_UPLOAD = 4096  # copied to a GPU at once


@dataclass(frozen=True)
class Batch:
    """The images and labels of a step. If images were mixed, each has two labels: ``labels`` and ``mixup_labels``."""

    images: Tensor  # normalised (B, C, H, W), or frames (B, T, C, H, W)
    labels: Tensor  # (B,)
    mixup_labels: Tensor | None = None  # (B,)
    mixup_share: Tensor | None = None  # a number: the weight of ``labels``; ``mixup_labels`` have the rest

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors of the batch; ``Batch(*tensors)`` restores it."""
        fields = (self.images, self.labels, self.mixup_labels, self.mixup_share)
        return tuple(tensor for tensor in fields if tensor is not None)

    def split(self, count: int) -> "list[Batch]":
        """Split the batch into ``count`` parts of nearly equal size."""
        if count == 1:
            return [self]
        others = [None] * count if self.mixup_labels is None else self.mixup_labels.tensor_split(count)
        parts = zip(self.images.tensor_split(count), self.labels.tensor_split(count), others, strict=True)
        return [replace(self, images=images, labels=labels, mixup_labels=other) for images, labels, other in parts]


class BatchLoader:
    """Assemble augmented batches. On a GPU the training images are held in its memory as uint8."""

    def __init__(self, splits: Splits, recipe: Recipe, *, seed: int, device: torch.device) -> None:
        self.splits, self.recipe, self.seed, self.device = splits, recipe, seed, device
        self.images_on_device = None if device.type == "cpu" else copy_to_device(splits.train, device)
        self.labels = torch.tensor(splits.train.labels, device=device)
        self.batch_size = min(recipe.batch, len(self.labels))
        self.steps_per_epoch = len(self.labels) // self.batch_size
        self._mirror_parity = torch.randint(2, (len(self.labels),), generator=_generator(seed, "mirror"))
        self._order: tuple[int, Tensor] | None = None  # an epoch, and the order of its images

    def load(self, epoch: int, step: int) -> Batch:
        """Return the batch of a step; ``epoch`` and ``step`` count from 0."""
        recipe, generator = self.recipe, partial(_generator, self.seed)
        indices = self._epoch_order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        images = self._rows(indices)
        if recipe.augment != "none":
            images = flip_crop(images, generator("augment", epoch, step), self._mirrored(epoch, indices))
        if recipe.augment == "trivial":
            images = trivial_augment(images, generator("trivial", epoch, step))
        inputs = normalise(images, self.splits)
        if recipe.erase:
            inputs = cutout(inputs, recipe.erase, generator("erase", epoch, step))
        batch = Batch(inputs, self.labels[indices.to(self.device)])
        if recipe.mixup:
            batch = mix_up(batch, recipe.mixup, derived_seed(self.seed, "mixup", epoch, step))
        if inputs.dim() == 4:  # channels_last is not defined for frames
            batch = replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))
        return batch

    def _epoch_order(self, epoch: int) -> Tensor:
        if self._order is None or self._order[0] != epoch:
            order = torch.randperm(len(self.labels), generator=_generator(self.seed, "order", epoch))
            self._order = epoch, order
        return self._order[1]

    def _mirrored(self, epoch: int, indices: Tensor) -> Tensor | None:
        """Which images are mirrored in this epoch (B,): a random half, and the other half in the next one.

        None if chance decides, in each epoch and for each image.
        """
        if self.recipe.augment != "alternate_crop":
            return None
        return (self._mirror_parity[indices] + epoch) % 2 == 0

    def _rows(self, indices: Tensor) -> Tensor:
        if self.images_on_device is None:
            return torch.from_numpy(self.splits.train.rows(indices.numpy()))
        return self.images_on_device[indices.to(self.device)]


def mix_up(batch: Batch, alpha: float, seed: int) -> Batch:
    """Mix each image with another one of the batch (mixup, Zhang et al. 2018, arXiv:1710.09412).

    One share is drawn from Beta(``alpha``, ``alpha``) for the whole batch. The image with the larger share gives
    ``labels``, which count as correct in the training accuracy.
    """
    share = random.Random(seed).betavariate(alpha, alpha)
    share = max(share, 1 - share)
    order = torch.randperm(len(batch.labels), generator=torch.Generator().manual_seed(seed)).to(batch.labels.device)
    images = torch.lerp(batch.images[order], batch.images, share)
    return Batch(images, batch.labels, batch.labels[order], torch.tensor(share, device=order.device))


def copy_to_device(images: Images, device: torch.device) -> Tensor:
    """Copy images (N, C, H, W) or frames (N, T, C, H, W) in chunks, so that host memory never holds all of them."""
    copied = torch.empty(len(images), *images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), IMAGES_PER_UPLOAD):
        chunk = torch.from_numpy(images.rows(slice(start, start + IMAGES_PER_UPLOAD)))
        copied[start : start + IMAGES_PER_UPLOAD] = chunk
    return copied


def _generator(seed: int, *place: object) -> torch.Generator:
    return torch.Generator().manual_seed(derived_seed(seed, *place))
