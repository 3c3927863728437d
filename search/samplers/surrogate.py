"""What a candidate is expected to come to: Gaussian processes over its dials and its size."""

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


@dataclass(frozen=True)
class Option:
    """A candidate of the pool."""

    params: dict[str, Leaf]
    candidate: Candidate
    plan: Plan

    @property
    def compute(self) -> float:
        """Dense multiply-accumulates of training on an image, times epochs."""
        encoding = self.candidate.encoding
        return self.candidate.train.epochs * training_macs(
            self.plan, timesteps=encoding.timesteps, input_steps=encoding.frames or 1
        )


def option(space: Space, params: Mapping[str, Leaf]) -> Option:
    """Raises PlanError where the candidate does not build."""
    candidate = space.candidate(params)
    return Option(dict(params), candidate, candidate.plan())


def features(space: Space, option: Option) -> list[float]:
    """Dials between 0 and 1, one for each word of a choice, and the size of the network; 0 where a dial does not
    count."""
    found = [math.log(option.plan.params), math.log(option.plan.dense_macs), len(option.plan.convs)]
    for dial in space.dials:
        found += _dial_features(dial, option.params.get(dial.path))
    return found


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
    """Mean and deviation, noise left out, of a Gaussian process: a linear trend, and what is smooth around it."""
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
