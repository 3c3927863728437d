"""Start a driver, find the processes that it started through /proc, and send them signals. Linux only."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SITE = Path(__file__).parent / "site"
ROOT = Path(__file__).parents[3]
ROLES = {
    "worker": (b"ray::_Worker", b"ray::ResourceTrainable"),  # names between two epochs, and within one
    "raylet": (b"raylet/raylet",),
    "gcs": (b"gcs_server",),
}


def snnsearch(*words: str) -> list[str]:
    """Return the command line of snnsearch in its own process, limited to one core."""
    code = "import search.trial.environment as e; e.cores = lambda: 1; from search.cli import main; main()"
    return [sys.executable, "-c", code, *words]


class DriverProcess:
    """A running driver. Its output goes to ``log``."""

    def __init__(self, words: list[str], log: Path, chaos: Path, environment: dict[str, str]) -> None:
        paths = os.pathsep.join([str(SITE), str(ROOT), os.environ.get("PYTHONPATH", "")])
        env = os.environ | {"PYTHONPATH": paths, "CHAOS": str(chaos), "OMP_NUM_THREADS": "1"} | environment
        self._variable = f"CHAOS={chaos}".encode()
        self._file = log.open("ab")
        self._process = subprocess.Popen(
            snnsearch(*words),
            stdout=self._file, stderr=subprocess.STDOUT, env=env, start_new_session=True,
        )  # fmt: skip

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def find(self, role: str) -> list[int]:
        """Return the pids in that role: the driver's own, or those of processes that it started."""
        if role == "driver":
            return [self._process.pid]
        named = ROLES[role]
        return [pid for pid in descendants(self._process.pid) if any(name in command(pid) for name in named)]

    def wait(self, seconds: float) -> int | None:
        """Return the exit status; None if it still runs after ``seconds``."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def end(self) -> None:
        """Kill the driver and all that it started, also orphans: a stopped process does not notice that Ray ended."""
        while pids := pids_with_environment(self._variable):
            for pid in pids:
                send(pid, signal.SIGKILL)
            time.sleep(0.05)
        self._process.wait()
        self._file.close()


def send(pid: int, signum: signal.Signals) -> bool:
    """Send a signal; return whether the process existed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)
        return True
    return False


def command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def pids_with_environment(variable: bytes) -> list[int]:
    """Return the pids of processes with ``variable`` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if variable in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found, queue = [], [pid]
    while queue:
        queue += children.get(queue[0], [])
        found += children.get(queue.pop(0), [])
    return found


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Wait until ``condition`` holds; return False if it does not within ``seconds``."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return True
        time.sleep(0.05)
    return False
