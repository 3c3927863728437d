"""What a network does on the validation images: its accuracy, and its activity for the price."""

import itertools
from dataclasses import dataclass

import torch

from snnkit.architecture.plan import PASSES, Plan
from snnkit.data import Splits
from snnkit.energy.operations import Counter, OperationCounts
from snnkit.nn.network import Network
from snnkit.training.evaluation import Evaluation, batches, evaluate
from snnkit.training.recalibration import recalibrate
from snnkit.weights.supernet import Supernet

CALIBRATION = 8  # batches of training images; 100 batches of 32 to 128 are usual, and more changed no order here


@dataclass(frozen=True)
class Judgement:
    evaluation: Evaluation
    activity: OperationCounts
    images: int  # that went through the network once
    macs: float  # dense multiply-accumulates of that


def observed(network: Network, splits: Splits, *, device: torch.device | str) -> tuple[Evaluation, OperationCounts]:
    """How well a network classifies the validation images, and what it does on them, in one pass."""
    counter = Counter(network)
    found = evaluate(network, splits.validation, splits, device=device, observe=counter)
    return found, counter.activity()


def judge(supernet: Supernet, plan: Plan, splits: Splits, *, device: torch.device | str) -> Judgement:
    """Of the network of ``plan`` on the validation images, its BatchNorm recalibrated on the first training images."""
    network = supernet.take(plan)
    calibration = list(itertools.islice(batches(splits.train, splits, device), CALIBRATION))
    recalibrate(network, calibration)
    found, activity = observed(network, splits, device=device)
    images = found.count + sum(len(batch) for batch in calibration)
    return Judgement(found, activity, images, images * network.training_macs / PASSES)
