"""What a network of a supernet does with the shared weights: its accuracy, and its activity for the price."""

import itertools
from dataclasses import dataclass

import torch

from snnkit.activity import Activity, Counter
from snnkit.data import Splits
from snnkit.evaluation import Evaluation, batches, evaluate
from snnkit.plan import PASSES, Plan
from snnkit.recalibration import recalibrate
from snnkit.supernet import Supernet

CALIBRATION = 8  # batches of training images; 100 batches of 32 to 128 are usual, and more changed no order here


@dataclass(frozen=True)
class Judgement:
    evaluation: Evaluation
    activity: Activity
    images: int  # that went through the network once
    macs: float  # dense multiply-accumulates of that


def judge(supernet: Supernet, plan: Plan, splits: Splits, *, device: torch.device | str) -> Judgement:
    """Of the network of ``plan`` on the validation images, its BatchNorm recalibrated on the first training images."""
    network = supernet.take(plan)
    calibration = list(itertools.islice(batches(splits.train, splits, device), CALIBRATION))
    recalibrate(network, calibration)
    counter = Counter(network)
    found = evaluate(network, splits.validation, splits, device=device, observe=counter)
    images = found.count + sum(len(batch) for batch in calibration)
    return Judgement(found, counter.activity(), images, images * network.training_macs / PASSES)
