"""Muon: momentum with an orthogonalised update, for convolution weights (Jordan et al. 2024,
https://kellerjordan.github.io/posts/muon).

torch.optim.Muon takes only matrices and exists since torch 2.9.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

# of airbench94_muon (Jordan 2024, https://github.com/KellerJordan/cifar10-airbench)
MOMENTUM = 0.6
NEWTON_SCHULZ_STEPS = 3
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """Update weights (rows, ...) along the orthogonalised Nesterov momentum of their gradients.

    A step has the Frobenius norm ``lr * sqrt(rows)``. A group with ``fixed_norm`` keeps its weights at the norm
    sqrt(rows), so that a step changes each by the share ``lr``. That suits weights before a BatchNorm, which removes
    their scale. Other groups use ``weight_decay``. ``dtype`` is the number format of the orthogonalisation.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, lr: float, momentum: float = MOMENTUM, dtype: torch.dtype
    ) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "fixed_norm": False})
        self.dtype = dtype

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no caller has a closure
        """Update all weights that have a gradient."""
        for group in self.param_groups:
            if weights := [weight for weight in group["params"] if weight.grad is not None]:
                self._update(weights, group)

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        momenta = [self._momentum_of(weight) for weight in weights]
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_add_(momenta, gradients)
        directions = torch._foreach_add(gradients, momenta, alpha=group["momentum"])
        if group["fixed_norm"]:
            scales = [math.sqrt(len(weight)) for weight in weights]
            torch._foreach_div_(weights, torch._foreach_div(torch._foreach_norm(weights), scales))
        else:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        for weight, update in zip(weights, orthogonalised(directions, self.dtype), strict=True):
            rows, columns = len(weight), weight[0].numel()
            weight.add_(update, alpha=-group["lr"] * math.sqrt(max(1.0, rows / columns)))

    def _momentum_of(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        found: Tensor = state["momentum_buffer"]
        return found


def orthogonalised(tensors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Return for each tensor (rows, ...) the nearest matrix with orthonormal rows or columns, roughly, in its shape.

    Tensors of one shape are orthogonalised together.
    """
    by_shape: dict[torch.Size, list[int]] = {}
    for place, tensor in enumerate(tensors):
        by_shape.setdefault(tensor.shape, []).append(place)
    found: dict[int, Tensor] = {}
    for shape, places in by_shape.items():
        matrices = torch.stack([tensors[place].reshape(shape[0], -1) for place in places])
        updates = newton_schulz(matrices.to(dtype)).to(tensors[places[0]].dtype)
        found |= {place: update.view(shape) for place, update in zip(places, updates, strict=True)}
    return [found[place] for place in range(len(tensors))]


def newton_schulz(matrices: Tensor, steps: int = NEWTON_SCHULZ_STEPS) -> Tensor:
    """Move all singular values of ``matrices`` (N, rows, columns) towards 1 by a quintic Newton-Schulz iteration."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    a, b, c = COEFFICIENTS
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
