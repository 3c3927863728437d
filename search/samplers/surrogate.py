"""Predict the objectives of untried candidates: Gaussian processes over their dials and size."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from reports.records.study import Leaf
from search.samplers.history import Array
from search.space.candidate import Candidate
from search.space.dials import Choices, Dial
from search.space.space import Space
from snnkit.architecture.plan import Plan, training_macs
from snnkit.training.recipe import Recipe


@dataclass(frozen=True)
class PoolCandidate:
    """A candidate with its plan, for which a sampler predicts the objectives."""

    params: dict[str, Leaf]
    candidate: Candidate
    plan: Plan

    @property
    def compute(self) -> float:
        """Training cost: dense multiply-accumulates per image, times epochs."""
        encoding = self.candidate.encoding
        return self.candidate.train.epochs * training_macs(
            self.plan, timesteps=encoding.timesteps, input_steps=encoding.frames or 1
        )


OVERHEAD_MACS = 7e6  # what a training image costs besides its MACs: 0.29 ms a core at 25 GMAC/s, with 650 parameters


def training_cost(candidate: Candidate, plan: Plan) -> float:
    """Return the dense multiply-accumulates of a whole training with the CNN twin's, up to the rounding of sizes.

    Each image counts for ``OVERHEAD_MACS`` more, so that the smallest networks do not seem to cost nothing.
    """
    encoding, train = candidate.encoding, candidate.train
    side = candidate.data.shape[-1]
    once = training_macs(plan, timesteps=encoding.timesteps, input_steps=encoding.frames or 1)
    macs = train.epochs * (once * _pixels(train, side) + OVERHEAD_MACS)
    if train.start == "cnn":
        twin = train.for_cnn_twin
        macs += twin.epochs * (training_macs(plan, timesteps=1, input_steps=1) * _pixels(twin, side) + OVERHEAD_MACS)
    return float(candidate.data.train_images * macs)


def _pixels(train: Recipe, side: int) -> float:
    """Return the mean number of pixels of a training's images, as a share of ``side`` x ``side``."""
    return sum((train.resolution(third / 3, side) / side) ** 2 for third in range(3)) / 3


def pool_candidate(space: Space, params: Mapping[str, Leaf]) -> PoolCandidate:
    """Build the candidate of ``params``. Raises PlanError if its network does not build."""
    candidate = space.candidate(params)
    return PoolCandidate(dict(params), candidate, candidate.plan())


def features(space: Space, each: PoolCandidate) -> list[float]:
    """Return the inputs of the model: the network's size, then the dials.

    A numeric dial is one number between 0 and 1. A choice between words has a 0 or 1 for each word but the first. An
    inactive dial is 0.5 if numeric, else all 0.
    """
    inputs = [math.log(each.plan.params), math.log(each.plan.dense_macs), len(each.plan.convs)]
    for dial in space.dials:
        inputs += _dial_features(dial, each.params.get(dial.path))
    return inputs


def _dial_features(dial: Dial, value: Leaf | None) -> list[float]:
    values = dial.values
    if isinstance(values, Choices) and not values.numeric:
        return [float(value == choice) for choice in values.values[1:]]
    ends = [float(end) for end in values.ends]
    low, high = min(ends), max(ends)
    if value is None:
        return [0.5]
    if low > 0:
        return [math.log(float(value) / low) / math.log(high / low)]
    return [(float(value) - low) / (high - low)]


def predict(x: Array, y: Array, at: Array, *, seed: int) -> tuple[Array, Array]:
    """Fit a Gaussian process to (x, y); return its mean and standard deviation, without noise, for each row of ``at``.

    The kernel is a linear trend plus a smooth Matern 5/2 part plus noise.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

    smooth = Matern(length_scale=math.sqrt(x.shape[1]), length_scale_bounds=(0.3, 100), nu=2.5)
    kernel = ConstantKernel(0.1) * DotProduct() + ConstantKernel(1.0) * smooth + WhiteKernel(0.1, (1e-4, 1.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(x, y)
    mean, deviation = process.predict(at, return_std=True)
    noise = process.kernel_.k2.noise_level * max(y.std(), 1e-12) ** 2
    return mean, np.sqrt(np.maximum(deviation**2 - noise, 1e-12))
