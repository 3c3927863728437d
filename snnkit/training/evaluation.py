"""Measure how well a network classifies a set of images."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from snnkit.data import Images, Splits
from snnkit.energy.operations import OperationCounter, OperationCounts
from snnkit.nn.modes import as_counted
from snnkit.nn.network import Network, Observer
from snnkit.training.augment import normalise

# Images per batch. On a CPU small batches are faster, because their activations stay in cache: 50 took half the time of
# 250 on one core (SqueezeNet-P, T = 2, fp32: 3.6 against 5.7 s for 1,000 images channels-last, 4.7 against 7.8 s
# contiguous).
EVALUATION_BATCH_SIZES = {"cpu": 50, "cuda": 500}


@dataclass(frozen=True)
class Evaluation:
    """Classification results on a set of images."""

    loss: float  # mean cross-entropy
    accuracy: float  # 0..1
    macro_f1: float  # mean over the classes that occur among labels or predictions, 0..1
    correct: int
    count: int


def batches(
    images: Images, splits: Splits, device: torch.device | str, *, batch: int | None = None
) -> Iterator[Tensor]:
    """Yield ``images`` in order, normalised: (B, C, H, W) or frames (B, T, C, H, W), float32, on ``device``.

    The last batch may be smaller.
    """
    batch = batch or EVALUATION_BATCH_SIZES[torch.device(device).type]
    for start in range(0, len(images), batch):
        part = torch.from_numpy(images.rows(slice(start, start + batch)))
        yield normalise(part.to(device), splits)


def evaluate(
    network: nn.Module,
    images: Images,
    splits: Splits,
    *,
    device: torch.device | str,
    batch: int | None = None,
    observe: Observer | None = None,
) -> Evaluation:
    """Classify ``images`` in eval mode and in fp32, as spikes are counted. The network's mode is restored."""
    logits = []
    with as_counted(network):
        for part in batches(images, splits, device, batch=batch):
            logits.append(network(part, observe=observe).cpu())
    scores, labels = torch.cat(logits), torch.tensor(images.labels)
    predicted = scores.argmax(dim=1)
    correct = int((predicted == labels).sum())
    return Evaluation(
        loss=float(functional.cross_entropy(scores, labels)),
        accuracy=correct / len(images),
        macro_f1=macro_f1(labels, predicted),
        correct=correct,
        count=len(images),
    )


def evaluate_and_count(
    network: Network, splits: Splits, *, device: torch.device | str
) -> tuple[Evaluation, OperationCounts]:
    """Classify the validation images and count the network's operations on them, in one pass."""
    counter = OperationCounter(network)
    evaluation = evaluate(network, splits.validation, splits, device=device, observe=counter)
    return evaluation, counter.counts()


def macro_f1(labels: Tensor, predicted: Tensor) -> float:
    """Return the mean F1 score over the classes that occur in ``labels`` or ``predicted``."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels.numpy(), predicted.numpy(), average="macro", zero_division=0))
