"""Recompute BatchNorm's running statistics: for weights that were copied from another network or averaged, or if
training used augmented images."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from snnkit.base.seeds import derived_seed
from snnkit.data import Splits
from snnkit.nn.modes import as_counted
from snnkit.training.evaluation import batches

N_CALIBRATION_IMAGES = 1024
CALIBRATION_BATCH_SIZE = 64


def calibration_batches(
    splits: Splits, seed: int, device: torch.device | str, images: int = N_CALIBRATION_IMAGES
) -> list[Tensor]:
    """Return batches of normalised training images without augmentation, drawn by ``seed``.

    Every batch has 64 images; an incomplete last batch is dropped, unless it is the only one.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, "calibration"))
    order = torch.randperm(len(splits.train), generator=generator)[:images]
    n_batches = max(1, len(order) // CALIBRATION_BATCH_SIZE)
    drawn = splits.train.take(order.numpy())
    return list(itertools.islice(batches(drawn, splits, device, batch=CALIBRATION_BATCH_SIZE), n_batches))


@contextlib.contextmanager
def recalibrated(network: nn.Module, images: Iterable[Tensor]) -> Iterator[None]:
    """Within the block, the network has recalibrated statistics; afterwards it has the previous ones again."""
    previous = {name: buffer.clone() for name, buffer in network.named_buffers()}
    recalibrate(network, images)
    try:
        yield
    finally:
        for name, buffer in network.named_buffers():
            buffer.copy_(previous[name])


def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace BatchNorm's running means and variances by their plain mean over ``batches``.

    ``batches`` are normalised images (B, C, H, W) or frames (B, T, C, H, W) on any device. Each batch is normalised by
    its own statistics, as in training. Dropout is off, so the result is deterministic. Weights, gradients and modes
    stay unchanged. Without BatchNorm or without a batch, nothing changes.

    Without recalibration, a network whose filters were removed or copied can be at chance accuracy (Yu and Huang 2019,
    arXiv:1903.05134; Li et al. 2020, EagleEye, arXiv:2007.02491).
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    device = next(network.parameters()).device
    with as_counted(network):
        try:
            for at, images in enumerate(batches):
                if at == 0:
                    _reset_statistics(norms)
                network(images.to(device))
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def _reset_statistics(norms: list[nn.BatchNorm2d]) -> None:
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
