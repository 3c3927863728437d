"""Wait for other processes. The patience is a guard against hangs; a busy machine never reaches it."""

from collections.abc import Callable

from benchmarks.reliability.chaos.processes import wait_until

PATIENCE_S = 1500.0


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE_S, what: str = "it") -> None:
    assert wait_until(condition, seconds), f"waited {seconds} s for {what}"
