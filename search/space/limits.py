"""What a trial of a study or a benchmark may take: ``limits``, its time and its silence; ``resources``, its share of a
machine."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from search.space import durations
from snnkit.base.config import Config

Span = Annotated[str | None, BeforeValidator(durations.span)]


class Limits(Config):
    """``time``: what a trial may spend in all, with its CNN twin and what was done again after an interruption; then it
    is stopped. ``silence``: without a step of training; then its worker is ended, and it goes on in another."""

    time: Span = Field(None, examples=["30m"])
    silence: Span = "10m"

    @property
    def time_s(self) -> float | None:
        return None if self.time is None else durations.parse(self.time)

    @property
    def silence_s(self) -> float | None:
        return None if self.silence is None else durations.parse(self.silence)


class Resources(Config):
    """What a trial is given of a machine. ``cpus``: cores, one thread each; below 1 several trials share one. ``gpus``:
    its share of a GPU, where it trains on one. None: as many as the command's workers leave to each."""

    cpus: float | None = Field(None, gt=0, le=1024, examples=[2])
    gpus: float | None = Field(None, gt=0, le=1, examples=[0.5])
