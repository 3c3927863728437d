"""Start Ray on this machine or join a running cluster, and prepare the cluster's machines for training."""

import logging
import math
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import numpy as np
import ray
from numpy.typing import NDArray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from search.errors import InputError
from search.executors import WorkerPool, ray_private
from search.trial.environment import HANGUPS
from search.trial.job import Job, Placement
from search.trial.sync import Sync, connect_worker
from snnkit.base.config import Config
from snnkit.data import DataError, DataSource, pack_dataset, receive_dataset
from snnkit.data.transfer import Files

SECRETS = ("SNNSEARCH_STORAGE", "PGPASSWORD")
PASSWORD = r"(\w://[^\s:/@]*:)[^\s@]+@"  # in the URL of a database
OBJECT_STORE_BYTES = 128 * 2**20  # records and jobs are kilobytes; this machine's workers read data sets from disk
DEPOT = "depot"  # name of the actor that sends data sets
ANSWER_TIMEOUT_S = 10
INLINE = "--executor inline"
MAX_SESSION_BYTES = 107 - len("/session_2026-11-30_12-19-52_123456_1234567/sockets/plasma_store")


class Ticket(Config):
    """What each worker of a cluster receives with its job: the driver's version, and the URL for the run's files."""

    sender: str
    exchange: str | None = None


class MachineUnfit(Exception):  # noqa: N818  # an outcome, not an error
    """This machine of a cluster cannot train. The text says why, and what to do."""


def connect(pool: WorkerPool) -> None:
    """Start Ray, or join the cluster at ``pool.address``. Raises InputError if no cluster answers there."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # hides tracebacks of trials that continue elsewhere
    ray_private.treat_memory_kills_as_deaths()
    with _secrets_hidden(), _hangups_ignored():
        if pool.address is None:
            _start(pool)
        else:
            _join(pool.address)
            _open_depot(pool.placement)


def store_answers() -> bool:
    """Return whether Ray's control store can be reached.

    Without it, most functions of Ray wait, and after a minute Ray ends this process.
    """
    try:
        _connect_to(ray.get_runtime_context().gcs_address)
    except OSError:
        return False
    return True


def node_lives() -> bool:
    """Return whether the driver's machine still belongs to the cluster."""
    own = ray.get_runtime_context().get_node_id()
    return any(node["Alive"] and node["NodeID"] == own for node in ray.nodes())  # type: ignore[no-untyped-call]


def prepare_machine(job: Job, placement: Placement, ticket: Ticket) -> tuple[Job, Placement, Sync]:
    """Return the job and placement with the folders of this machine of a cluster, and the link to the run's files.

    A worker calls this before it trains. The driver's machine sends a data set once to each machine. If no folder is
    shared, the trial's files are fetched. Raises MachineUnfit.
    """
    address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    here = f"node {address}"
    if (own := version("snnsearch")) != ticket.sender:
        raise MachineUnfit(f"{here} has snnsearch {own}, the driver {ticket.sender}: install the same")
    try:
        sync = connect_worker(ticket.exchange)
        job = sync.localize(job)
    except (InputError, OSError) as error:
        raise MachineUnfit(f"{here}: {error}") from error
    if not job.files.run.trials.is_dir():
        raise MachineUnfit(
            f"{here} does not see {job.files.run.trials}: --runs must name a folder that all machines of the cluster "
            "share. If there is no such folder, launch with --exchange URL"
        )
    job.files.create()
    job.files.log(f"event=boarded node={address}")
    data = job.candidate.data
    if data.is_embedded:
        return job, placement, sync
    try:
        root, received = receive_dataset(
            data.source, placement.data_root, data.resolution, lambda: _packed(data.source)
        )
    except DataError as error:
        raise MachineUnfit(f"{here}: {error}") from error
    if received:
        job.files.log(f"event=data_received data={data.name} bytes={received} node={address}")
    return job, placement.model_copy(update={"data_root": root}), sync


def code_folder() -> str:
    """Return the folder of the code that runs here."""
    return str(Path(__file__).resolve().parents[2])


def import_path() -> list[str]:
    """Return the folders that this process imports from, absolute.

    The current folder of an interactive session, which may have changed since, is left out. If our code lies there,
    its folder takes that place.
    """
    folders = [os.path.abspath(folder) for folder in sys.path if folder]
    return folders if code_folder() in map(os.path.realpath, folders) else [code_folder(), *folders]


@contextmanager
def _hangups_ignored() -> Iterator[None]:
    """Within the block, ignore the signals that end a terminal's or a batch job's processes.

    The processes of Ray inherit this. Otherwise a closed terminal would end them before the driver can store results.
    """
    numbers = HANGUPS if current_thread() is main_thread() else ()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _secrets_hidden() -> Iterator[None]:
    """Within the block, hide the database's password, which only the driver needs.

    All processes of Ray inherit the driver's environment, and anyone who lists a cluster's jobs sees its command line.
    """
    if re.search(PASSWORD, " ".join(sys.argv)):
        title = re.sub(PASSWORD, r"\1***@", " ".join(sys.argv))
        ray_private.set_command_line(title)
    kept = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _start(pool: WorkerPool) -> None:
    """Start Ray on this machine. Raises InputError if it cannot start."""
    workers = pool.workers or 1
    settings: dict[str, Any] = {} if "RAY_TMPDIR" in os.environ else {"_temp_dir": session_folder()}
    _provide_token()
    _check_loopback()
    try:
        _init_local(pool, workers, settings)
    except (Exception, SystemExit) as error:
        cause = next(iter(str(error).splitlines()), "") or type(error).__name__
        chosen = f"RAY_TMPDIR ({os.environ['RAY_TMPDIR']})" if "RAY_TMPDIR" in os.environ else "/tmp"
        raise InputError(
            f"Ray cannot start on this machine: {cause}. Check that {chosen} and /dev/shm can be written to and that "
            f"memory is free, or train without Ray, one trial after the other: {INLINE}"
        ) from error


def _check_loopback() -> None:
    """Raise InputError if this machine cannot connect to itself: Ray would wait for minutes, without a word."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            _connect_to(f"127.0.0.1:{server.getsockname()[1]}")
    except OSError as error:
        raise InputError(
            f"Ray cannot start on this machine: no connection to itself at 127.0.0.1 ({error.strerror or error}). "
            f"Start the loopback network (ip link set lo up), or train without Ray, one trial after the other: {INLINE}"
        ) from error


def _provide_token() -> None:
    """Make the token that Ray's processes show each other, if the home folder cannot hold the one that Ray makes."""
    home = Path(os.path.expanduser("~"))
    folder = home / ".ray"
    given = any(name.startswith("RAY_AUTH_") for name in os.environ) or (folder / "auth_token").exists()
    if not given and not os.access(folder if folder.exists() else home, os.W_OK | os.X_OK):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def session_folder() -> str:
    """Return the folder for Ray's sessions: in the temporary folder, or in another one if Ray could not use that.

    Sockets lie in it, whose paths have at most 107 bytes, and another user may own the folder ``ray``. Raises
    InputError if no folder fits.
    """
    parents = dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"))
    for parent in parents:
        for name in ("ray", f"ray-{os.getuid()}"):
            folder = Path(parent, name)
            writable = os.access(folder if folder.exists() else parent, os.W_OK | os.X_OK)
            if writable and len(os.fsencode(folder)) <= MAX_SESSION_BYTES:
                return str(folder)
    raise InputError(
        f"Ray needs a folder for its sockets that can be written to and whose name has at most {MAX_SESSION_BYTES} "
        f"bytes, and none of {', '.join(parents)} is one. Give one: export RAY_TMPDIR=DIR, or train without Ray, one "
        f"trial after the other: {INLINE}"
    )


def _init_local(pool: WorkerPool, workers: int, settings: Mapping[str, Any]) -> None:
    ray.init(
        address="local",  # never a cluster that happens to run here: it may be another user's
        num_cpus=math.ceil(workers * pool.cpus),
        num_gpus=math.ceil(workers * pool.gpus),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=OBJECT_STORE_BYTES,
        job_config=ray_private.import_from(import_path()),
        **settings,
    )


def _join(address: str) -> None:
    if address.startswith("ray://"):
        raise InputError(
            f"--address {address}: the driver runs on a machine of the cluster, not as a client of Ray. On "
            "that machine: ray start --address HEAD:6379, and launch with --address auto"
        )
    _check_answers(address)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            job_config=ray_private.import_from(import_path()),
        )
    except (ConnectionError, ValueError) as error:
        if "authentication token" in str(error.__cause__).lower():
            raise InputError(
                f"--address {address}: the cluster expects another token. Copy ~/.ray/auth_token from its head to "
                "this machine, and: export RAY_AUTH_MODE=token"
            ) from error
        cause = str(error).splitlines()[0]
        raise InputError(
            f"--address {address}: no Ray cluster answers: {cause}. Start one: ray start --head"
        ) from error


def _check_answers(address: str) -> None:
    """Raise InputError if nothing listens at ``address``: Ray itself would wait for minutes."""
    if address == "auto":
        return
    _, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise InputError(f"--address {address}: write HOST:PORT of the cluster's head, or auto on a machine of it")
    try:
        _connect_to(address)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--address {address}: no Ray cluster answers: {error}. Start one: ray start --head"
        ) from error


def _connect_to(address: str) -> None:
    """Raise OSError if nothing answers at ``address``, or OverflowError if there is no such port."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), ANSWER_TIMEOUT_S).close()


class _Depot:
    """An actor on the driver's machine that sends data sets to the other machines."""

    def __init__(self, root: Path | None) -> None:
        self._root = root

    def files(self, name: str | DataSource) -> Files:
        return pack_dataset(name, self._root)


def _open_depot(placement: Placement) -> None:
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    depot = ray.remote(num_cpus=0)(_Depot).options(name=DEPOT, scheduling_strategy=here)
    _held.append(depot.remote(placement.data_root))


_held: list[object] = []  # handles: Ray ends an actor that has none


def _packed(name: str | DataSource) -> Files:
    files: dict[str, NDArray[np.uint8]] = ray.get(ray.get_actor(DEPOT).files.remote(name))  # type: ignore[assignment]
    return files
