"""BoTorch's qLogNEHVI, noisy expected hypervolume improvement (https://botorch.org/docs/multi_objective).

A Gaussian process models each objective, and `optimize_acqf_discrete` chooses among all untried masks, as the
documentation recommends for a finite set. The reference point is inferred from the trained masks. Models and
acquisition have BoTorch's defaults. BoTorch has no default for the first, random masks: there are N_STARTUP.

BoTorch can use known objectives and costs. ``known=True`` does: a deterministic model gives the parameters, and the
logarithm of the training cost is subtracted from the logarithmic acquisition, which is the gain per cost.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence

import torch
from botorch import fit_gpytorch_mll
from botorch.acquisition import AcquisitionFunction
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.penalized import PenalizedAcquisitionFunction
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.deterministic import GenericDeterministicModel
from botorch.models.model import Model, ModelList
from botorch.optim import optimize_acqf_discrete
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from benchmarks.search.masks.rivals.protocol import N_LOSSES, N_STARTUP, Facts, Rival
from reports.analysis.pareto import Point


class QLogNEHVI:
    def __init__(self, masks: Mapping[str, Facts], seed: int, *, known: bool) -> None:
        self._masks, self._seed, self._known = masks, seed, known
        self._startup = random.Random(seed).sample(sorted(masks), N_STARTUP)
        self._losses: dict[str, Point] = {}

    def ask(self) -> str | None:
        if len(self._losses) < N_STARTUP:
            return self._startup[len(self._losses)]
        if not (left := sorted(self._masks.keys() - self._losses.keys())):
            return None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 * self._seed + len(self._losses))
            best, _ = optimize_acqf_discrete(self._acquisition(), q=1, choices=_bits(left), max_batch_size=64)
        return "".join(str(round(bit)) for bit in best[0].tolist())

    def tell(self, mask: str, losses: Point) -> None:
        self._losses[mask] = losses

    def _acquisition(self) -> AcquisitionFunction:
        x, y = _bits(list(self._losses)), -torch.tensor(list(self._losses.values())).double()
        model, reference = self._model(x, y), infer_reference_point(y[is_non_dominated(y)])
        gain = qLogNoisyExpectedHypervolumeImprovement(
            model, reference, X_baseline=x, prune_baseline=True, cache_root=not self._known
        )
        if not self._known:
            return gain
        log_cost = self._lookup(lambda facts: math.log(facts.cost))
        return PenalizedAcquisitionFunction(gain, lambda x: log_cost(x).squeeze(-1), 1.0)

    def _model(self, x: Tensor, y: Tensor) -> Model:
        modelled = [SingleTaskGP(x, y[:, column : column + 1]) for column in range(N_LOSSES - self._known)]
        for model in modelled:
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        if not self._known:
            return ModelListGP(*modelled)
        size = self._lookup(lambda facts: -facts.size_loss)
        return ModelList(*modelled, GenericDeterministicModel(lambda x: size(x).unsqueeze(-1)))

    def _lookup(self, value: Callable[[Facts], float]) -> Callable[[Tensor], Tensor]:
        """Return a function from masks as bits, (..., 8), to their values, (...)."""
        values = torch.tensor([value(self._masks[f"{number:08b}"]) for number in range(256)]).double()
        return lambda x: values[sum(bit.round().long() << 7 - place for place, bit in enumerate(x.unbind(-1)))]


def _bits(masks: Sequence[str]) -> Tensor:
    return torch.tensor([[int(bit) for bit in mask] for mask in masks]).double()


def make_rival(masks: Mapping[str, Facts], seed: int, *, known: bool = False) -> Rival:
    return QLogNEHVI(masks, seed, known=known)
