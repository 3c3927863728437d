"""Modes that a network runs in for a while: counted without rounding, or in eval mode."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


@contextlib.contextmanager
def as_counted(network: nn.Module) -> Iterator[None]:
    """Within the block: eval mode, no gradients, and fp32 multiplied as such: cuDNN may not round factors to TF32."""
    with eval_mode(network), torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@contextlib.contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Eval mode within the block; then each module is in the mode that it had."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
