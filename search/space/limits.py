"""How long a study and its trials may take, and their share of a machine. Durations are written 90s, 20m, 1h30m, 2d."""

import re
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from snnkit.base.config import Config

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def seconds_in(text: str) -> float:
    """Return the seconds in a duration. Raises ValueError with examples of what is allowed."""
    match = _DURATION.fullmatch(text.strip())
    seconds = sum(float(n) * u for n, u in zip(match.groups(), _UNITS.values(), strict=True) if n) if match else 0.0
    if seconds <= 0:
        raise ValueError(f"{text!r} is not a duration; write it as 90s, 20m, 1h30m or 2d")
    return seconds


def _duration(given: object) -> object:
    """Return a duration as written, or None. Raises ValueError."""
    if given is not None:
        seconds_in(str(given))
    return given


Duration = Annotated[str, BeforeValidator(_duration)]
OptionalDuration = Annotated[str | None, BeforeValidator(_duration)]


class Budget(Config):
    """When a study ends: at the first of its limits."""

    trials: int | None = Field(None, ge=1, le=1_000_000, description="Number of trained candidates.")
    time: OptionalDuration = Field(
        None,
        examples=["20m"],
        description="Wall-clock time of one run of the search, such as 20m or 1d; resume starts it again.",
    )
    macs: float | None = Field(
        None,
        gt=0,
        examples=["1e15"],
        description="Dense multiply-accumulates of all training, such as 1e15: the same study on any machine.",
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.trials is None and self.time is None and self.macs is None:
            raise ValueError("neither trials, time nor macs is given; write one of them, such as time: 20m")
        return self

    @property
    def seconds(self) -> float | None:
        return None if self.time is None else seconds_in(self.time)


class Limits(Config):
    """The ``limits`` of each trial of a study or each training of a benchmark."""

    time: OptionalDuration = Field(
        None,
        examples=["30m"],
        description="Time that one trial may take in all, with its CNN twin and with repeated work after an "
        "interruption, such as 30m. Then it is stopped and keeps its last result. null: no limit.",
    )
    stall_timeout: OptionalDuration = Field(
        "10m",
        description="Time without a training step after which the worker counts as stalled, such as 10m. It is then "
        "ended, and the trial continues in another worker. null: no limit.",
    )

    @property
    def time_s(self) -> float | None:
        return None if self.time is None else seconds_in(self.time)

    @property
    def stall_timeout_s(self) -> float | None:
        return None if self.stall_timeout is None else seconds_in(self.stall_timeout)


class Resources(Config):
    """The ``resources`` of each trial: its share of a machine. By default the command divides the machine evenly."""

    cpus: float | None = Field(
        None,
        gt=0,
        le=1024,
        examples=[2],
        description="CPU cores of one trial, with one thread each; below 1, several trials share a core. null: the "
        "machine's cores divided by the number of workers; on a cluster: one.",
    )
    gpus: float | None = Field(
        None,
        gt=0,
        le=1,
        examples=[0.5],
        description="Share of a GPU that one trial uses; 0.5 runs two trials on each GPU. null: one GPU divided by the "
        "workers that train on it; on a cluster: one.",
    )
