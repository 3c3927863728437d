"""The ``train:`` section of a space: how a network is trained. No torch."""

import bisect
import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

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
    rungs: tuple[int, ...] = ()  # epochs after which the rate has come down, and a trial may be judged
    chance_patience: int = Field(2, ge=0)  # epochs within which accuracy must leave chance; 0: never looked at
    start: Literal["scratch", "inherit", "cnn"] = "scratch"  # drawn; a finished relative's weights; those of its twin
    cnn_epochs: int | None = Field(None, ge=1)  # of the CNN twin where start is cnn; null: as many as epochs

    def effective(self) -> dict[str, Any]:
        """The fields that make a difference: epochs of a twin where there is one, however they were written."""
        fields = self.model_dump(mode="json", exclude={"cnn_epochs"})
        return fields | ({"cnn_epochs": self.cnn_epochs or self.epochs} if self.start == "cnn" else {})

    @model_validator(mode="after")
    def _rungs_in_order(self) -> Self:
        if list(self.rungs) != sorted(set(self.rungs)) or any(not 0 < rung < self.epochs for rung in self.rungs):
            below = ", ".join(map(str, range(1, min(self.epochs, 4))))
            raise ValueError(
                f"given rungs {list(self.rungs)}; they are epochs in rising order, from 1 to less than {self.epochs}"
                + (f": such as [{below}]" if below else "; a training of one epoch has none: write rungs: []")
            )
        return self

    @property
    def of_twin(self) -> "Recipe":
        """How the CNN twin is trained that a spiking network starts from."""
        return self.model_copy(update={"epochs": self.cnn_epochs or self.epochs, "rungs": (), "start": "scratch"})

    def learning_rate(self, progress: float) -> float:
        """At ``progress`` 0..1 through all steps: a straight rise over ``warmup``, then half a cosine (cosine) or a
        straight line (onecycle, Smith 2018, arXiv:1803.09820) down to zero, or no change (constant).

        With ``rungs`` that is gone through anew up to each of them (warm restarts, Loshchilov and Hutter 2017,
        arXiv:1608.03983): a trial that is judged there has just been annealed, as one at its end has.
        """
        epoch, ends = progress * self.epochs, (*self.rungs, self.epochs)
        cycle = min(bisect.bisect_right(ends, epoch), len(self.rungs))
        start = ends[cycle - 1] if cycle else 0
        progress = (epoch - start) / (ends[cycle] - start)
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
