"""Describe the machine and the software. A study's header stores this, so that its figures can be compared."""

import os
import platform
import signal
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from reports.document.wording import count
from search.trial import cgroup

HANGUPS = (signal.SIGHUP, signal.SIGUSR1)  # a terminal was closed; SLURM announces the end of the allotted time
ROOT = Path(__file__).parents[2]  # folder of our packages


def cores() -> int:
    """Return the number of processors that this process may keep busy: at least 1, even if a quota allows less."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup.cpu_quota()
    return found if quota is None else max(1, min(found, int(quota)))


def allowed_threads(threads: int) -> int:
    """Return ``threads``, or fewer if OMP_NUM_THREADS allows fewer."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(threads, int(first)) if first.isdecimal() and int(first) else threads


def memory_bytes() -> int:
    """Return the memory that this process may use: the machine's, or less in a container."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, cgroup.memory_limit_bytes() or machine)


def describe(device: str) -> str:
    """Return for example ``2 cores of Intel Xeon …, 23 GiB, Linux``. On a GPU, its name comes first.

    In a container, cores and memory are those that it may use.
    """
    quota = cgroup.cpu_quota()
    limited = f", {quota:.3g} of them by quota" if quota is not None and quota < cores() else ""
    computer = f"{hardware('cpu')}{limited}, {memory_bytes() / 2**30:.0f} GiB, {platform.system()}"
    return f"{hardware(device)}; {computer}" if device == "cuda" else computer


def hardware(device: str) -> str:
    """Return the name of the GPU, or the number and model of the CPU cores, that train on ``device``."""
    if device != "cuda":
        return f"{count(cores(), 'core')} of {_processor()}"
    if not gpus():
        return "GPUs of a cluster"
    import torch

    return str(torch.cuda.get_device_name())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def detect_device() -> Literal["cpu", "cuda"]:
    """Return ``cuda`` if torch can use a GPU, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def gpus() -> int:
    """Return the number of GPUs that torch can use."""
    import torch

    return torch.cuda.device_count()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that determine results."""
    found = {"python": platform.python_version()}
    for package in ("snnsearch", "torch", "optuna", "ray"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # for example ray, where trials run `inline`
            continue
    return found


@cache
def commit() -> str | None:
    """Return the commit of the checkout that this code belongs to; None if it is installed from elsewhere.

    A repository that only surrounds the installation, such as a thesis with a virtual environment in it, does not
    count: our files must be tracked, at the top of the repository.
    """
    own = Path(__file__).relative_to(ROOT).as_posix()
    if _git("ls-files", "--error-unmatch", own) is None or _git("rev-parse", "--show-prefix"):
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*") or None


def _git(*arguments: str) -> str | None:
    """Return what git says about our folder; None if it refuses, or if there is no git."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # a hook sets these
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], env=others, capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
