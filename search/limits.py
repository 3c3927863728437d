"""How long a trial may take, and how long it may give no sign of life: ``study.limits``, ``benchmark.limits``."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from search import durations
from snnkit.values import Value

Span = Annotated[str | None, BeforeValidator(durations.span)]


class Limits(Value):
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
