"""How many trials run at once, and what each is given: from the command line, the space and what there is."""

import math
from pathlib import Path

from reports.document.wording import count
from search.executors import WorkerPool
from search.runner.options import RunOptions
from search.space.limits import Resources
from search.trial import environment, sync
from search.trial.job import Placement

MOST = 8  # workers on a CPU unless told


def plan_workers(options: RunOptions, folder: Path, resources: Resources) -> WorkerPool:
    """By default a worker with one thread for each core, up to eight; on GPUs one for each. ``resources`` of the space
    say what a trial takes: as many then run as fit. On a cluster as many as it has room for."""
    if options.address is not None:
        workers, cpus, gpus = options.workers, resources.cpus or 1.0, resources.gpus or 1.0
    else:
        workers, cpus, gpus = _here(options, resources)
    root = None if options.data_root is None else options.data_root.expanduser().absolute()
    placement = Placement(device=options.device, threads=max(1, int(cpus)), data_root=root)
    return WorkerPool(
        workers=workers,
        cpus=cpus,
        gpus=gpus if options.device == "cuda" else 0.0,
        placement=placement,
        address=options.address,
        exchange=None if options.address is None else sync.noted(folder),  # on one machine files are here
        scratch=str(folder.resolve()),
    )


def _here(options: RunOptions, resources: Resources) -> tuple[int, float, float]:
    """Workers on this machine; cores and share of a GPU of each."""
    cores, cards = environment.cores(), environment.gpus() if options.device == "cuda" else 0
    if cards:
        fit = cards * int(1 / (resources.gpus or 1))
    else:
        fit = min(cores, MOST) if resources.cpus is None else max(1, int(cores / resources.cpus))
    workers = 1 if options.executor == "inline" else options.workers or fit
    cpus = resources.cpus or float(max(1, cores // workers))
    return workers, cpus, resources.gpus or 1 / math.ceil(workers / max(1, cards))


def describe_workers(crew: WorkerPool) -> str:
    """``cpu, 2 at once, 1 thread each``"""
    threads = count(crew.placement.threads, "thread")
    share = f" and {crew.gpus:.3g} of a GPU" if crew.gpus else ""
    room = f"as many at once as the cluster at {crew.address} has room for"
    at_once = room if crew.workers is None else f"{crew.workers} at once"
    return f"{crew.placement.device}, {at_once}, {threads}{share} each"
