"""The multi-step LIF neuron as one differentiable function. Which implementation runs is decided here and only here."""

from torch import Tensor

from snnkit.kernels import reference
from snnkit.values import Neuron


def lif(current: Tensor, neuron: Neuron, timesteps: int) -> Tensor:
    """Spikes (T, ...) in the dtype of the current, which is (T, ...), or (1, ...) where it is the same at every step.

    The membrane starts at 0 and is integrated in float32 at least.
    """
    return reference.lif(current, neuron, timesteps)
