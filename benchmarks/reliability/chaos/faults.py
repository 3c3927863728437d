"""The faults that strike a study. Each one acts on a Scene."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.chaos.processes import DriverProcess, send, wait_until


@dataclass
class Scene:
    """A running study. For faults of the disk, its ``folder`` is on a small file system of its own."""

    folder: Path
    chaos: Path
    driver: DriverProcess
    rng: random.Random
    check_refusal: Callable[[], None]  # starts a driver, and checks that it refuses and says why


@dataclass(frozen=True)
class Fault:
    """A fault. ``strike`` returns whether it had an effect.

    ``survives``: executors whose driver survives it, without `resume`. ``reproduces``: the study must end exactly like
    an undisturbed one. ``disk``: it needs a file system of its own.
    """

    name: str
    strike: Callable[[Scene], bool]
    executors: tuple[str, ...] = ("ray",)
    survives: tuple[str, ...] = ()
    reproduces: bool = True
    disk: bool = False


def send_signal(role: str, signum: signal.Signals, stopped_s: float | None = None) -> Callable[[Scene], bool]:
    """Send a signal to a random process of that role. After ``stopped_s`` seconds, let it continue."""

    def strike(scene: Scene) -> bool:
        wait_until(lambda: bool(scene.driver.find(role)), 30)
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


def fail_training_step(what: str) -> Callable[[Scene], bool]:
    """Make the next training step of any process fail as ``what`` says; see site/sitecustomize.py."""

    def strike(scene: Scene) -> bool:
        file = scene.chaos / "armed"
        file.write_text(what)
        wait_until(lambda: not file.exists() or scene.driver.ended, 60)
        struck = not file.exists()
        file.unlink(missing_ok=True)
        return struck

    return strike


def move_clock(scene: Scene) -> bool:
    """Move the clock ahead or back by up to a year."""
    (scene.chaos / "clock").write_text(str(scene.rng.choice((-1, 1)) * 10 ** scene.rng.uniform(1, 7.5)))
    return True


def fill_disk(scene: Scene) -> bool:
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


def _kill_driver(scene: Scene) -> None:
    send(scene.driver.find("driver")[0], signal.SIGKILL)
    scene.driver.wait(30)
    scene.driver.end()


def make_read_only(scene: Scene) -> bool:
    """Make the folder read-only, and check that a driver refuses to start."""
    _kill_driver(scene)
    mount = str(scene.folder.parent)
    wait_until(lambda: subprocess.run(["mount", "-o", "remount,ro", mount], check=False).returncode == 0, 60)
    scene.check_refusal()
    subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
    return True


def truncate_file(*names: str) -> Callable[[Scene], bool]:
    """Kill the driver, then cut off one of these files at a random byte."""

    def there(scene: Scene) -> list[Path]:
        return [path for name in names for path in sorted(scene.folder.glob(name))]

    def strike(scene: Scene) -> bool:
        if not there(scene):
            return False
        _kill_driver(scene)
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
        Fault("SIGKILL of the driver", send_signal("driver", signal.SIGKILL), EVERYWHERE),
        Fault("SIGTERM of the driver", send_signal("driver", signal.SIGTERM), EVERYWHERE),
        Fault("SIGINT of the driver", send_signal("driver", signal.SIGINT), EVERYWHERE),
        Fault("SIGSTOP of the driver, 5 s", send_signal("driver", signal.SIGSTOP, 5), EVERYWHERE, EVERYWHERE),
        Fault("SIGKILL of a worker", send_signal("worker", signal.SIGKILL), survives=RAY),
        Fault("SIGTERM of a worker", send_signal("worker", signal.SIGTERM), survives=RAY),
        Fault("SIGINT of a worker", send_signal("worker", signal.SIGINT), survives=RAY),
        Fault("SIGSTOP of a worker, for good", send_signal("worker", signal.SIGSTOP), survives=RAY),
        Fault("SIGKILL of the raylet, with its object store", send_signal("raylet", signal.SIGKILL)),
        Fault("SIGSTOP of the raylet, 5 s", send_signal("raylet", signal.SIGSTOP, 5), survives=RAY),
        Fault("SIGKILL of Ray's control store", send_signal("gcs", signal.SIGKILL)),
        Fault("a worker hangs", fail_training_step("hang"), survives=RAY),
        Fault("a worker calls os._exit", fail_training_step("exit"), EVERYWHERE, RAY),
        Fault("a worker eats memory until it is killed", fail_training_step("eat"), survives=RAY),
        Fault(
            "a step raises CUDA's out of memory", fail_training_step("raise"), EVERYWHERE, EVERYWHERE, reproduces=False
        ),
        Fault("disk full", fill_disk, EVERYWHERE, disk=True),
        Fault("read-only folder", make_read_only, INLINE, disk=True),
        Fault("clock jump", move_clock, EVERYWHERE, EVERYWHERE),
        Fault("torn checkpoint", truncate_file("trials/*/checkpoint.pt", "trials/*/twin.pt"), INLINE),
        Fault("torn record", truncate_file("trials/*/result.json"), INLINE),
        Fault("torn log, beat or count of starts", truncate_file("trials/*/*.txt", "trials/*/[bs]*.json"), INLINE),
        Fault("truncated SQLite file", truncate_file("study.db"), INLINE, reproduces=False),
    )
}
