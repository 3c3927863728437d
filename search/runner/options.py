"""How to run, as against what: the command line as values."""

from dataclasses import dataclass
from pathlib import Path

from search.space.sections import Device


@dataclass(frozen=True)
class RunOptions:
    """Nothing here changes a result, but for the device's rounding."""

    runs: Path
    storage: str | None
    trials: int | None
    seconds: float | None
    workers: int | None
    executor: str
    address: str | None
    exchange: str | None
    device: Device
    data_root: Path | None
