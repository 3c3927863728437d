"""A Ray cluster of several machines on one: each node has a network namespace with an address of its own, joined by a
bridge, and sees only what it is shown of the disk. Linux, as root."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.waiting import wait_for

from benchmarks.reliability.chaos.processes import ROOT

HEAD = "10.77.0.1:6379"
STORE_BYTES = 200_000_000
_COUNT = itertools.count()


def possible() -> bool:
    """Whether this user may make namespaces here."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "mount"))):
        return False
    return subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not possible(), reason="needs root and network namespaces")


class Cluster:
    """Node 1 is the head, where drivers run. Each node has its own Ray session, cache folder and ``hidden`` paths."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}  # of all that is started from now on
        self._nodes = nodes
        self._name = f"snn{os.getpid() % 100_000}{next(_COUNT)}"
        self._hidden: dict[int, list[Path]] = {}
        self._processes: list[subprocess.Popen[str]] = []
        _ip("link", "add", self._name, "type", "bridge")
        _ip("link", "set", self._name, "up")
        for node in range(1, nodes + 1):
            space, end = self._space(node), f"{self._name}v{node}"
            _ip("netns", "add", space)
            _ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", end, "master", self._name, "up")
            _ip("-n", space, "addr", "add", f"{address(node)}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                _ip("-n", space, "link", "set", device, "up")

    def start(self, node: int, cpus: int = 1, hidden: list[Path] | None = None) -> None:
        """`ray start`, and wait until the cluster knows it."""
        self._hidden[node] = hidden or []
        role = ["--head", "--port", "6379", "--include-dashboard", "false"] if node == 1 else ["--address", HEAD]
        size = ["--num-cpus", str(cpus), "--object-store-memory", str(STORE_BYTES)]
        log = (self.folder / f"node{node}.log").open("a")
        words = [_ray(), "start", *role, "--node-ip-address", address(node), *size, "--block"]
        subprocess.Popen(self._inside(node, words), stdout=log, stderr=log, env=self._env(node), start_new_session=True)
        wait_for(lambda: address(node) in self.alive(), what=f"node {node} to join")

    def alive(self) -> set[str]:
        """Addresses of the nodes that Ray takes to be there."""
        code = f"""
import ray
ray.init(address={HEAD!r}, log_to_driver=False, logging_level="ERROR")
print(*(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]))
"""
        asked = subprocess.run(
            self._inside(1, [sys.executable, "-c", code]), env=self._env(1), capture_output=True, text=True, check=False
        )
        return set(asked.stdout.split())

    def snnsearch(self, *words: str) -> subprocess.Popen[str]:
        """A driver on the head."""
        return self.run([sys.executable, "-c", "from search.cli import main; main()", *words])

    def run(self, words: list[str], *, told: bool = True) -> subprocess.Popen[str]:
        """A process on the head, which is ended with the cluster; ``told``: the caller reads what it says."""
        out = subprocess.PIPE if told else subprocess.DEVNULL
        process = subprocess.Popen(
            self._inside(1, words), stdout=out, stderr=subprocess.STDOUT, text=True, env=self._env(1)
        )
        self._processes.append(process)
        return process

    def kill(self, node: int) -> None:
        """All of its processes at once, as when its power fails."""
        found = subprocess.run(["ip", "netns", "pids", self._space(node)], capture_output=True, text=True, check=True)
        for pid in map(int, found.stdout.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def connect(self, node: int, *, up: bool) -> None:
        """Pull its network cable, or put it back."""
        _ip("link", "set", f"{self._name}v{node}", "up" if up else "down")

    def close(self) -> None:
        for node in range(1, self._nodes + 1):
            self.kill(node)
            _ip("link", "del", f"{self._name}v{node}")
            _ip("netns", "del", self._space(node))
        _ip("link", "del", self._name)
        for process in self._processes:
            process.communicate()

    def _space(self, node: int) -> str:
        return f"{self._name}n{node}"

    def _env(self, node: int) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SNNSEARCH_"))}
        ours = {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self.folder / f"cache{node}"), "OMP_NUM_THREADS": "1"}
        return env | ours | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"} | self.env

    def _inside(self, node: int, words: list[str]) -> list[str]:
        own, empty = self.folder / f"ray{node}", self.folder / "empty"
        for folder in (own, empty):
            folder.mkdir(exist_ok=True)
        mounts = [
            f"mount --bind {own} /tmp/ray",
            *(f"mount --bind {empty} {path}" for path in self._hidden.get(node, [])),
        ]
        script = " && ".join(["mkdir -p /tmp/ray", *mounts, 'exec "$@"'])
        space = ["ip", "netns", "exec", self._space(node)]
        return [*space, "unshare", "--mount", "sh", "-c", script, "sh", *words]


@contextlib.contextmanager
def cluster(folder: Path, nodes: int) -> Iterator[Cluster]:
    made = Cluster(folder, nodes)
    try:
        yield made
    finally:
        made.close()


def address(node: int) -> str:
    return f"10.77.0.{node}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _ray() -> str:
    return str(Path(sys.executable).with_name("ray"))
