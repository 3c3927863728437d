"""Spans of time as people write them: ``90s``, ``20m``, ``1h30m``, ``2d``."""

import re

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_SPAN = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse(text: str) -> float:
    """Seconds in ``text``; ValueError says what is allowed."""
    match = _SPAN.fullmatch(text.strip())
    seconds = sum(float(n) * u for n, u in zip(match.groups(), _UNITS.values(), strict=True) if n) if match else 0.0
    if seconds <= 0:
        raise ValueError(f"{text!r} is no span of time; write it as 90s, 20m, 1h30m or 2d")
    return seconds


def span(given: object) -> object:
    """A span of time as written, or None; ValueError says what is allowed."""
    if given is not None:
        parse(str(given))
    return given
