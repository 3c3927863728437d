"""Read how much memory is in use from Linux's /proc."""

import resource
from pathlib import Path


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mb(pid: int) -> float:
    """Return the peak resident memory of a process in MB; 0 if it has ended."""
    try:
        status = dict(line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(status["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError):
        return 0.0


def used_share() -> float:
    """Return the share of this machine's memory that is in use, 0..1."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, available = (int(lines[key].split()[0]) for key in ("MemTotal", "MemAvailable"))
    return 1 - available / total
