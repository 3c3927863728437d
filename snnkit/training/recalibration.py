"""BatchNorm's running statistics, estimated anew: for weights that were not trained where they now stand, or that were
trained on images which an augmentation had changed."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from snnkit.base.seeds import derived_seed
from snnkit.data import Splits
from snnkit.nn.modes import as_counted
from snnkit.training.evaluation import batches

CALIBRATION = 1024  # training images
BATCH = 64


def calibration(splits: Splits, seed: int, device: torch.device | str, images: int = CALIBRATION) -> list[Tensor]:
    """Batches of so many training images without augmentation, drawn by ``seed``; whole ones, but for a data set that
    is smaller than one."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "calibration"))
    order = torch.randperm(len(splits.train), generator=generator)[:images]
    whole = max(1, len(order) // BATCH)
    picked = splits.train.take(order.numpy())
    return list(itertools.islice(batches(picked, splits, device, batch=BATCH), whole))


@contextlib.contextmanager
def recalibrated(network: nn.Module, images: Iterable[Tensor]) -> Iterator[None]:
    """Within the block `recalibrate` has been done; then the statistics are as before."""
    kept = {name: buffer.clone() for name, buffer in network.named_buffers()}
    recalibrate(network, images)
    try:
        yield
    finally:
        for name, buffer in network.named_buffers():
            buffer.copy_(kept[name])


def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace all running means and variances by the mean of those of ``batches``, normalised images (B, C, H, W) or
    frames (B, T, C, H, W) on any device; weights, gradients and modes stay as they are.

    Each batch is normalised by its own statistics, as in training; dropout is off, so nothing is random. Without it a
    network whose filters were cut or copied can be at chance (Yu and Huang 2019, arXiv:1903.05134; Li et al. 2020,
    EagleEye, arXiv:2007.02491). A network without BatchNorm, or no batch, changes nothing.
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
                    _begin(norms)
                network(images.to(device))
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum


def _begin(norms: list[nn.BatchNorm2d]) -> None:
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
