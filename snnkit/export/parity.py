"""Whether an exported file does what the network does: spikes layer by layer, and classes."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from snnkit.architecture.plan import Conv, Neurons
from snnkit.nn.network import Fired, Network


@dataclass(frozen=True)
class Outcome:
    """Of a batch of images: logits (B, classes), and by layer how many spikes they caused, where that can be seen."""

    logits: Tensor
    spikes: dict[str, float]


@dataclass(frozen=True)
class Parity:
    images: int
    same_class: int  # images that both give the same class
    logit_difference: float  # the largest
    spikes: dict[str, tuple[float, float]]  # by layer: the network's, the file's

    @property
    def spike_difference(self) -> float:
        """Over all layers, as a share of the network's spikes: rounding lets a membrane at its threshold fall on either
        side."""
        total = sum(ours for ours, _ in self.spikes.values())
        return sum(abs(ours - theirs) for ours, theirs in self.spikes.values()) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


@torch.no_grad()
def observed(network: Network, images: Tensor) -> Outcome:
    """What ``network`` makes of ``images``, in its mode."""
    spikes: dict[str, float] = {}

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if fired is not None:
            spikes[op.name] = float(fired.count)

    logits = network(images, observe)
    return Outcome(logits.cpu(), spikes)


def compared(ours: Outcome, theirs: Outcome) -> Parity:
    """Layers that the file does not show are left out."""
    return Parity(
        images=len(ours.logits),
        same_class=int((ours.logits.argmax(1) == theirs.logits.argmax(1)).sum()),
        logit_difference=float((ours.logits - theirs.logits).abs().max()),
        spikes={name: (ours.spikes[name], count) for name, count in theirs.spikes.items()},
    )
