"""The Ray executor of `benchmarks.reliability.load`: its workers take the stand-in for the training."""

from typing import Any

from benchmarks.reliability.load import stand_in
from search.executors import ray_tune
from search.trial import run


class Worker(ray_tune._Worker):
    """A worker as it is, in a process whose training is the stand-in."""

    def setup(self, config: dict[str, Any]) -> None:
        run.run = stand_in
        super().setup(config)


ray_tune._Worker = Worker  # type: ignore[misc]  # it is looked up when a run begins
execute = ray_tune.execute
