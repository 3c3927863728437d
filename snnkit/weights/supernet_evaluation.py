"""Evaluate a candidate with the shared weights of a supernet, without training it."""

import itertools
from dataclasses import dataclass

import torch

from snnkit.architecture.plan import PASSES, Plan
from snnkit.data import Splits
from snnkit.energy.operations import OperationCounts
from snnkit.training.evaluation import Evaluation, batches, evaluate_and_count
from snnkit.training.recalibration import recalibrate
from snnkit.weights.supernet import Supernet

# batches of training images; 100 batches of 32 to 128 images are common, but more than 8 changed no ranking here
N_CALIBRATION_BATCHES = 8


@dataclass(frozen=True)
class SupernetEvaluation:
    """Results of one candidate on the validation images, and the cost of obtaining them."""

    evaluation: Evaluation
    counts: OperationCounts
    images: int  # forward passes, calibration included
    macs: float  # dense multiply-accumulates of these passes


def evaluate_in_supernet(
    supernet: Supernet, plan: Plan, splits: Splits, *, device: torch.device | str
) -> SupernetEvaluation:
    """Evaluate the subnetwork of ``plan`` on the validation images.

    Its BatchNorm statistics are first recomputed on the first training images, because they belong to whichever
    subnetwork was trained last.
    """
    network = supernet.subnetwork(plan)
    calibration = list(itertools.islice(batches(splits.train, splits, device), N_CALIBRATION_BATCHES))
    recalibrate(network, calibration)
    evaluation, counts = evaluate_and_count(network, splits, device=device)
    images = evaluation.count + sum(len(batch) for batch in calibration)
    return SupernetEvaluation(evaluation, counts, images, images * network.training_macs / PASSES)
