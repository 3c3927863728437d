"""Plan the worker pool: how many trials run at once and what each gets, from the options, the space and the machine."""

import math

from search.executors import WorkerPool
from search.runner.options import RunOptions
from search.space.limits import Resources
from search.trial import environment
from search.trial.folder import RunFolder
from search.trial.job import Placement

MAX_DEFAULT_WORKERS = 8  # on CPUs, if neither --workers nor the space says how many
WORKER_BYTES = 2**30  # memory of a worker with torch and a small network; the driver and Ray take as much again


def plan_workers(options: RunOptions, folder: RunFolder, resources: Resources) -> WorkerPool:
    """Return the worker pool of a run.

    By default: one worker with one thread a core, eight at most, and no more than memory has room for; one worker a
    GPU; on a cluster, as many as fit. If ``resources`` say what a trial takes, as many run as fit. OMP_NUM_THREADS
    bounds the threads.
    """
    if options.address is not None:
        workers, cpus, gpus = options.workers, resources.cpus or 1.0, resources.gpus or 1.0
    else:
        workers, cpus, gpus = _local(options, resources)
    root = None if options.data_root is None else options.data_root.expanduser().absolute()
    threads = environment.allowed_threads(max(1, int(cpus)))
    placement = Placement(device=options.device, threads=threads, data_root=root)
    return WorkerPool(
        workers=workers,
        cpus=cpus,
        gpus=gpus if options.device == "cuda" else 0.0,
        placement=placement,
        address=options.address,
        exchange=None if options.address is None else folder.read_exchange(),  # one machine needs no exchange
        scratch=str(folder.path.absolute()),
    )


def _local(options: RunOptions, resources: Resources) -> tuple[int, float, float]:
    """Return the number of workers on this machine, and the cores and the share of a GPU that each gets."""
    cores, gpus = environment.cores(), environment.gpus() if options.device == "cuda" else 0
    if gpus:
        fit = gpus * int(1 / (resources.gpus or 1))
    else:
        room = max(1, environment.memory_bytes() // WORKER_BYTES - 1)
        fit = min(cores, MAX_DEFAULT_WORKERS, room) if resources.cpus is None else max(1, int(cores / resources.cpus))
    workers = 1 if options.executor == "inline" else options.workers or fit
    cpus = resources.cpus or float(max(1, cores // workers))
    return workers, cpus, resources.gpus or 1 / math.ceil(workers / max(1, gpus))
