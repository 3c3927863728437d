"""The leaky integrate-and-fire layer, over all time steps at once."""

import math

import torch
from torch import Tensor, nn

from snnkit import kernels
from snnkit.base.config import NeuronConfig
from snnkit.kernels.current import with_leak


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons, equal to ``Leaky`` of snnTorch 1.0 run step by step from a membrane of 0.

    With ``neuron.learn_leak``, the leak is the sigmoid of a weight, which keeps it between 0 and 1 (Fang et al. 2021,
    arXiv:2007.05785).
    """

    def __init__(self, neuron: NeuronConfig) -> None:
        super().__init__()
        self.neuron = neuron
        self.leak_logit = nn.Parameter(torch.empty(())) if neuron.learn_leak else None
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Reset the learned leak to its initial value."""
        if self.leak_logit is not None:
            self.leak_logit.fill_(math.log(self.neuron.leak / (1 - self.neuron.leak)))

    @property
    def leak(self) -> Tensor | None:
        """The learned leak, a scalar; None if the leak is ``neuron.leak``."""
        return None if self.leak_logit is None else self.leak_logit.float().sigmoid()

    @property
    def current_neuron(self) -> NeuronConfig:
        """``neuron`` with the present value of a learned leak."""
        return with_leak(self.neuron, self.leak)

    def forward(self, current: Tensor, timesteps: int | None = None) -> Tensor:
        """Return spikes (T, B, ...), 0 or 1, for currents (T, B, ...), in their dtype.

        With ``timesteps``, a current (1, B, ...) drives the neurons at each of these steps.
        """
        return kernels.lif(current, self.neuron, timesteps or len(current), self.leak)

    def as_leaky(self) -> nn.Module:
        """Return the same neuron as a ``snntorch.Leaky``: ``spikes, membrane = leaky(current, membrane)`` per step."""
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
