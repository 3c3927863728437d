"""How much memory is in use, as Linux tells it."""

import resource
from pathlib import Path


def resident_mb() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mb(pid: int) -> float:
    """The most that a process has had so far; 0 where it is over."""
    try:
        told = dict(line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(told["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError):
        return 0.0


def used_share() -> float:
    """Of all that this machine has."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, available = (int(lines[key].split()[0]) for key in ("MemTotal", "MemAvailable"))
    return 1 - available / total
