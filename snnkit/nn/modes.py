"""Context managers that set a network's mode: eval mode, or exact counting."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def as_counted(network: nn.Module) -> Iterator[None]:
    """Use eval mode, no gradients, and exact float32 in the block; cuDNN may not round factors to TF32."""
    with eval_mode(network), torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@contextlib.contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Use eval mode in the block; afterwards each module returns to its own mode."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
