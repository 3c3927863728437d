"""The leaky integrate-and-fire layer, over all time steps at once."""

from torch import Tensor, nn

from snnkit import kernels
from snnkit.values import Neuron


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons, equal to snnTorch 1.0's ``Leaky`` run step by step from a membrane of 0."""

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, current: Tensor, timesteps: int | None = None) -> Tensor:
        """Currents (T, B, ...) to spikes (T, B, ...): 0 or 1, in the dtype of the currents.

        With ``timesteps`` a current (1, B, ...) is taken as the same at each of them.
        """
        return kernels.lif(current, self.neuron, timesteps or len(current))

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
        neuron = self.neuron
        leaky: nn.Module = Leaky(
            beta=neuron.leak,
            threshold=neuron.threshold,
            spike_grad=spike_grads[neuron.surrogate](neuron.slope),
            reset_mechanism=neuron.reset,
            reset_delay=neuron.reset_delay,
        )
        return leaky

    def extra_repr(self) -> str:
        return repr(self.neuron)
