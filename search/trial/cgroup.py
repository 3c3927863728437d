"""The limits that a container or a batch system sets for this process: control groups of Linux, versions 1 and 2."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
KERNEL_COUNTERS = Path("/proc/vmstat")


def cpu_quota() -> float | None:
    """Return how many processors may be busy at once on average, for example 0.5; None without a limit."""
    quotas = []
    for folder in _folders("cpu"):
        version_1 = (*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us"))
        for found in (_numbers(folder / "cpu.max"), version_1):  # microseconds of work, microseconds; -1: no limit
            if len(found) == 2 and found[0] > 0:
                quotas.append(found[0] / found[1])
    return min(quotas, default=None)


def memory_limit_bytes() -> int | None:
    """Return the smallest memory limit; None without one. Version 1 stores a number beyond any memory for none."""
    files = (folder / name for folder in _folders("memory") for name in ("memory.max", "memory.limit_in_bytes"))
    return min((int(number) for file in files for number in _numbers(file)[:1]), default=None)


def oom_kills() -> int:
    """Return how many processes the system has killed so far because memory ran out, here or on the whole machine."""
    files = [folder / name for folder in _folders("memory") for name in ("memory.events", "memory.oom_control")]
    return sum(_counter(file, "oom_kill") for file in (*files, KERNEL_COUNTERS))


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of the process's group and of the groups around it: their limits hold too.

    In a container, the folder of its own group is often mounted in place of the root.
    """
    for line in _text(MEMBERSHIP).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        names = {controllers, controller} if controllers else {"", "unified"}
        for root in (ROOT / name for name in names):
            group = root / path.strip("/")
            yield from (folder for folder in (group, *group.parents) if folder == root or root in folder.parents)


def _numbers(file: Path) -> tuple[float, ...]:
    """Return the numbers in ``file``; none if it is missing or says ``max``."""
    with contextlib.suppress(ValueError):
        return tuple(float(word) for word in _text(file).split())
    return ()


def _counter(file: Path, name: str) -> int:
    fields = (line.split() for line in _text(file).splitlines())
    return next((int(words[1]) for words in fields if len(words) == 2 and words[0] == name), 0)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
