"""A differentiable count of the accumulates that spikes cause, used as a penalty in training."""

import torch
from torch import Tensor

from snnkit.architecture.plan import Conv, Neurons
from snnkit.nn.network import Fired


class SynopPenalty:
    """An observer of a forward pass. It weights the spikes that each convolution reads by their number of synapses.

    A penalty on the plain firing rate (as in Zenke and Vogels 2021, 10.1162/neco_a_01367) would ignore that a spike
    costs more in front of a large convolution.
    """

    def __init__(self) -> None:
        self._accumulates: Tensor | float = 0.0
        self._synapses = 0

    def __call__(self, op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if isinstance(op, Conv) and op.reads == "spikes":
            spikes = incoming.mean(dtype=torch.float32) * op.input_scale
            self._accumulates = self._accumulates + op.dense_macs * spikes
            self._synapses += op.dense_macs

    @property
    def synops_per_synapse(self) -> Tensor | float:
        """Accumulates per synapse and time step, kernel taps in the padding included.

        It is 1 if every neuron fires at every step and no spikes are summed, and 0 if no convolution reads spikes.
        """
        return self._accumulates / max(self._synapses, 1)
