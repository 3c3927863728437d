"""The multi-step LIF neuron as one differentiable function. Which implementation runs is decided here and only here."""

from torch import Tensor

from snnkit.kernels import reference
from snnkit.values import Neuron


def lif(current: Tensor, neuron: Neuron) -> Tensor:
    """Spikes (T, ...) in answer to input current (T, ...), in the current's dtype; the membrane starts at 0."""
    return reference.lif(current, neuron)
