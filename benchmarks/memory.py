"""How much memory is in use, as Linux tells it."""

import resource
from pathlib import Path


def resident_mb() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def used_share() -> float:
    """Of all that this machine has."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, available = (int(lines[key].split()[0]) for key in ("MemTotal", "MemAvailable"))
    return 1 - available / total
