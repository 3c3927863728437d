"""Waiting for what other processes do."""

from collections.abc import Callable

from benchmarks.reliability.chaos.processes import until


def wait_for(condition: Callable[[], object], seconds: float = 240, what: str = "it") -> None:
    assert until(condition, seconds), f"waited {seconds} s for {what}"
