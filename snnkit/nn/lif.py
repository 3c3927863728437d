"""The leaky integrate-and-fire layer, over all time steps at once."""

import math

import torch
from torch import Tensor, nn

from snnkit import kernels
from snnkit.base.config import NeuronConfig
from snnkit.kernels.current import learned


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons, equal to snnTorch 1.0's ``Leaky`` run step by step from a membrane of 0.

    With ``neuron.learn_leak`` the leak is a weight's sigmoid, so that it stays between 0 and 1 (Fang et al. 2021,
    arXiv:2007.05785).
    """

    def __init__(self, neuron: NeuronConfig) -> None:
        super().__init__()
        self.neuron = neuron
        self.leak_logit = nn.Parameter(torch.empty(())) if neuron.learn_leak else None
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Back to the leak that learning begins with."""
        if self.leak_logit is not None:
            self.leak_logit.fill_(math.log(self.neuron.leak / (1 - self.neuron.leak)))

    @property
    def leak(self) -> Tensor | None:
        """The leak that is learned, a number; None where it is ``neuron.leak``."""
        return None if self.leak_logit is None else self.leak_logit.float().sigmoid()

    @property
    def current_neuron(self) -> NeuronConfig:
        """``neuron`` with the leak as it is now."""
        return learned(self.neuron, self.leak)

    def forward(self, current: Tensor, timesteps: int | None = None) -> Tensor:
        """Currents (T, B, ...) to spikes (T, B, ...): 0 or 1, in the dtype of the currents.

        With ``timesteps`` a current (1, B, ...) is taken as the same at each of them.
        """
        return kernels.lif(current, self.neuron, timesteps or len(current), self.leak)

    def as_leaky(self) -> nn.Module:
        """The same neuron as a ``snntorch.Leaky``: one step a call, ``spikes, membrane = leaky(current, membrane)``."""
        from snntorch import Leaky, surrogate  # type: ignore[import-untyped]  # it ships no types

        spike_grads = {
            "atan": lambda slope: surrogate.atan(alpha=slope),
            "fast_sigmoid": surrogate.fast_sigmoid,
            "sigmoid": surrogate.sigmoid,
            "triangular": lambda _: surrogate.triangular(),
            "straight_through": lambda _: surrogate.straight_through_estimator(),
        }
        neuron = self.current_neuron
        leaky: nn.Module = Leaky(
            beta=neuron.leak,
            learn_beta=neuron.learn_leak,
            threshold=neuron.threshold,
            spike_grad=spike_grads[neuron.surrogate](neuron.slope),
            reset_mechanism=neuron.reset,
            reset_delay=neuron.reset_delay,
        )
        return leaky

    def extra_repr(self) -> str:
        return repr(self.neuron)
