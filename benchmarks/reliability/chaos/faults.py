"""The faults that strike a study. Each one acts on a Scene."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.chaos.processes import Running, send, until


@dataclass
class Scene:
    """A running study. For faults of the disk, its ``folder`` is on a small file system of its own."""

    folder: Path
    chaos: Path
    driver: Running
    rng: random.Random
    refused: Callable[[], None]  # starts a driver, and checks that it refuses and says why


@dataclass(frozen=True)
class Fault:
    """A fault. ``strike`` returns whether it had an effect.

    ``goes_on``: executors whose driver survives it, without `resume`. ``same``: the study must end exactly like an
    undisturbed one. ``disk``: it needs a file system of its own.
    """

    name: str
    strike: Callable[[Scene], bool]
    executors: tuple[str, ...] = ("ray",)
    goes_on: tuple[str, ...] = ()
    same: bool = True
    disk: bool = False


def signalled(role: str, signum: signal.Signals, stopped_s: float | None = None) -> Callable[[Scene], bool]:
    """Send a signal to a random process of that role. After ``stopped_s`` seconds, let it continue."""

    def strike(scene: Scene) -> bool:
        until(lambda: bool(scene.driver.find(role)), 30)
        pids = scene.driver.find(role)
        if not pids:
            return False
        pid = scene.rng.choice(pids)
        struck = send(pid, signum)
        if stopped_s is not None:
            time.sleep(stopped_s)
            send(pid, signal.SIGCONT)
        return struck

    return strike


def armed(what: str) -> Callable[[Scene], bool]:
    """Make the next training step of any process fail as ``what`` says; see site/sitecustomize.py."""

    def strike(scene: Scene) -> bool:
        file = scene.chaos / "armed"
        file.write_text(what)
        until(lambda: not file.exists() or scene.driver.over, 60)
        struck = not file.exists()
        file.unlink(missing_ok=True)
        return struck

    return strike


def clock_jump(scene: Scene) -> bool:
    """Move the clock ahead or back by up to a year."""
    (scene.chaos / "clock").write_text(str(scene.rng.choice((-1, 1)) * 10 ** scene.rng.uniform(1, 7.5)))
    return True


def full_disk(scene: Scene) -> bool:
    """Fill the disk for some seconds."""
    filler = scene.folder.parent / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
    except OSError:
        pass
    scene.driver.wait(scene.rng.uniform(1, 12))
    filler.unlink()
    return True


def _killed(scene: Scene) -> None:
    send(scene.driver.find("driver")[0], signal.SIGKILL)
    scene.driver.wait(30)
    scene.driver.end()


def read_only(scene: Scene) -> bool:
    """Make the folder read-only, and check that a driver refuses to start."""
    _killed(scene)
    mount = str(scene.folder.parent)
    until(lambda: subprocess.run(["mount", "-o", "remount,ro", mount], check=False).returncode == 0, 60)
    scene.refused()
    subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
    return True


def torn(*names: str) -> Callable[[Scene], bool]:
    """Kill the driver, then cut off one of these files at a random byte."""

    def there(scene: Scene) -> list[Path]:
        return [path for name in names for path in sorted(scene.folder.glob(name))]

    def strike(scene: Scene) -> bool:
        if not there(scene):
            return False
        _killed(scene)
        if not (left := there(scene)):
            return False
        path = scene.rng.choice(left)
        os.truncate(path, scene.rng.randrange(path.stat().st_size or 1))
        return True

    return strike


INLINE, RAY = ("inline",), ("ray",)
EVERYWHERE = INLINE + RAY
FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("SIGKILL of the driver", signalled("driver", signal.SIGKILL), EVERYWHERE),
        Fault("SIGTERM of the driver", signalled("driver", signal.SIGTERM), EVERYWHERE),
        Fault("SIGINT of the driver", signalled("driver", signal.SIGINT), EVERYWHERE),
        Fault("SIGSTOP of the driver, 5 s", signalled("driver", signal.SIGSTOP, 5), EVERYWHERE, EVERYWHERE),
        Fault("SIGKILL of a worker", signalled("worker", signal.SIGKILL), goes_on=RAY),
        Fault("SIGTERM of a worker", signalled("worker", signal.SIGTERM), goes_on=RAY),
        Fault("SIGINT of a worker", signalled("worker", signal.SIGINT), goes_on=RAY),
        Fault("SIGSTOP of a worker, for good", signalled("worker", signal.SIGSTOP), goes_on=RAY),
        Fault("SIGKILL of the raylet, with its object store", signalled("raylet", signal.SIGKILL)),
        Fault("SIGSTOP of the raylet, 5 s", signalled("raylet", signal.SIGSTOP, 5), goes_on=RAY),
        Fault("SIGKILL of Ray's control store", signalled("gcs", signal.SIGKILL)),
        Fault("a worker hangs", armed("hang"), goes_on=RAY),
        Fault("a worker calls os._exit", armed("exit"), EVERYWHERE, RAY),
        Fault("a worker eats memory until it is killed", armed("eat"), goes_on=RAY),
        Fault("a step raises CUDA's out of memory", armed("raise"), EVERYWHERE, EVERYWHERE, same=False),
        Fault("disk full", full_disk, EVERYWHERE, disk=True),
        Fault("read-only folder", read_only, INLINE, disk=True),
        Fault("clock jump", clock_jump, EVERYWHERE, EVERYWHERE),
        Fault("torn checkpoint", torn("trials/*/checkpoint.pt", "trials/*/twin.pt"), INLINE),
        Fault("torn record", torn("trials/*/result.json"), INLINE),
        Fault("torn log, beat or count of starts", torn("trials/*/*.txt", "trials/*/[bs]*.json"), INLINE),
        Fault("truncated SQLite file", torn("study.db"), INLINE, same=False),
    )
}
