"""The frozen values a network, its neurons and its input are described by. No torch: a space loads without it."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

EVENT_BINS = 32  # time bins of a recording that are kept, one bit each: no more frames can be told apart


class Config(BaseModel):
    """A frozen value: unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NeuronConfig(Config):
    """Leaky integrate-and-fire, as snnTorch 1.0's ``Leaky`` has it.

    ``u[t] = leak * u[t-1] + x[t] - reset``; a spike where ``u[t] > threshold``. With ``reset_delay`` the reset that a
    spike causes is seen one step later (snnTorch's default), without it at once.
    ``slope`` is the surrogate's steepness: the slope of fast_sigmoid and sigmoid, the alpha of atan; the other
    surrogates have none and ignore it. ``initial_rate`` is the share of neurons behind a BatchNorm that fire before
    training, by the BatchNorm's first bias: deep networks leave chance sooner where more fire.

    With ``learn_leak`` each layer learns a leak of its own, as the sigmoid of a weight, from ``leak`` on (PLIF, Fang et
    al. 2021, arXiv:2007.05785). A learned threshold would add nothing to the BatchNorm before it.
    """

    leak: float = Field(0.9, ge=0, le=1)
    learn_leak: bool = False
    threshold: float = Field(1.0, gt=0)
    reset: Literal["subtract", "zero"] = "subtract"
    reset_delay: bool = True
    surrogate: Literal["atan", "fast_sigmoid", "sigmoid", "triangular", "straight_through"] = "atan"
    slope: float = Field(2.0, gt=0)
    initial_rate: float = Field(0.16, gt=0, lt=1)

    def effective(self, timesteps: int) -> dict[str, Any]:
        """The fields that make a difference in so many steps: in a single one nothing leaks or is reset."""
        ignored = {"leak", "learn_leak", "reset", "reset_delay"} if timesteps == 1 else set()
        ignored |= set() if self.learn_leak else {"learn_leak"}
        ignored |= {"slope"} if self.surrogate in ("triangular", "straight_through") else set()
        return self.model_dump(mode="json", exclude=ignored)

    @model_validator(mode="after")
    def _can_be_learned(self) -> Self:
        if self.learn_leak and self.leak in (0, 1):
            raise ValueError(
                f"given learn_leak with leak {self.leak:g}; a leak is learned from a value between 0 and 1 on: write "
                "leak: 0.5"
            )
        return self


class EncodingConfig(Config):
    """How an image becomes input over time.

    ``direct`` shows a still image unchanged for ``timesteps`` steps. ``frames`` shows a recording of an event camera, a
    frame at each step: what enters differs from step to step, so ``stem`` has no meaning there.
    """

    kind: Literal["direct", "frames"] = "direct"
    timesteps: int = Field(4, ge=1, le=64)
    stem: Literal["once", "every_step"] = "once"  # what is counted for a still image: its current is the same each step

    @property
    def frames(self) -> int | None:
        """Frames of a recording; None for a still image."""
        return self.timesteps if self.kind == "frames" else None

    @field_validator("timesteps")
    @classmethod
    def _told_apart(cls, timesteps: int, info: ValidationInfo) -> int:
        if info.data.get("kind") == "frames" and timesteps > EVENT_BINS:
            raise ValueError(
                f"given {timesteps}; a recording has {EVENT_BINS} frames at most: write {EVENT_BINS} or less"
            )
        return timesteps
