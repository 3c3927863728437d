"""Frozen configurations of neurons and input encoding. No torch: a space loads without it."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

MAX_COUNT = 255  # of events in a pixel of a frame
EVENT_BINS = 32  # time bins stored per recording, one bit each; a recording cannot be cut into more frames


class Config(BaseModel):
    """Base class: frozen, and refuses unknown fields, NaN and infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NeuronConfig(Config):
    """Leaky integrate-and-fire neurons, equal to ``Leaky`` of snnTorch 1.0.

    The membrane is ``u[t] = leak * u[t-1] + x[t] - reset``, and the neuron fires if ``u[t] > threshold``. The threshold
    is not learned, because the BatchNorm before the neurons already scales their input.
    """

    leak: float = Field(
        0.9, ge=0, le=1,
        description="Share of the membrane potential that remains after one time step. snnTorch calls it beta.",
    )  # fmt: skip
    learn_leak: bool = Field(
        False,
        description="Let each layer learn its own leak, as the sigmoid of a weight that starts at leak (PLIF; Fang et "
        "al. 2021, arXiv:2007.05785).",
    )
    threshold: float = Field(1.0, gt=0, description="Membrane potential above which a neuron fires.")
    reset: Literal["subtract", "zero"] = Field(
        "subtract",
        description="What a spike does to the membrane. subtract: lower it by the threshold. zero: set it to 0.",
    )
    reset_delay: bool = Field(
        True,
        description="true: the reset takes effect one time step after the spike (snnTorch's default). false: in the "
        "same step.",
    )
    surrogate: Literal["atan", "fast_sigmoid", "sigmoid", "triangular", "straight_through"] = Field(
        "atan", description="Derivative that stands in for the spike's in the backward pass, as in snnTorch 1.0."
    )
    slope: float = Field(
        2.0, gt=0,
        description="Steepness of the surrogate: the slope of fast_sigmoid and sigmoid, the alpha of atan. triangular "
        "and straight_through ignore it.",
    )  # fmt: skip
    initial_rate: float = Field(
        0.16, gt=0, lt=1,
        description="Share of the neurons after a BatchNorm that fire before training, 0..1. It sets the BatchNorm's "
        "initial bias. Deep networks start to learn sooner with a higher rate.",
    )  # fmt: skip

    def effective(self, timesteps: int) -> dict[str, Any]:
        """Return the fields that matter for this many steps. In a single step, nothing leaks or is reset."""
        ignored = {"leak", "learn_leak", "reset", "reset_delay"} if timesteps == 1 else set()
        ignored |= set() if self.learn_leak else {"learn_leak"}
        ignored |= {"slope"} if self.surrogate in ("triangular", "straight_through") else set()
        return self.model_dump(mode="json", exclude=ignored)

    @model_validator(mode="after")
    def _learned_leak_starts_inside(self) -> Self:
        if self.learn_leak and self.leak in (0, 1):
            raise ValueError(
                f"given learn_leak with leak {self.leak:g}; a learned leak must start between 0 and 1: write leak: 0.5"
            )
        return self


class EncodingConfig(Config):
    """How an image becomes input over time."""

    kind: Literal["direct", "frames"] = Field(
        "direct",
        description="direct: show a still image unchanged at every time step. frames: show a recording of an event "
        "camera, one frame per time step.",
    )
    timesteps: int = Field(
        4, ge=1, le=64, description=f"Number of time steps T. At most {EVENT_BINS} with kind: frames."
    )
    stem: Literal["once", "every_step"] = Field(
        "once",
        description="How often the first layer's operations are counted for a still image. once: one time, because its "
        "current is the same at every step. every_step: T times. kind: frames ignores it.",
    )

    @property
    def frames(self) -> int | None:
        """Number of frames of a recording; None for a still image."""
        return self.timesteps if self.kind == "frames" else None

    @field_validator("timesteps")
    @classmethod
    def _frames_fit_the_bins(cls, timesteps: int, info: ValidationInfo) -> int:
        if info.data.get("kind") == "frames" and timesteps > EVENT_BINS:
            raise ValueError(
                f"given {timesteps}; a recording has at most {EVENT_BINS} frames: write {EVENT_BINS} or less"
            )
        return timesteps
