"""One candidate to train, complete enough to be sent to another process or machine."""

from pathlib import Path

from snnkit.values import Value

from reports.record import Leaf, ModuleState
from search.candidate import Candidate


class Job(Value):
    """What a worker needs: the candidate, where its files go, and the seed that everything random follows."""

    number: int
    name: str | None
    params: dict[str, Leaf]
    candidate: Candidate
    modules: tuple[ModuleState, ...]
    static: dict[str, int]
    folder: Path  # runs/<study>/trials/<number>
    seed: int


class Placement(Value):
    """Where a worker runs and where it finds the data."""

    device: str = "cpu"  # "cpu" or "cuda"
    threads: int = 1
    data_root: Path | None = None
