"""Average networks that were trained from common weights: a model soup (Wortsman et al. 2022, arXiv:2203.05482)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def average_weights(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of state dicts that hold the same tensors, including BatchNorm statistics and learned leaks.

    Tensors of integers, such as the count of batches, are taken from the first one. The result is one network of the
    same cost. Averaging works for networks that continued from the same weights: the loss is low on the line between
    them, often lower than at its ends (Frankle et al. 2020, arXiv:1912.05671). It fails for unrelated networks.

    Raises:
        KeyError, RuntimeError: the state dicts belong to different architectures.
    """
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else first.clone()
        for name, first in states[0].items()
    }
