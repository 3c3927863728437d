"""Ray itself: a cluster of this machine alone, or one that runs; and what its machines need before they train."""

import logging
import math
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import numpy as np
import ray
import ray._private.serialization as ray_errors
from numpy.typing import NDArray
from ray.exceptions import RayActorError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.errors import InputError
from search.executors import WorkerPool
from search.trial import sync
from search.trial.job import Job, Placement, log
from snnkit.base.config import Config
from snnkit.data import DATASETS, DataError, pack_dataset, receive_dataset
from snnkit.data.transfer import Files

SECRETS = ("SNNSEARCH_STORAGE", "PGPASSWORD")
PASSWORD = r"(\w://[^\s:/@]*:)[^\s@]+@"  # in an address
OBJECT_STORE_BYTES = 128 * 2**20  # records and jobs are kilobytes; this machine's workers read data sets from disk
DEPOT = "depot"
KNOCK_S = 10  # for an answer


class Ticket(Config):
    """What a worker on a cluster is told beside its job: the driver's version, and the URL of the run's files."""

    sender: str
    exchange: str | None = None


class Unfit(Exception):  # noqa: N818  # of a machine
    """This machine of a cluster cannot train; the text says why, and what to do."""


def connect(crew: WorkerPool) -> None:
    """Start Ray, or join the cluster at ``crew.address``. Raises InputError where none answers there."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the traceback of a trial that goes on elsewhere
    ray_errors.OutOfMemoryError = _killed  # type: ignore[attr-defined,assignment]  # a name in Ray's own module
    with _secrets_kept():
        if crew.address is None:
            _start(crew)
        else:
            _join(crew.address)
            _open_depot(crew.placement)


def _killed(text: str) -> RayActorError:
    """To Tune a worker that Ray has killed for its memory is to be dead, and replaced. Ray's own error is "unexpected"
    there, and the end of all others."""
    return RayActorError(error_msg=text)


def store_answers() -> bool:
    """Whether Ray's control store can be reached. Without it most of Ray's functions wait, and a minute later Ray ends
    this process."""
    try:
        _knock(ray.get_runtime_context().gcs_address)
    except OSError:
        return False
    return True


def node_lives() -> bool:
    """Whether the cluster still has the driver's machine."""
    own = ray.get_runtime_context().get_node_id()
    return any(node["Alive"] and node["NodeID"] == own for node in ray.nodes())  # type: ignore[no-untyped-call]


def board(job: Job, placement: Placement, ticket: Ticket) -> tuple[Job, Placement]:
    """In a worker on any machine of a cluster: ``job`` and its placement as they are there, with what they need. A data
    set is sent by the driver's machine once, the trial's files where no folder is shared. Raises Unfit."""
    address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    here = f"node {address}"
    if (own := version("snnsearch")) != ticket.sender:
        raise Unfit(f"{here} has snnsearch {own}, the driver {ticket.sender}: install the same")
    if ticket.exchange is not None:
        try:
            job = sync.settled(job, ticket.exchange)
        except (InputError, OSError) as error:
            raise Unfit(f"{here}: {error}") from error
    elif not job.folder.parent.is_dir():
        raise Unfit(
            f"{here} does not see {job.folder.parent}: --runs must name a folder that all machines of the cluster "
            "share; where there is none, launch with --exchange URL"
        )
    job.folder.mkdir(exist_ok=True)
    log(job.folder, f"event=boarded node={address}")
    data = job.candidate.data
    if DATASETS[data.name].layout.embedded:
        return job, placement
    try:
        root, received = receive_dataset(data.name, placement.data_root, data.resolution, lambda: _sent(data.name))
    except DataError as error:
        raise Unfit(f"{here}: {error}") from error
    if received:
        log(job.folder, f"event=data_received data={data.name} bytes={received} node={address}")
    return job, placement.model_copy(update={"data_root": root})


@contextmanager
def _secrets_kept() -> Iterator[None]:
    """All of Ray's processes inherit the driver's environment, and its command line is shown to whoever lists the jobs
    of a cluster: neither is to hold the database's password, which only the driver needs."""
    if re.search(PASSWORD, " ".join(sys.argv)):
        title = re.sub(PASSWORD, r"\1***@", " ".join(sys.argv))
        ray._raylet.setproctitle(title)  # type: ignore[attr-defined]  # compiled, and without types
    kept = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _start(crew: WorkerPool) -> None:
    workers = crew.workers or 1
    ray.init(
        address="local",  # not one that happens to run here, which may be another user's
        num_cpus=math.ceil(workers * crew.cpus),
        num_gpus=math.ceil(workers * crew.gpus),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
    )


def _join(address: str) -> None:
    if address.startswith("ray://"):
        raise InputError(
            f"--address {address}: the driver runs on a machine of the cluster, not as Ray's client. There: "
            "ray start --address HEAD:6379, and launch with --address auto"
        )
    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError) as error:
        if "authentication token" in str(error.__cause__).lower():
            raise InputError(
                f"--address {address}: the cluster wants a token that is not this one. Copy ~/.ray/auth_token of its "
                "head to this machine, and: export RAY_AUTH_MODE=token"
            ) from error
        cause = str(error).splitlines()[0]
        raise InputError(
            f"--address {address}: no Ray cluster answers: {cause}. Start one: ray start --head"
        ) from error


def _check_answers(address: str) -> None:
    """Whether anybody is there: Ray itself would wait for minutes. Raises InputError."""
    if address == "auto":
        return
    _, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise InputError(f"--address {address}: write HOST:PORT of the cluster's head, or auto on a machine of it")
    try:
        _knock(address)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--address {address}: no Ray cluster answers: {error}. Start one: ray start --head"
        ) from error


def _knock(address: str) -> None:
    """Raises OSError where nobody answers, OverflowError where there is no such port."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()


class _Depot:
    """On the driver's machine: the data sets that other machines lack."""

    def __init__(self, root: Path | None) -> None:
        self._root = root

    def files(self, name: str) -> Files:
        return pack_dataset(name, self._root)


def _open_depot(placement: Placement) -> None:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    depot = ray.remote(num_cpus=0)(_Depot).options(name=DEPOT, scheduling_strategy=here)
    _held.append(depot.remote(placement.data_root))


_held: list[object] = []  # an actor ends with its last handle


def _sent(name: str) -> Files:
    files: dict[str, NDArray[np.uint8]] = ray.get(ray.get_actor(DEPOT).files.remote(name))  # type: ignore[assignment]
    return files
