"""Compare an exported file with its network: spikes per layer, and predicted classes."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from snnkit.architecture.plan import Conv, Neurons
from snnkit.nn.network import Fired, Network


@dataclass(frozen=True)
class RunResult:
    """The results for a batch of images."""

    logits: Tensor  # (B, classes)
    spikes: dict[str, float]  # number of spikes by layer, for the layers whose spikes can be counted


@dataclass(frozen=True)
class Parity:
    """How an exported file compares with its network on the same images."""

    images: int
    same_class: int  # images for which both predict the same class
    logit_difference: float  # the largest absolute one
    spikes: dict[str, tuple[float, float]]  # by layer: the network's spikes, the file's spikes

    @property
    def spike_difference(self) -> float:
        """Absolute differences over all layers, as a share of the network's spikes.

        It is rarely exactly 0: rounding decides whether a membrane at its threshold fires.
        """
        total = sum(ours for ours, _ in self.spikes.values())
        return sum(abs(ours - theirs) for ours, theirs in self.spikes.values()) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict that JSON can represent."""
        return asdict(self)


@torch.no_grad()
def run_network(network: Network, images: Tensor) -> RunResult:
    """Run ``network`` on ``images`` in its current mode, and count its spikes."""
    spikes: dict[str, float] = {}

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if fired is not None:
            spikes[op.name] = float(fired.count)

    logits = network(images, observe)
    return RunResult(logits.cpu(), spikes)


def compare(ours: RunResult, theirs: RunResult) -> Parity:
    """Compare the network's result with the file's. Layers whose spikes the file does not show are left out."""
    return Parity(
        images=len(ours.logits),
        same_class=int((ours.logits.argmax(1) == theirs.logits.argmax(1)).sum()),
        logit_difference=float((ours.logits - theirs.logits).abs().max()),
        spikes={name: (ours.spikes[name], count) for name, count in theirs.spikes.items()},
    )
