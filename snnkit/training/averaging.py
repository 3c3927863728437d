"""Exponential moving average (EMA) of a network's weights (Tarvainen and Valpola 2017, arXiv:1703.01780)."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def ema_decay(steps: int, decay: float) -> float:
    """Return the decay after ``steps`` averaged steps: smaller at first, then ``decay``.

    With a constant decay the initial random weights would stay in the average for about 1 / (1 - ``decay``) steps,
    which is longer than a short training. TensorFlow's ExponentialMovingAverage uses the same warm-up.
    """
    return min(decay, (1 + steps) / (10 + steps))


class WeightAverage(AveragedModel):
    """A copy of ``network`` that averages its weights and BatchNorm statistics.

    Call ``update_parameters(network)`` after each step. The first call copies the weights. Integer buffers, such as
    BatchNorm's count of batches, are always copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network, use_buffers=True)
        self._decay = decay

    def restart(self) -> None:
        """Forget the average: the next update copies the weights and statistics."""
        self.n_averaged.zero_()

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        # the counter is on the CPU: reading it here, not in the averaging function, does not wait for the GPU
        self.multi_avg_fn = partial(_average, share=1 - ema_decay(int(self.n_averaged), self._decay))
        super().update_parameters(model)


def _average(averaged: list[Tensor], current: list[Tensor], _: Tensor | int, *, share: float) -> None:
    if averaged[0].is_floating_point():
        torch._foreach_lerp_(averaged, current, share)
    else:
        torch._foreach_copy_(averaged, current)
