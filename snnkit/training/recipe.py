"""The ``train:`` section of a space: how a network is trained. No torch."""

import bisect
import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from snnkit.base.config import Config

OFF: dict[str, Any] = {  # what a recipe without them has
    "erase": 0.0,
    "mixup": 0.0,
    "loss": "mean",
    "distill": 0.0,
    "rate_penalty": 0.0,
    "ema": None,
    "recalibrate": 0,
    "short_epochs": 0,
}


class Recipe(Config):
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
    augment: Literal["none", "flip_crop", "trivial"] = "flip_crop"  # trivial: TrivialAugment after it (2103.10158)
    erase: float = Field(0.0, ge=0, lt=1)  # side of a square that is cut out, of the image's (DeVries 2017, 1708.04552)
    mixup: float = Field(0.0, ge=0)  # alpha of the shares in which two images are mixed (Zhang et al. 2018, 1710.09412)
    loss: Literal["mean", "each_step"] = "mean"  # of the logits' mean; mean of each step's (TET, Deng 2022, 2202.11946)
    distill: float = Field(0.0, ge=0, le=1)  # share of the loss that is the CNN twin's (Hinton 2015, 1503.02531)
    temperature: float = Field(2.0, gt=0)  # at which it compares
    rate_penalty: float = Field(
        0.0, ge=0
    )  # on the loss, times accumulates per synapse and step (`snnkit.training.synop_penalty`)
    ema: float | None = Field(None, gt=0, lt=1)  # decay a step of averaged weights, which are judged and kept
    recalibrate: int = Field(0, ge=0)  # training images for BatchNorm's statistics in the end (Wu 2021, 2105.07576)
    short_epochs: int = Field(0, ge=0)  # the first ones, with fewer time steps
    short_timesteps: int = Field(1, ge=1)  # in those
    clip_norm: float | None = Field(None, gt=0)  # of all gradients together
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    rungs: tuple[int, ...] = ()  # epochs after which the rate has come down, and a trial may be judged
    chance_patience: int = Field(2, ge=0)  # epochs within which accuracy must leave chance; 0: never looked at
    start: Literal["scratch", "inherit", "cnn"] = "scratch"  # drawn; a finished relative's weights; those of its twin
    cnn_epochs: int | None = Field(None, ge=1)  # of the CNN twin where start is cnn; null: as many as epochs

    def effective(self) -> dict[str, Any]:
        """The fields that make a difference: without what is off, with a twin's epochs where there is one, however they
        were written."""
        fields = self.model_dump(mode="json", exclude={"cnn_epochs"})
        for name, off in OFF.items():
            if fields[name] == off:
                del fields[name]
        for name, needed in (("temperature", "distill"), ("short_timesteps", "short_epochs")):
            if needed not in fields:
                del fields[name]
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

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.distill and self.start != "cnn":
            raise ValueError(
                f"given distill {self.distill:g} with start {self.start}; the CNN twin that teaches is trained where "
                "start is cnn: write start: cnn, or leave distill out"
            )
        if self.short_epochs >= self.epochs and self.short_epochs:
            raise ValueError(
                f"given short_epochs {self.short_epochs} of {self.epochs} epochs; the last one has all time steps: "
                f"write {self.epochs - 1} or less"
            )
        return self

    @property
    def of_twin(self) -> "Recipe":
        """How the CNN twin is trained: from weights that are drawn, in one go, without what is about spikes and time.
        Where the spiking network starts from it, for ``cnn_epochs``."""
        epochs = self.cnn_epochs if self.start == "cnn" and self.cnn_epochs else self.epochs
        off = {name: OFF[name] for name in ("loss", "distill", "rate_penalty", "short_epochs")}
        return self.model_copy(update={**off, "epochs": epochs, "rungs": (), "start": "scratch"})

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
