"""Compare an exported file with its network on the same images: spike by spike, and by predicted classes."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from snnkit.architecture.plan import Conv, Neurons
from snnkit.nn.network import Fired, Network

SPIKES_AT_ONCE = 2**27  # spikes of a network held in memory, one byte each


@dataclass(frozen=True)
class RunResult:
    """The results for a batch of images."""

    logits: Tensor  # (B, classes)
    spikes: dict[str, Tensor]  # by layer: (T, B, C, H, W), bool; the layers whose spikes can be seen


Run = Callable[[Tensor], RunResult]  # of images (B, C, H, W), or frames (B, T, C, H, W)


@dataclass(frozen=True)
class Parity:
    """How an exported file compares with its network on the same images.

    A neuron-step is one neuron of one image at one time step: it fires or not. Totals of a layer hide neuron-steps
    that differ, because a spike too many and a spike too few cancel.
    """

    images: int
    same_class: int  # images for which both predict the same class
    logit_difference: float  # the largest absolute one
    spikes: dict[str, tuple[float, float]]  # by layer: the network's spikes, the file's spikes
    differing: dict[str, int]  # by layer: neuron-steps at which only one of the two fires
    neuron_steps: dict[str, int]  # by layer

    @property
    def spike_difference(self) -> float:
        """Neuron-steps that differ, as a share of the network's spikes.

        It is rarely exactly 0: rounding decides whether a membrane at its threshold fires.
        """
        return _share(sum(self.differing.values()), sum(ours for ours, _ in self.spikes.values()))

    @property
    def total_difference(self) -> float:
        """Absolute differences between the layers' totals, as a share of the network's spikes."""
        apart = sum(abs(ours - theirs) for ours, theirs in self.spikes.values())
        return _share(apart, sum(ours for ours, _ in self.spikes.values()))

    @property
    def worst_layer(self) -> tuple[str, float]:
        """The layer that differs most, and its neuron-steps that differ as a share of its spikes in the network."""
        shares = {name: _share(count, self.spikes[name][0]) for name, count in self.differing.items()}
        return max(shares.items(), key=lambda each: each[1])

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict that JSON can represent."""
        return asdict(self)


@torch.no_grad()
def run_network(network: Network, images: Tensor) -> RunResult:
    """Run ``network`` on ``images`` in its current mode, and keep its spikes."""
    spikes: dict[str, Tensor] = {}

    def observe(op: Conv | Neurons, incoming: Tensor, fired: Fired | None) -> None:
        if fired is not None:
            spikes[op.name] = fired.spikes().bool().cpu()

    logits = network(images, observe)
    return RunResult(logits.cpu(), spikes)


def compare_in_parts(network: Network, file: Run, images: Tensor) -> Parity:
    """Run both on ``images``, as many at once as SPIKES_AT_ONCE allows, and compare the results."""
    of_image = network.timesteps * sum(op.outputs for op in network.spiking_ops)
    parts = torch.split(images, max(1, SPIKES_AT_ONCE // max(1, of_image)))
    return _added(compare(run_network(network, part), file(part)) for part in parts)


def compare(ours: RunResult, theirs: RunResult) -> Parity:
    """Compare the network's result with the file's. Layers whose spikes the file does not show are left out."""
    pairs = {name: (ours.spikes[name], spikes) for name, spikes in theirs.spikes.items()}
    return Parity(
        images=len(ours.logits),
        same_class=int((ours.logits.argmax(1) == theirs.logits.argmax(1)).sum()),
        logit_difference=float((ours.logits - theirs.logits).abs().max()),
        spikes={name: (float(one.sum()), float(other.sum())) for name, (one, other) in pairs.items()},
        differing={name: int((one ^ other).sum()) for name, (one, other) in pairs.items()},
        neuron_steps={name: one.numel() for name, (one, _) in pairs.items()},
    )


def _added(parts: Iterable[Parity]) -> Parity:
    """The comparison on all images, from the comparisons on parts of them."""
    total, *others = parts
    for part in others:
        total = replace(
            total,
            images=total.images + part.images,
            same_class=total.same_class + part.same_class,
            logit_difference=max(total.logit_difference, part.logit_difference),
            spikes={
                n: (one + part.spikes[n][0], other + part.spikes[n][1]) for n, (one, other) in total.spikes.items()
            },
            differing={name: count + part.differing[name] for name, count in total.differing.items()},
            neuron_steps={name: count + part.neuron_steps[name] for name, count in total.neuron_steps.items()},
        )
    return total


def _share(part: float, whole: float) -> float:
    """``part`` / ``whole``; if there is no whole, 1 for any part and 0 for none."""
    return part / whole if whole else float(part > 0)
