"""The Ray executor of `benchmarks.reliability.load`. Its workers run the stand-in instead of training."""

from typing import Any

from benchmarks.reliability.stand_in import stand_in
from search.executors import ray_tune
from search.trial import run


class Worker(ray_tune._Worker):
    """A real worker in a process whose training is the stand-in."""

    def setup(self, config: dict[str, Any]) -> None:
        run.run = stand_in
        super().setup(config)


ray_tune._Worker = Worker  # type: ignore[misc]  # the executor looks the class up when a run begins
execute = ray_tune.execute
