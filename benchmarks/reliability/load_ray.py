"""The Ray executor of `benchmarks.reliability.load`. Its workers run the stand-in instead of training."""

from typing import Any

from benchmarks.reliability.stand_in import stand_in
from search.executors import ray_tune
from search.executors.ray_worker import Worker
from search.trial import run


class StandInWorker(Worker):
    """A real worker in a process whose training is the stand-in."""

    def setup(self, config: dict[str, Any]) -> None:
        run.run = stand_in
        super().setup(config)


ray_tune.Worker = StandInWorker  # type: ignore[attr-defined]  # the name that the executor imported
execute = ray_tune.execute
