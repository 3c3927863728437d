"""How many accumulates spikes cause, as something that a training can push down."""

import torch
from torch import Tensor

from snnkit.architecture.plan import Conv, Neurons
from snnkit.nn.network import Fired


class SynopPenalty:
    """An observer of a forward pass that is differentiated: the spikes that each convolution reads, weighted by what
    one of them costs there, which is how many synapses it has.

    A penalty on the plain firing rate (as in Zenke and Vogels 2021, 10.1162/neco_a_01367) would treat a spike that a
    large convolution reads like one that hardly anything reads.
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
    def share(self) -> Tensor | float:
        """Accumulates per synapse and time step, taps in the padding counted: 1 where every neuron fires at every step
        and nothing is summed; 0 in a network in which nothing reads spikes."""
        return self._accumulates / max(self._synapses, 1)
