"""How to run a study or a benchmark, as opposed to what it searches or trains: the options of the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # keeps this module light: every command imports it
    from search.space.sections import Device


@dataclass(frozen=True)
class RunOptions:
    """Place and length of a run. Apart from the rounding of ``device``, no option changes a result."""

    runs: Path = Path("runs")  # folder of all studies and benchmarks
    storage: str | None = None  # URL of the study database; None: SQLite in the study's folder
    trials: int | None = None  # `launch`: in all; `resume`: on top of the finished ones; None: as the space says
    seconds: float | None = None  # of this run; None: as the space says
    workers: int | None = None  # trials at once; None: as many as fit
    executor: str = "ray"  # a key of `search.registries.EXECUTORS`
    address: str | None = None  # of a running Ray cluster; None: this machine
    exchange: str | None = None  # URL for the files of a cluster whose nodes share no folder
    device: "Device" = "cpu"
    data_root: Path | None = None  # folder of the data sets; None: the user's cache folder
