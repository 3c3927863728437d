"""The ``train:`` section of a space: how a network is trained. Does not load torch."""

import bisect
import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from snnkit.base.config import Config

DISABLED: dict[str, Any] = {  # the value that turns off each optional part of a recipe
    "erase": 0.0,
    "mixup": 0.0,
    "loss": "mean",
    "distill": 0.0,
    "rate_penalty": 0.0,
    "ema": None,
    "recalibrate": 0,
    "short_epochs": 0,
    "first_resolution": None,
}

ADDED_LEAVES = ("muon_lr", "first_resolution")  # not in the spaces and benchmarks that earlier versions stored


class Recipe(Config):
    """How a network is trained: surrogate-gradient descent on the cross-entropy through all time steps."""

    epochs: int = Field(10, ge=1, description="Number of passes over the training images.")
    batch: int = Field(
        64,
        ge=1,
        description="Images per step. Images left over at the end of an epoch, too few for a batch, are skipped in "
        "that epoch. A data set smaller than a batch makes one step per epoch.",
    )
    optimizer: Literal["adamw", "sgd", "muon"] = Field(
        "adamw",
        description="adamw (Loshchilov and Hutter 2019, arXiv:1711.05101), or sgd: stochastic gradient descent with "
        "Nesterov momentum. muon orthogonalises the updates of convolution weights (Jordan et al. 2024, "
        "kellerjordan.github.io/posts/muon); the stem, the classifier, grouped convolutions, biases and BatchNorm use "
        "adamw with it.",
    )
    lr: float = Field(2e-3, gt=0, description="Peak learning rate of adamw or sgd.")
    muon_lr: float = Field(
        0.05,
        gt=0,
        description="Peak learning rate of the weights that muon orthogonalises: the share of its norm by which a step "
        "changes a weight.",
    )
    weight_decay: float = Field(
        0.01, ge=0, description="Weight decay of convolution weights. Biases and BatchNorm parameters are not decayed."
    )
    momentum: float = Field(
        0.9, ge=0, lt=1, description="Nesterov momentum of sgd; beta1, the decay of the first moment, of adamw."
    )
    schedule: Literal["cosine", "onecycle", "constant"] = Field(
        "onecycle",
        description="Learning rate after the warm-up: cosine falls to zero along half a cosine, onecycle along a "
        "straight line (Smith 2018, arXiv:1803.09820), constant does not change.",
    )
    warmup: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Share of all steps, 0 to 1, in which the learning rate rises linearly to its peak.",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the target probability spread evenly over all classes (Szegedy et al. 2016, "
        "arXiv:1512.00567).",
    )
    augment: Literal["none", "flip_crop", "alternate_crop", "trivial"] = Field(
        "flip_crop",
        description="flip_crop mirrors an image with probability 1/2 and shifts it by up to 1/8 of its side. "
        "alternate_crop mirrors each image in every second epoch instead (Jordan 2024, arXiv:2404.00498). trivial "
        "applies TrivialAugment after flip_crop (Mueller and Hutter 2021, arXiv:2103.10158).",
    )
    erase: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Side of a square that is cut out of each image, as a share of the image's side: Cutout (DeVries "
        "and Taylor 2017, arXiv:1708.04552). 0: off.",
    )
    mixup: float = Field(
        0.0,
        ge=0,
        description="Parameter alpha of the Beta distribution of the shares in which two images and their labels are "
        "mixed: mixup (Zhang et al. 2018, arXiv:1710.09412). 0: off.",
    )
    loss: Literal["mean", "each_step"] = Field(
        "mean",
        description="mean: cross-entropy of the logits averaged over time. each_step: mean of the cross-entropies of "
        "all time steps (TET, Deng et al. 2022, arXiv:2202.11946).",
    )
    distill: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the loss, 0 to 1, that compares with the CNN twin's predictions: knowledge distillation "
        "(Hinton et al. 2015, arXiv:1503.02531). It needs start: cnn.",
    )
    temperature: float = Field(
        2.0, gt=0, description="Temperature of the softmax in which distillation compares the two networks."
    )
    rate_penalty: float = Field(
        0.0,
        ge=0,
        description="Weight of a penalty added to the loss: accumulates per synapse and time step (0 to 1 unless "
        "spikes are summed), so that frequent spikes before large convolutions cost most. 0: off.",
    )
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Decay per step of an exponential moving average of the weights (Tarvainen and Valpola 2017, "
        "arXiv:1703.01780). The averaged weights are evaluated and saved. null: off.",
    )
    recalibrate: int = Field(
        0,
        ge=0,
        description="Number of training images, without augmentation, on which BatchNorm's statistics are recomputed "
        "before each evaluation and at the end (Wu and Johnson 2021, arXiv:2105.07576). 0: off.",
    )
    short_epochs: int = Field(
        0, ge=0, description="Number of epochs at the beginning that use fewer time steps, `short_timesteps`. 0: off."
    )
    short_timesteps: int = Field(1, ge=1, description="Time steps in the short epochs.")
    first_resolution: int | None = Field(
        None,
        ge=8,
        description="Side in pixels of the images in the first third of the training; the middle third is halfway to "
        "the full size (Tan and Le 2021, arXiv:2104.00298). Pixels are means over areas. Validation is at the full "
        "size. If start is cnn, only the CNN twin trains on small images. null: off.",
    )
    clip_norm: float | None = Field(
        None, gt=0, description="Upper limit of the L2 norm of all gradients together. null: no limit."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of training. auto is bf16 autocast if the hardware multiplies bf16 (CUDA, CPUs with "
        "AMX or AVX512-BF16), else fp32. Evaluation always uses fp32.",
    )
    rungs: tuple[int, ...] = Field(
        (),
        description="Epochs, in rising order and below `epochs`, after which a trial may be stopped early. The "
        "learning rate schedule ends at each rung and restarts (warm restarts, Loshchilov and Hutter 2017, "
        "arXiv:1608.03983).",
    )
    chance_patience: int = Field(
        2,
        ge=0,
        description="Epochs within which validation accuracy must exceed chance, or training stops. 0: no such check.",
    )
    start: Literal["scratch", "inherit", "cnn"] = Field(
        "scratch",
        description="Initial weights. scratch: random. inherit: from a finished, related candidate. cnn: from the "
        "candidate's trained CNN twin.",
    )
    cnn_epochs: int | None = Field(
        None, ge=1, description="Epochs of the CNN twin's training if start is cnn. null: the same as `epochs`."
    )

    def effective(self) -> dict[str, Any]:
        """Return the fields that affect a training: options that are off are left out, and defaults are filled in."""
        fields = self.model_dump(mode="json", exclude={"cnn_epochs"})
        for name, disabled in DISABLED.items():
            if fields[name] == disabled:
                del fields[name]
        for name, needed in (("temperature", "distill"), ("short_timesteps", "short_epochs")):
            if needed not in fields:
                del fields[name]
        if self.optimizer != "muon":
            del fields["muon_lr"]
        return fields | ({"cnn_epochs": self.cnn_epochs or self.epochs} if self.start == "cnn" else {})

    @model_validator(mode="after")
    def _check_rungs(self) -> Self:
        if list(self.rungs) != sorted(set(self.rungs)) or any(not 0 < rung < self.epochs for rung in self.rungs):
            below = ", ".join(map(str, range(1, min(self.epochs, 4))))
            raise ValueError(
                f"given rungs {list(self.rungs)}; they are epochs in rising order, from 1 to less than {self.epochs}"
                + (f": such as [{below}]" if below else "; a training of one epoch has none: write rungs: []")
            )
        return self

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.distill and self.start != "cnn":
            raise ValueError(
                f"given distill {self.distill:g} with start {self.start}; the teacher is the CNN twin, trained "
                "only if start is cnn: write start: cnn, or leave distill out"
            )
        if self.short_epochs >= self.epochs and self.short_epochs:
            raise ValueError(
                f"given short_epochs {self.short_epochs} of {self.epochs} epochs; the last epoch must use all time "
                f"steps: write {self.epochs - 1} or less"
            )
        return self

    @property
    def for_cnn_twin(self) -> "Recipe":
        """The recipe of the CNN twin: from random weights, without rungs and without options about spikes and time.

        It has ``cnn_epochs`` epochs if the spiking network starts from the twin.
        """
        epochs = self.cnn_epochs if self.start == "cnn" and self.cnn_epochs else self.epochs
        off = {name: DISABLED[name] for name in ("loss", "distill", "rate_penalty", "short_epochs")}
        return self.model_copy(update={**off, "epochs": epochs, "rungs": (), "start": "scratch"})

    def learning_rate(self, progress: float) -> float:
        """Return the learning rate at ``progress``, the share 0..1 of all steps.

        The rate rises linearly over ``warmup``. Then it falls to zero along half a cosine (cosine) or a straight line
        (onecycle), or stays (constant). With ``rungs`` this cycle is repeated up to each rung, so a trial that is
        compared at a rung has just been annealed, like one at its end.
        """
        progress = self._cycle_progress(progress)
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

    def resolution(self, progress: float, full: int) -> int:
        """Return the side of the training images at ``progress``, 0..1, if the data set's images have ``full`` pixels.

        Like the learning rate, it starts from the beginning after each rung, so a trial that is compared at a rung has
        just been trained at the full size. A spiking network that starts from its CNN twin trains at the full size
        throughout: on small images its neurons fire at other rates, and it loses some of the twin's accuracy.
        """
        if self.first_resolution is None or self.start == "cnn":
            return full
        sides = (self.first_resolution, (self.first_resolution + full) // 2, full)
        return sides[min(int(3 * self._cycle_progress(progress)), 2)]

    def _cycle_progress(self, progress: float) -> float:
        """Return the share 0..1 of the steps between the last rung and the next one, or the end of the training."""
        epoch, ends = progress * self.epochs, (*self.rungs, self.epochs)
        cycle = min(bisect.bisect_right(ends, epoch), len(self.rungs))
        start = ends[cycle - 1] if cycle else 0
        return (epoch - start) / (ends[cycle] - start)


def without_added_leaves(train: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ``train`` section without the leaves that stored ones lack, where these have their defaults.

    Fingerprints of spaces and benchmarks are computed from it, so that they match those of stored runs.
    """
    added = {name: Recipe.model_fields[name].default for name in ADDED_LEAVES}
    return {name: value for name, value in train.items() if name not in added or value != added[name]}
