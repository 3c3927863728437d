"""BatchNorm's running statistics, estimated anew for weights that were not trained where they now stand."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from snnkit.evaluation import eval_mode
from snnkit.network import Network


def recalibrate(network: Network, batches: Iterable[Tensor]) -> None:
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
    with eval_mode(network), torch.no_grad():
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
