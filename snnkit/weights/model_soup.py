"""Networks that were trained from common weights, averaged: a model soup (Wortsman et al. 2022, arXiv:2203.05482)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def average_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of state dicts with the same tensors, BatchNorm's statistics and learned leaks included; what is no
    floating-point number, such as a count of batches, is the first one's.

    It is one network of the same cost. Between networks that went on from the same weights the loss is low all the way
    and often lower than at either end (Frankle et al. 2020, arXiv:1912.05671); between others it is not. Raises
    KeyError or RuntimeError where they are of different networks.
    """
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else first.clone()
        for name, first in states[0].items()
    }
