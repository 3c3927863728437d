"""A Ray worker: trains one trial after the other in one process. A step is an epoch; the last one brings the record."""

import platform
from collections.abc import Iterator
from typing import Any

from ray import tune

from reports.records.study import EpochRecord, TrialRecord
from search.executors.ray_cluster import MachineUnfit, Ticket, code_folder, prepare_machine
from search.plugins.sources import PluginError
from search.trial.job import Job, Placement
from search.trial.sync import connect_worker
from search.trial.watchdog import heartbeat_interval_s


class Worker(tune.Trainable):
    """Returns results as JSON texts, because Tune flattens mappings."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._sent_job = new_config["job"]
        self._placement = Placement.model_validate(new_config["placement"])
        ticket = new_config.get("ticket")  # None on the driver's own machine
        self._ticket = None if ticket is None else Ticket.model_validate(ticket)
        self._source = new_config.get("source")  # the driver's; None on a cluster
        self._events: Iterator[EpochRecord | TrialRecord] | None = None
        return True

    def step(self) -> dict[str, Any]:
        if self._events is None:
            try:
                self._events = self._start()
            except MachineUnfit as unfit:
                return {"unfit": str(unfit), "done": True}
        event = next(self._events)
        if isinstance(event, TrialRecord):
            return {"record": event.model_dump_json(), "done": True}
        return {"epoch_record": event.model_dump_json()}

    def _start(self) -> Iterator[EpochRecord | TrialRecord]:
        """Raises MachineUnfit."""
        from search.trial.run import run  # imports torch: in the worker, not in the driver

        if self._source not in (None, code_folder()):
            raise MachineUnfit(
                f"workers import snnsearch from {code_folder()}, the driver from {self._source}: remove one"
            )
        try:
            job = Job.model_validate_json(self._sent_job)
        except PluginError as error:
            raise MachineUnfit(f"{platform.node()}: {error}") from error
        placement, sync = self._placement, connect_worker(None)
        if self._ticket is not None:
            job, placement, sync = prepare_machine(job, placement, self._ticket)
        return sync.deliver(job, run(job, placement, sync), heartbeat_interval_s(job.limits))
