"""The ``train:`` section of a space: how a network is trained. No torch."""

import math
from typing import Literal

from pydantic import Field

from snnkit.values import Value


class Recipe(Value):
    """Surrogate-gradient training with cross-entropy.

    ``auto`` precision is bf16 autocast where that is faster: on CUDA, and on CPUs with AMX or AVX512-BF16.
    """

    epochs: int = Field(10, ge=1)
    batch: int = Field(64, ge=1)  # images per step; what is left over at an epoch's end waits for the next
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = Field(2e-3, gt=0)  # peak
    weight_decay: float = Field(0.01, ge=0)  # of weights; biases and BatchNorm have none
    momentum: float = Field(0.9, ge=0, lt=1)  # sgd, with Nesterov's; adamw's first moment
    schedule: Literal["cosine", "onecycle", "constant"] = "onecycle"
    warmup: float = Field(0.2, ge=0, lt=1)  # share of all steps over which the rate rises to its peak
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    augment: Literal["none", "flip_crop"] = "flip_crop"
    clip_norm: float | None = Field(None, gt=0)  # of all gradients together
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    chance_patience: int = Field(2, ge=0)  # epochs within which accuracy must leave chance; 0: never looked at
    start: Literal["scratch"] = "scratch"

    def learning_rate(self, progress: float) -> float:
        """At ``progress`` 0..1 through all steps: a straight rise over ``warmup``, then half a cosine (cosine) or a
        straight line (onecycle, Smith 2018, arXiv:1803.09820) down to zero, or no change (constant)."""
        if progress < self.warmup:
            return self.lr * progress / self.warmup
        rest = (progress - self.warmup) / (1 - self.warmup)
        match self.schedule:
            case "cosine":
                return self.lr * (1 + math.cos(math.pi * rest)) / 2
            case "onecycle":
                return self.lr * (1 - rest)
            case "constant":
                return self.lr
